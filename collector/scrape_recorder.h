// ScrapeRecorder: turns the pages of one target into rows. The page is read once, as it arrives:
// lines that stand where they stood at the last scrape are recognised by comparing bytes
// (page_shape.h) and go straight to their slot; anything else is parsed, looked up among the other
// known lines, or resolved to a new series.
//
//   recorder.Begin(start, format);
//   while (bytes arrive) consumed = recorder.Feed(bytes, false);     // the rest is fed again
//   recorder.Feed(rest, true);
//   recorder.Commit(report)            or, whatever went wrong:  recorder.Fail(start, report)
//
// A page is kept whole or not at all: after an error of Feed only Fail may follow. Fail writes
// staleness markers for all that lived, and up = 0.
//
// Owned by the scrape thread that runs the target.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "collector/page_shape.h"
#include "collector/scrape_config.h"
#include "collector/scrape_rows.h"
#include "collector/target.h"
#include "model/storage.h"

namespace tocsin::collector {

// What storage did with a scrape's samples.
struct RecordOutcome {
  Status status;
  uint64_t samples_committed = 0;
  uint64_t duplicates = 0;  // same series twice in the page, or the same sample again
  uint64_t out_of_order = 0;
  uint64_t too_old = 0;
  uint64_t too_far_in_future = 0;
  uint64_t over_limit = 0;
  // Of these, and beside them, what storage never saw.
  uint64_t repeated_in_page = 0;   // same series twice in the page
  uint64_t refused_series = 0;     // no slot: a series or source limit
  uint64_t refused_with_page = 0;  // read before the page turned out to be one to refuse
};

class ScrapeRecorder {
 public:
  // `config` and `shapes` must outlive it.
  ScrapeRecorder(const ScrapeConfig* config, std::shared_ptr<const Target> target,
                 model::Appender* appender, PageShapes* shapes);

  // An item (a line, mostly) longer than this is refused, so that a page without newlines costs no
  // memory.
  static constexpr size_t kItemBytesMax = size_t{1} << 20;

  Status Begin(model::Timestamp start_ms, ExpositionFormat format);
  // Bytes used from the front of `bytes`; what is left must come again, with more behind it.
  Result<size_t> Feed(std::string_view bytes, bool last);
  RecordOutcome Commit(double duration_s, int64_t body_bytes);
  RecordOutcome Fail(model::Timestamp start_ms, double duration_s, int64_t body_bytes);
  // What the target's series were, for the recorder that takes over after a reload: what its first
  // page does not have gets a staleness marker and its slot is given back.
  struct Inherited {
    model::Labels source;
    model::Slot slot;
    bool tracked;  // wants a marker
  };
  std::vector<Inherited> TakeSeries();
  void Inherit(std::vector<Inherited> series) { inherited_ = std::move(series); }
  // The target is gone: staleness markers for everything, automatic series included.
  void End(model::Timestamp now_ms);

  uint64_t samples_scraped() const { return scraped_; }
  // The last good page's shape; null before.
  std::shared_ptr<const PageShape> shape() const { return shape_; }
  size_t MemoryBytes() const;

 private:
  enum class Step : uint8_t { kMore, kUnknown, kFailed };
  static constexpr size_t kNoLine = SIZE_MAX;
  static constexpr size_t kLookAhead = 16;  // lines that may have vanished at one place
  // Comments beyond this are read each time instead of being remembered.
  static constexpr size_t kCommentBytesMax = size_t{16} << 20;

  Step ReadKnownLines(const char** position, const char* end, bool last);
  Step CompareLines(const char** position, const char* end, bool last);
  Step ReadKnownRest(const char** position, const char* end, bool last);
  Step ReadOneItem(const char** position, const char* end, bool last);
  bool RecordKnown(size_t line, const char* value, const char* end, bool last,
                   const char** position, Step* step);
  Step RecordItem(std::string_view prefix);
  void Record(LineState* line, const SampleTail& tail);
  bool Admit(const LineState& line, model::Timestamp own_ts_ms);
  bool TrustAgain(size_t line);
  size_t FindLine(std::string_view prefix);
  void LeaveShape();
  void AppendKnown(size_t line);
  void AppendLine(std::string_view gap, uint32_t prefix_length, const LineState& state);
  void MarkVanished(std::vector<LineState>* vanished);
  void MarkInherited(std::vector<LineState>* vanished);
  void MarkShared();
  void StaleAll();
  void StaleInherited();
  void Abandon();
  ScrapeReport MakeReport(bool up, double duration_s, int64_t body_bytes) const;
  RecordOutcome Summarise(const model::CommitResult& result) const;

  const ScrapeConfig* const config_;
  const std::shared_ptr<const Target> target_;
  PageShapes* const shapes_;
  ScrapeRows rows_;

  // The last good page. states_[i] belongs to shape_->lines[i].
  std::shared_ptr<const PageShape> shape_;
  std::vector<LineState> states_;
  bool live_ = false;  // its series have no staleness marker behind their last sample
  std::vector<Inherited> inherited_;

  // The page being read.
  ExpositionFormat format_ = ExpositionFormat::kText;
  size_t next_line_ = 0;  // of shape_, expected now
  bool rest_seen_ = false;
  bool ended_ = false;     // "# EOF" was read
  bool distrust_ = false;  // the last line was parsed: see TrustAgain
  bool over_limit_ = false;
  BoundLabels family_bounds_ = BoundLabels::kNone;  // of the family that the last TYPE began
  uint64_t scraped_ = 0;
  uint64_t kept_ = 0;
  uint64_t added_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t refused_ = 0;
  size_t comment_bytes_ = 0;
  std::string error_;
  Item item_;

  // When it differs from shape_: the shape in the making.
  bool changed_ = false;
  PageShape new_shape_;
  std::vector<LineState> new_states_;
  std::vector<LineState> fresh_;  // resolved now: released again if the page is refused
  std::unordered_map<std::string_view, size_t> line_index_;  // of shape_, built on demand
  SlotSet claimed_;                                          // slots with a sample of this page
  // (source, slot) → own timestamps set in this page; only kept where a slot may be set twice.
  std::unordered_map<uint64_t, std::vector<model::Timestamp>> own_times_;
};

}  // namespace tocsin::collector
