#include "collector/scrape_recorder.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "collector/exposition/number.h"

namespace tocsin::collector {
namespace {

const std::shared_ptr<const PageShape>& EmptyShape() {
  static const auto empty = std::make_shared<const PageShape>();
  return empty;
}

BoundLabels BoundsOf(model::MetricType type) {
  switch (type) {
    case model::MetricType::kHistogram:
      return BoundLabels::kHistogram;
    case model::MetricType::kSummary:
      return BoundLabels::kSummary;
    default:
      return BoundLabels::kNone;
  }
}

uint64_t SlotKey(const LineState& line) {
  return (static_cast<uint64_t>(line.source) << 32) | line.slot;
}

// What follows a number, when it is a newline, or one blank and a plain timestamp (text format).
// The first byte of the next line; null for anything else, or when the bytes end too early.
const char* ReadPlainEnd(const char* p, const char* end, ExpositionFormat format,
                         SampleTail* tail) {
  if (p == nullptr || p == end) return nullptr;
  tail->has_exemplar = false;
  tail->has_timestamp = false;
  if (*p == '\n') return p + 1;
  if (*p != ' ' || format != ExpositionFormat::kText) return nullptr;
  const char* const first = ++p;
  constexpr ptrdiff_t kDigitsMax = 18;  // of what surely fits 64 bits
  int64_t timestamp_ms = 0;
  while (p != end && p - first < kDigitsMax && number_internal::IsDigit(*p)) {
    timestamp_ms = timestamp_ms * 10 + (*p++ - '0');
  }
  if (p == first || p == end || *p != '\n') return nullptr;
  tail->has_timestamp = true;
  tail->timestamp_ms = timestamp_ms;
  return p + 1;
}

model::Exemplar MakeExemplar(const SampleTail& tail) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const RawLabel& label : tail.exemplar_labels) {
    pairs.emplace_back(Unescape(label.name.text), Unescape(label.value.text));
  }
  return {.labels = model::Labels::FromPairs(std::move(pairs)).packed(),
          .value = tail.exemplar_value,
          .timestamp_ms = tail.exemplar_timestamp_ms,
          .has_timestamp = tail.exemplar_has_timestamp};
}

}  // namespace

ScrapeRecorder::ScrapeRecorder(const ScrapeConfig* config, std::shared_ptr<const Target> target,
                               model::Appender* appender, PageShapes* shapes)
    : config_(config),
      target_(std::move(target)),
      shapes_(shapes),
      rows_(*config, *target_, appender),
      shape_(EmptyShape()) {}

Status ScrapeRecorder::Begin(model::Timestamp start_ms, ExpositionFormat format) {
  format_ = format;
  next_line_ = 0;
  rest_seen_ = ended_ = distrust_ = over_limit_ = changed_ = false;
  family_bounds_ = BoundLabels::kNone;
  scraped_ = kept_ = added_ = duplicates_ = refused_ = 0;
  comment_bytes_ = 0;
  own_times_.clear();
  TOCSIN_RETURN_IF_ERROR(rows_.Open());
  rows_.Start(start_ms);
  if (shape_->lines.empty() || shape_->format != format) LeaveShape();
  return Status::Ok();
}

Result<size_t> ScrapeRecorder::Feed(std::string_view bytes, bool last) {
  const char* p = bytes.data();
  const char* const end = p + bytes.size();
  while (true) {
    Step step = ReadKnownLines(&p, end, last);
    if (step == Step::kUnknown) {
      const bool at_end = p == end;
      if (at_end && (!last || ended_ || format_ == ExpositionFormat::kText)) break;
      step = ReadOneItem(&p, end, last);
    }
    if (step == Step::kMore) break;
    if (step == Step::kFailed) return Error(Code::kInvalidArgument, error_);
  }
  const auto used = static_cast<size_t>(p - bytes.data());
  if (!last && bytes.size() - used > kItemBytesMax) {
    return Error(Code::kResourceExhausted,
                 "a line is longer than " + std::to_string(kItemBytesMax) + " bytes");
  }
  if (last && over_limit_) return Error(Code::kResourceExhausted, "sample limit exceeded");
  return used;
}

