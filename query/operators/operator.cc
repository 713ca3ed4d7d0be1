#include "query/operators/operator.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <new>
#include <thread>
#include <unordered_map>

namespace tocsin::query {

using model::Labels;
using model::LabelView;

bool IsNameLabel(std::string_view name) {
  return name == model::kMetricName || name == "__type__" || name == "__unit__";
}

Labels WithoutName(const Labels& labels) {
  std::vector<LabelView> kept;
  for (const LabelView& label : labels) {
    if (!IsNameLabel(label.name)) kept.push_back(label);
  }
  return Labels::FromSorted(kept.data(), kept.size());
}

bool Operator::DropsName(size_t /*series*/) const { return false; }

void Operator::Group(bool without, std::span<const std::string> names,
                     std::vector<uint32_t>* group_of_series, std::vector<Labels>* groups) const {
  group_of_series->clear();
  group_of_series->reserve(series_count());
  groups->clear();
  std::unordered_map<Labels, uint32_t, model::LabelsHash> ids;
  std::vector<LabelView> kept;
  for (size_t s = 0; s < series_count(); ++s) {
    const Labels labels = LabelsAt(s);
    kept.clear();
    for (const LabelView& label : labels) {
      const bool named = std::find(names.begin(), names.end(), label.name) != names.end();
      if (without ? !named && !IsNameLabel(label.name) : named) kept.push_back(label);
    }
    const auto [it, added] = ids.try_emplace(Labels::FromSorted(kept.data(), kept.size()),
                                             static_cast<uint32_t>(groups->size()));
    if (added) groups->push_back(it->first);
    group_of_series->push_back(it->second);
  }
}

size_t MorselSeries(size_t steps) {
  static constexpr size_t kMorselPoints = 16384;
  // At one step it is the samples of the window that count: 256 series of an hour are 0.5 MiB.
  static constexpr size_t kSeriesMax = 256;
  return std::clamp<size_t>(kMorselPoints / std::max<size_t>(steps, 1), 32, kSeriesMax);
}

namespace {

int64_t ThreadCpuNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// `failed` becomes true with the first error, also one that comes from reading.
Status RunMorsels(const Operator& op, const std::function<Status(size_t, size_t, Batch&)>& consume,
                  std::atomic<bool>* failed) {
  const size_t morsel_series = MorselSeries(op.grid().count);
  const size_t morsels = (op.series_count() + morsel_series - 1) / morsel_series;
  std::atomic<size_t> next = 0;
  Mutex mu;
  Status first_error;

  const auto read_one = [&](Cursor* cursor, size_t morsel, Batch* batch,
                            MemoryCharge* histograms) -> Status {
    TOCSIN_RETURN_IF_ERROR(op.context()->CheckRunning());
    const size_t first = morsel * morsel_series;
    TOCSIN_RETURN_IF_ERROR(
        cursor->Read(first, std::min(morsel_series, op.series_count() - first), batch));
    // Made somewhere below, so only counted now: a morsel's worth too late.
    TOCSIN_RETURN_IF_ERROR(histograms->Grow(&op.context()->memory, batch->HistogramBytes()));
    return consume(morsel, first, *batch);
  };
  const auto work = [&] {
    std::unique_ptr<Cursor> cursor;
    Batch batch;
    MemoryCharge histograms;
    while (!failed->load(std::memory_order_relaxed)) {
      const size_t morsel = next.fetch_add(1);
      if (morsel >= morsels) return;
      Status status;
      try {
        if (cursor == nullptr) cursor = op.NewCursor();
        status = read_one(cursor.get(), morsel, &batch, &histograms);
      } catch (const std::bad_alloc&) {
        status = Status(Code::kResourceExhausted, "out of memory");
      }
      if (!status.ok()) {
        MutexLock lock(mu);
        if (first_error.ok()) first_error = std::move(status);
        *failed = true;
      }
    }
  };
  const int helpers = static_cast<int>(std::min<size_t>(morsels, 64)) - 1;
  const std::thread::id asked = std::this_thread::get_id();
  op.context()->pool->Run(helpers, [&] {
    if (std::this_thread::get_id() == asked) return work();
    const int64_t begun = ThreadCpuNanos();
    work();
    op.context()->helper_cpu_nanos.fetch_add(ThreadCpuNanos() - begun, std::memory_order_relaxed);
  });
  MutexLock lock(mu);
  return first_error;
}

}  // namespace

Status ForEachMorsel(const Operator& op,
                     const std::function<Status(size_t, size_t, Batch&)>& consume) {
  std::atomic<bool> failed = false;
  return RunMorsels(op, consume, &failed);
}

Status ForEachMorselInOrder(const Operator& op,
                            const std::function<Status(size_t, Batch&)>& consume) {
  // How soon a thread that waits for its turn sees that another one failed.
  static constexpr std::chrono::milliseconds kFailurePoll{5};
  std::atomic<bool> failed = false;
  Mutex mu;
  CondVar turn;
  size_t next = 0;
  // Morsels are claimed in order, so the one whose turn it is always has a thread at work on it.
  const auto in_turn = [&](size_t morsel, size_t first, Batch& batch) -> Status {
    MutexLock lock(mu);
    while (next != morsel && !failed) turn.WaitFor(mu, kFailurePoll);
    if (failed) return Status::Ok();
    TOCSIN_RETURN_IF_ERROR(consume(first, batch));
    ++next;
    turn.NotifyAll();
    return Status::Ok();
  };
  return RunMorsels(op, in_turn, &failed);
}

Status ReadAll(const Operator& op, Batch* out) {
  TOCSIN_RETURN_IF_ERROR(out->Reset(op.series_count(), op.grid().count, &op.context()->memory));
  Mutex mu;  // rows of histogram pointers are made on first use
  return ForEachMorsel(op, [&](size_t /*morsel*/, size_t first, Batch& batch) {
    MutexLock lock(mu);
    TOCSIN_RETURN_IF_ERROR(out->ReserveHistograms(batch, &op.context()->memory));
    for (size_t s = 0; s < batch.series(); ++s) out->CopyRow(batch, s, first + s);
    return Status::Ok();
  });
}

Status ReadScalar(const Operator& op, std::vector<double>* out) {
  DCHECK(op.series_count() == 1);
  Batch batch;
  TOCSIN_RETURN_IF_ERROR(op.NewCursor()->Read(0, 1, &batch));
  out->assign(batch.values(0), batch.values(0) + batch.steps());
  return Status::Ok();
}

namespace {

class CopyCursor final : public Cursor {
 public:
  CopyCursor(const Batch* data, QueryContext* context) : data_(data), context_(context) {}
  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, data_->steps(), &context_->memory));
    for (size_t s = 0; s < count; ++s) out->CopyRow(*data_, first + s, s);
    return Status::Ok();
  }

 private:
  const Batch* const data_;
  QueryContext* const context_;
};

}  // namespace