ScrapeRecorder::Step ScrapeRecorder::ReadKnownLines(const char** position, const char* end,
                                                    bool last) {
  if (shape_->format != format_) return Step::kUnknown;
  const size_t first = next_line_;
  const Step step = CompareLines(position, end, last);
  if (next_line_ > first) family_bounds_ = states_[next_line_ - 1].bounds;
  const bool all_read = step == Step::kUnknown && next_line_ == shape_->lines.size();
  return all_read ? ReadKnownRest(position, end, last) : step;
}

// The hot loop: one comparison, one number, one Set a line.
ScrapeRecorder::Step ScrapeRecorder::CompareLines(const char** position, const char* end,
                                                  bool last) {
  const PageShape& shape = *shape_;
  const char* p = *position;
  const char* const text = shape.text.data();
  const size_t count = shape.lines.size();
  uint32_t gap_begin = next_line_ < count ? shape.GapBegin(next_line_) : 0;
  const uint64_t limit = config_->sample_limit;
  // No line needs more than its slot: nothing moved, and all that may come is within the limit.
  bool plain = !changed_ && (limit == 0 || kept_ + (count - next_line_) <= limit);
  for (; next_line_ < count; ++next_line_) {
    const ShapeLine& line = shape.lines[next_line_];
    const size_t gap_length = line.end - gap_begin;
    const auto available = static_cast<size_t>(end - p);
    if (std::memcmp(p, text + gap_begin, std::min(gap_length, available)) != 0) break;
    if (available < gap_length) {
      *position = p;
      return last ? Step::kUnknown : Step::kMore;
    }
    if (distrust_ && !TrustAgain(next_line_)) break;
    const char* const value = p + gap_length;
    SampleTail& tail = item_.tail;
    const char* behind = ParseDecimal(value, end, &tail.value);
    LineState& state = states_[next_line_];
    if (plain && state.flags == 0 && behind != nullptr && behind != end && *behind == '\n')
        [[likely]] {
      rows_.SetOwn(state.slot, tail.value);
      ++scraped_;
      ++kept_;
      p = behind + 1;
    } else if (behind = ReadPlainEnd(behind, end, format_, &tail);
               behind != nullptr && (state.flags & LineState::kRefused) == 0) {
      Record(&state, tail);
      if (changed_) AppendKnown(next_line_);
      p = behind;
    } else {
      *position = p;
      Step step = Step::kMore;
      if (!RecordKnown(next_line_, value, end, last, position, &step)) return step;
      p = *position;
      plain = plain && !changed_;
    }
    gap_begin = line.end;
  }
  *position = p;
  return Step::kUnknown;
}

// Behind the last known line: comments that were there before are not parsed again.
ScrapeRecorder::Step ScrapeRecorder::ReadKnownRest(const char** position, const char* end,
                                                   bool last) {
  if (rest_seen_ || changed_) return Step::kUnknown;
  const std::string_view rest = shape_->Rest();
  const std::string_view input(*position, static_cast<size_t>(end - *position));
  if (input.size() < rest.size() && !last && rest.starts_with(input)) return Step::kMore;
  if (!input.starts_with(rest)) return Step::kUnknown;
  *position += rest.size();
  rest_seen_ = true;
  ended_ = shape_->ends_with_eof;
  return Step::kUnknown;
}