std::unique_ptr<Cursor> NewCopyCursor(const Batch* data, QueryContext* context) {
  return std::make_unique<CopyCursor>(data, context);
}

Status LabelsCharge::Reserve(uint64_t text_bytes) {
  // The set that it is made from, the builder's strings, the set.
  static constexpr uint64_t kCopies = 4;
  static constexpr uint64_t kTextBytesPerItem = 64;
  TOCSIN_RETURN_IF_ERROR(poll_.LookedAt(text_bytes / kTextBytesPerItem));
  return making_.Grow(&context_->memory, text_bytes * kCopies);
}

Status LabelsCharge::Add(const Labels& labels) {
  static constexpr uint64_t kAllocatorBytes = 16;
  static constexpr uint64_t kPortionBytes = 64 * 1024;
  held_bytes_ += sizeof(Labels) + labels.packed().size() + kAllocatorBytes;
  if (held_bytes_ > charged_bytes_) {
    charged_bytes_ =
        std::max(held_bytes_, std::min(2 * charged_bytes_, charged_bytes_ + kPortionBytes));
    TOCSIN_RETURN_IF_ERROR(kept_.Grow(&context_->memory, charged_bytes_));
  }
  return poll_.LookedAt(1);
}

Status MaterialisedOperator::AddLabels(Labels labels, bool drops_name) {
  TOCSIN_RETURN_IF_ERROR(labels_charge_.Add(labels));
  labels_.push_back(std::move(labels));
  drops_name_.push_back(drops_name);
  return Status::Ok();
}

std::unique_ptr<Cursor> MaterialisedOperator::NewCursor() const {
  return NewCopyCursor(&data_, context_);
}

}  // namespace tocsin::query