// A known line that is not a plain number of a plain series. False: stop with `*step`.
bool ScrapeRecorder::RecordKnown(size_t index, const char* value, const char* end, bool last,
                                 const char** position, Step* step) {
  LineState& state = states_[index];
  const char* const line = value - shape_->lines[index].prefix_length;
  size_t length = 0;
  const ItemKind kind = ReadTail(format_, {value, static_cast<size_t>(end - value)}, line, last,
                                 &item_.tail, &length, &error_);
  if (kind != ItemKind::kSample) {
    *step = kind == ItemKind::kIncomplete ? Step::kMore : Step::kFailed;
    return false;
  }
  if ((state.flags & LineState::kRefused) != 0 && !over_limit_) {
    // The labels are needed again: storage may have room by now.
    const SampleTail tail = item_.tail;
    const std::string_view whole(line, static_cast<size_t>(value + length - line));
    if (ReadItem(format_, whole, true, &item_) == ItemKind::kSample) {
      if (auto address = AddressOf(item_, state.bounds, *config_, target_->labels)) {
        const BoundLabels bounds = state.bounds;
        state = rows_.Resolve(*address, *target_);
        state.bounds = bounds;
        // Its slot may be another line's too: the page is looked at as a new one.
        if (state.has_series()) LeaveShape();
      }
    }
    item_.tail = tail;
  }
  Record(&state, item_.tail);
  if (changed_) AppendKnown(index);
  *position = value + length;
  return true;
}

ScrapeRecorder::Step ScrapeRecorder::ReadOneItem(const char** position, const char* end,
                                                 bool last) {
  const std::string_view input(*position, static_cast<size_t>(end - *position));
  if (ended_) {
    error_ = "unexpected data after # EOF";
    return Step::kFailed;
  }
  const ItemKind kind = ReadItem(format_, input, last, &item_);
  if (kind == ItemKind::kIncomplete) return Step::kMore;
  if (kind == ItemKind::kInvalid) {
    error_ = item_.error;
    return Step::kFailed;
  }
  LeaveShape();
  if (kind == ItemKind::kSample) {
    const Step step = RecordItem(input.substr(0, item_.value_offset));
    if (step == Step::kFailed) return step;
  } else {
    if (kind == ItemKind::kType) family_bounds_ = BoundsOf(item_.type);
    ended_ = kind == ItemKind::kEnd;
    comment_bytes_ += item_.length;
    if (comment_bytes_ <= kCommentBytesMax) new_shape_.text.append(input.substr(0, item_.length));
  }
  *position += item_.length;
  return Step::kUnknown;
}

// A parsed sample: a known line that moved, or a new one.
ScrapeRecorder::Step ScrapeRecorder::RecordItem(std::string_view prefix) {
  LineState state;
  const size_t known = FindLine(prefix);
  if (known != kNoLine) {
    state = states_[known];
    if (known >= next_line_) next_line_ = known + 1;
  } else {
    auto address = AddressOf(item_, family_bounds_, *config_, target_->labels);
    if (!address) {
      error_ = address.error().message();
      return Step::kFailed;
    }
    if (over_limit_) {
      // The page will be refused; only the counts matter now.
      state.flags = address->kept ? LineState::kRefused : LineState::kDropped;
    } else {
      state = rows_.Resolve(*address, *target_);
      if (state.has_series()) {
        fresh_.push_back(state);
        ++added_;
      }
    }
    state.bounds = family_bounds_;
  }
  distrust_ = true;
  Record(&state, item_.tail);
  AppendLine(prefix, static_cast<uint32_t>(prefix.size()), state);
  return Step::kUnknown;
}

// Counts a sample and gives it to its row.
void ScrapeRecorder::Record(LineState* line, const SampleTail& tail) {
  ++scraped_;
  if ((line->flags & LineState::kDropped) != 0) return;
  ++kept_;
  if (config_->sample_limit > 0 && kept_ > config_->sample_limit) over_limit_ = true;
  if (over_limit_) return;
  if ((line->flags & LineState::kRefused) != 0) {
    ++refused_;
    return;
  }
  const bool own_timestamp = tail.has_timestamp && config_->honor_timestamps;
  if (own_timestamp && !config_->track_timestamps_staleness) {
    line->flags |= LineState::kOwnTimestamp;
  } else {
    line->flags &= static_cast<uint8_t>(~LineState::kOwnTimestamp);
  }
  const model::Timestamp own_ts_ms = own_timestamp ? tail.timestamp_ms : model::kRowTimestamp;
  if (!Admit(*line, own_ts_ms)) {
    ++duplicates_;
    return;
  }
  if (tail.has_exemplar) {
    const model::Exemplar exemplar = MakeExemplar(tail);
    rows_.Set(*line, tail.value, own_ts_ms, &exemplar);
  } else {
    rows_.Set(*line, tail.value, own_ts_ms, nullptr);
  }
}

// A slot may be set once, or once for each timestamp that the lines bring along.
bool ScrapeRecorder::Admit(const LineState& line, model::Timestamp own_ts_ms) {
  if (!changed_ && (line.flags & LineState::kShared) == 0) return true;
  const bool fresh = claimed_.Insert(line.source, line.slot);
  if (own_ts_ms == model::kRowTimestamp) return fresh;
  const auto [entry, first] = own_times_.try_emplace(SlotKey(line));
  // Claimed by a line whose timestamp was not noted: rather one sample less than one twice.
  if (!fresh && first) return false;
  auto& times = entry->second;
  if (std::find(times.begin(), times.end(), own_ts_ms) != times.end()) return false;
  times.push_back(own_ts_ms);
  return true;
}

// After a parsed line the family may be another than the memo's. A line is good again once its gap
// brings its own TYPE, or the family is of the same kind.
bool ScrapeRecorder::TrustAgain(size_t line) {
  if (states_[line].bounds != family_bounds_ &&
      shape_->Gap(line).find("TYPE ") == std::string_view::npos) {
    return false;
  }
  distrust_ = false;
  return true;
}

size_t ScrapeRecorder::FindLine(std::string_view prefix) {
  const size_t count = shape_->lines.size();
  if (count == 0 || shape_->format != format_) return kNoLine;
  size_t found = kNoLine;
  const size_t stop = std::min(count, next_line_ + kLookAhead);
  for (size_t i = next_line_; i < stop && found == kNoLine; ++i) {
    if (shape_->Prefix(i) == prefix) found = i;
  }
  if (found == kNoLine) {
    if (line_index_.empty()) {
      line_index_.reserve(count);
      for (size_t i = 0; i < count; ++i) line_index_.try_emplace(shape_->Prefix(i), i);
    }
    const auto it = line_index_.find(prefix);
    if (it != line_index_.end()) found = it->second;
  }
  if (found == kNoLine || states_[found].bounds != family_bounds_ ||
      (states_[found].flags & LineState::kRefused) != 0) {
    return kNoLine;
  }
  return found;
}

// From here on the page is another than the last: what was equal so far is copied.
void ScrapeRecorder::LeaveShape() {
  if (changed_) return;
  changed_ = true;
  claimed_.Clear();
  own_times_.clear();
  line_index_.clear();
  fresh_.clear();
  new_shape_ = PageShape();
  new_shape_.format = format_;
  new_states_.assign(states_.begin(), states_.begin() + static_cast<ptrdiff_t>(next_line_));
  const auto& lines = shape_->lines;
  new_shape_.lines.assign(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(next_line_));
  const size_t equal = rest_seen_ ? shape_->text.size() : shape_->GapBegin(next_line_);
  new_shape_.text.assign(shape_->text, 0, equal);
  for (const LineState& state : new_states_) {
    if (state.has_series()) claimed_.Insert(state.source, state.slot);
  }
}

void ScrapeRecorder::AppendKnown(size_t line) {
  AppendLine(shape_->Gap(line), shape_->lines[line].prefix_length, states_[line]);
}

void ScrapeRecorder::AppendLine(std::string_view gap, uint32_t prefix_length,
                                const LineState& state) {
  new_shape_.text.append(gap);
  new_shape_.lines.push_back({static_cast<uint32_t>(new_shape_.text.size()), prefix_length});
  new_states_.push_back(state);
}

size_t ScrapeRecorder::MemoryBytes() const {
  return sizeof *this + states_.capacity() * sizeof(LineState) +
         new_states_.capacity() * sizeof(LineState) + new_shape_.MemoryBytes();
}

}  // namespace tocsin::collector
