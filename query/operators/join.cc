#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "query/operators/binary.h"

namespace tocsin::query {

using model::Labels;

JoinOperator::JoinOperator(QueryContext* context, const Grid& grid, BinarySpec spec,
                           VectorMatching matching, OperatorPtr lhs, OperatorPtr rhs)
    : Operator(context, grid),
      spec_(spec),
      matching_(std::move(matching)),
      many_is_left_(matching_.card != MatchCardinality::kOneToMany),
      many_(many_is_left_ ? std::move(lhs) : std::move(rhs)),
      one_(many_is_left_ ? std::move(rhs) : std::move(lhs)),
      // The reference swaps the sides of group_right, but not their fill values.
      fill_many_(matching_.fill_lhs),
      fill_one_(matching_.fill_rhs) {}

Status JoinOperator::Open() {
  notes_ = std::make_shared<PairNotes>(grid_.count);
  context_->annotations.WhenTaken(
      [notes = notes_, op = spec_.op, position = spec_.position](AnnotationSink* annotations) {
        notes->AnnotateLast(op, position, annotations);
      });
  TOCSIN_RETURN_IF_ERROR(many_->Open());
  TOCSIN_RETURN_IF_ERROR(one_->Open());
  std::vector<uint32_t> group_of_one;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      const size_t groups,
      HashSignatures(matching_, *many_, *one_, &group_of_many_, &group_of_one));
  static constexpr uint64_t kCellBytes = sizeof(uint32_t) + 1;  // owner and presence
  TOCSIN_RETURN_IF_ERROR(charge_.Grow(&context_->memory, groups * grid_.count * kCellBytes));
  TOCSIN_RETURN_IF_ERROR(ReadOneSide(group_of_one, groups));
  if (fill_many_.has_value()) TOCSIN_RETURN_IF_ERROR(ReadManyMatches());
  TOCSIN_RETURN_IF_ERROR(AddOutputs(group_of_many_, group_of_one, groups));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(careful_, NeedsCare(group_of_many_));
  return careful_ ? ComputeCarefully() : Status::Ok();
}

Status JoinOperator::DuplicateOnOneSide(uint32_t a, uint32_t b) const {
  std::string first = one_->LabelsAt(a).ToBracedString();
  std::string second = one_->LabelsAt(b).ToBracedString();
  if (second < first) std::swap(first, second);
  return Status(
      Code::kExecution,
      fmt::format("found duplicate series for the match group {} on the {} hand-side of the "
                  "operation: [{}, {}];many-to-many matching not allowed: matching labels must be "
                  "unique on one side",
                  SignatureOf(matching_, one_->LabelsAt(a)).ToBracedString(),
                  many_is_left_ ? "right" : "left", first, second));
}

Status JoinOperator::ReadOneSide(const std::vector<uint32_t>& group_of_one, size_t groups) {
  TOCSIN_RETURN_IF_ERROR(one_rows_.Reset(groups, grid_.count, &context_->memory));
  std::vector<uint32_t> owner(groups, kNoSeries);
  bool shared = false;
  for (size_t s = 0; s < group_of_one.size(); ++s) {
    shared |= owner[group_of_one[s]] != kNoSeries;
    owner[group_of_one[s]] = static_cast<uint32_t>(s);
  }
  if (shared) one_owners_.assign(groups * grid_.count, kNoSeries);
  std::map<size_t, Duplicate> duplicates;  // the first one of each step
  const auto take = [&](size_t first, Batch& batch) -> Status {
    for (size_t s = 0; s < batch.series(); ++s) {
      const uint32_t group = group_of_one[first + s];
      if (!shared) {
        one_rows_.CopyRow(batch, s, group);
        continue;
      }
      for (size_t t = 0; t < grid_.count; ++t) {
        if (batch.kinds(s)[t] == PointKind::kAbsent) continue;
        uint32_t& owned_by = one_owners_[group * grid_.count + t];
        if (owned_by != kNoSeries) {
          duplicates.try_emplace(t, Duplicate{owned_by, static_cast<uint32_t>(first + s)});
          batch.kinds(s)[t] = PointKind::kAbsent;
          continue;
        }
        owned_by = static_cast<uint32_t>(first + s);
      }
      TOCSIN_RETURN_IF_ERROR(MergeRow(batch, s, &one_rows_, group));
    }
    return Status::Ok();
  };
  TOCSIN_RETURN_IF_ERROR(ForEachMorselInOrder(*one_, take));
  return duplicates.empty() ? Status::Ok() : CheckDuplicates(duplicates);
}

// Where the other side has nothing at all there is nothing to match, and duplicates do no harm.
Status JoinOperator::CheckDuplicates(const std::map<size_t, Duplicate>& duplicates) {
  std::vector<uint8_t> occupied(grid_.count, fill_many_.has_value() || fill_one_.has_value());
  const auto look = [&](size_t /*first*/, Batch& batch) -> Status {
    for (size_t s = 0; s < batch.series(); ++s) {
      for (const auto& [step, duplicate] : duplicates) {
        if (batch.kinds(s)[step] != PointKind::kAbsent) occupied[step] = 1;
      }
    }
    return Status::Ok();
  };
  TOCSIN_RETURN_IF_ERROR(ForEachMorselInOrder(*many_, look));
  for (const auto& [step, duplicate] : duplicates) {
    if (occupied[step] != 0) return DuplicateOnOneSide(duplicate.first, duplicate.second);
  }
  return Status::Ok();
}

bool JoinOperator::Fit(const Batch& many, size_t row, uint32_t group, size_t t) const {
  const PointKind many_kind = many.kinds(row)[t];
  const PointKind one_kind = one_rows_.kinds(group)[t];
  if (many_kind == PointKind::kAbsent || one_kind == PointKind::kAbsent) return false;
  const bool trims = spec_.op == BinaryOp::kTrimUpper || spec_.op == BinaryOp::kTrimLower;
  if (many_kind == PointKind::kFloat && one_kind == PointKind::kFloat) return !trims;
  const Operand many_operand{many.values(row)[t], many_kind == PointKind::kHistogram
                                                      ? many.histograms(row)[t].get()
                                                      : nullptr};
  const Operand one_operand{one_rows_.values(group)[t], one_kind == PointKind::kHistogram
                                                            ? one_rows_.histograms(group)[t].get()
                                                            : nullptr};
  return CombineHistograms(spec_.op, many_is_left_ ? many_operand : one_operand,
                           many_is_left_ ? one_operand : many_operand)
             .outcome != PairOutcome::kNothing;
}

Status JoinOperator::ReadManyMatches() {
  many_matches_.assign(one_rows_.series() * grid_.count, 0);
  return ForEachMorselInOrder(*many_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      uint8_t* matched = many_matches_.data() + group_of_many_[first + s] * grid_.count;
      for (size_t t = 0; t < grid_.count; ++t) {
        if (matched[t] == 0 && Fit(batch, s, group_of_many_[first + s], t)) matched[t] = 1;
      }
    }
    return Status::Ok();
  });
}

Labels JoinOperator::ResultLabels(const Labels& many, const Labels* one) const {
  model::LabelsBuilder builder(many);
  if (ChangesMetric(spec_.op) || (spec_.return_bool && !context_->language.delayed_name_removal)) {
    builder.Del(model::kMetricName).Del("__type__").Del("__unit__");
  }
  if (matching_.card == MatchCardinality::kOneToOne) {
    if (matching_.on) {
      builder.Keep(matching_.labels);
    } else {
      for (const std::string& name : matching_.labels) builder.Del(name);
    }
  }
  for (const std::string& name : matching_.include) {
    builder.Set(name, one == nullptr ? std::string_view() : one->Get(name));
  }
  return builder.Build();
}

Status JoinOperator::AddOutputs(const std::vector<uint32_t>& group_of_many,
                                const std::vector<uint32_t>& group_of_one, size_t groups) {
  std::vector<std::vector<uint32_t>> ones(groups);
  for (size_t s = 0; s < group_of_one.size(); ++s) {
    ones[group_of_one[s]].push_back(static_cast<uint32_t>(s));
  }
  std::vector<uint8_t> has_many(groups, 0);
  const bool drops = spec_.return_bool && context_->language.delayed_name_removal;
  size_t charged_outputs = 0;
  const auto add = [&](const Labels& many_labels, uint32_t many, uint32_t group,
                       uint32_t owner) -> Status {
    // With included labels there may be as many as series on both sides multiplied.
    if (outputs_.size() == charged_outputs) {
      charged_outputs = std::max<size_t>(16, 2 * charged_outputs);
      TOCSIN_RETURN_IF_ERROR(context_->CheckRunning());
      TOCSIN_RETURN_IF_ERROR(
          outputs_charge_.Grow(&context_->memory, charged_outputs * 2 * sizeof(Output)));
    }
    Output output;
    output.many = many;
    output.group = group;
    output.owner = owner;
    output.drops_name = drops;
    if (owner == kFilledOwner || matching_.include.empty() || ones[group].empty()) {
      output.labels = ResultLabels(many_labels, nullptr);
    } else {
      const Labels one = one_->LabelsAt(owner == kAnyOwner ? ones[group].front() : owner);
      output.labels = ResultLabels(many_labels, &one);
    }
    TOCSIN_RETURN_IF_ERROR(labels_charge_.Add(output.labels));
    outputs_.push_back(std::move(output));
    return Status::Ok();
  };
  // With include labels the owners of a signature give different output series.
  const auto add_for_owners = [&](const Labels& many_labels, uint32_t many, uint32_t group,
                                  bool filled) -> Status {
    if (matching_.include.empty() || (ones[group].size() <= 1 && !filled)) {
      return add(many_labels, many, group, kAnyOwner);
    }
    for (const uint32_t owner : ones[group]) {
      TOCSIN_RETURN_IF_ERROR(add(many_labels, many, group, owner));
    }
    return filled ? add(many_labels, many, group, kFilledOwner) : Status::Ok();
  };
  for (size_t m = 0; m < group_of_many.size(); ++m) {
    const uint32_t group = group_of_many[m];
    has_many[group] = 1;
    if (ones[group].empty() && !fill_one_.has_value()) continue;
    TOCSIN_RETURN_IF_ERROR(
        add_for_owners(many_->LabelsAt(m), static_cast<uint32_t>(m), group, fill_one_.has_value()));
  }
  if (!fill_many_.has_value()) return Status::Ok();
  for (uint32_t group = 0; group < groups; ++group) {
    if (ones[group].empty()) continue;
    TOCSIN_RETURN_IF_ERROR(add_for_owners(
        SignatureOf(matching_, one_->LabelsAt(ones[group].front())), kNoSeries, group, false));
  }
  return Status::Ok();
}

Result<bool> JoinOperator::NeedsCare(const std::vector<uint32_t>& group_of_many) const {
  if (matching_.card == MatchCardinality::kOneToOne) {
    std::vector<uint8_t> seen(one_rows_.series(), 0);
    for (const Output& output : outputs_) {
      if (output.many == kNoSeries) continue;
      if (seen[group_of_many[output.many]]++ != 0) return true;
    }
  }
  LabelsCharge charge(context_);
  std::unordered_set<Labels, model::LabelsHash> labels;
  for (const Output& output : outputs_) {
    TOCSIN_TRY(charge.Add(output.labels));
    if (!labels.insert(output.labels).second) return true;
  }
  return false;
}

uint64_t JoinOperator::OrderOf(const Output& output) {
  return output.many == kNoSeries ? uint64_t{kNoSeries} + output.group : output.many;
}

Status JoinOperator::CombineRow(const Output& output, const Batch* many, size_t many_row,
                                Batch* out, size_t row, uint8_t* paired) const {
  const size_t steps = grid_.count;
  const PointKind* one_kinds = one_rows_.kinds(output.group);
  const double* one_values = one_rows_.values(output.group);
  const HistogramPtr* one_histograms = one_rows_.histograms(output.group);
  const uint32_t* owners =
      one_owners_.empty() ? nullptr : one_owners_.data() + output.group * steps;
  const HistogramPtr* many_histograms = many == nullptr ? nullptr : many->histograms(many_row);
  for (size_t t = 0; t < steps; ++t) {
    PointKind many_kind = many == nullptr ? PointKind::kAbsent : many->kinds(many_row)[t];
    double many_value = many == nullptr ? 0 : many->values(many_row)[t];
    PointKind one_kind = one_kinds[t];
    double one_value = one_values[t];
    if (many == nullptr) {
      if (one_kind == PointKind::kAbsent || many_matches_[output.group * steps + t] != 0) continue;
      many_kind = PointKind::kFloat;
      many_value = *fill_many_;
    }
    if (many_kind == PointKind::kAbsent) continue;
    if (one_kind == PointKind::kAbsent) {
      if (!fill_one_.has_value()) continue;
      if (output.owner != kAnyOwner && output.owner != kFilledOwner) continue;
      one_kind = PointKind::kFloat;
      one_value = *fill_one_;
    } else if (output.owner == kFilledOwner ||
               (output.owner != kAnyOwner && owners != nullptr && owners[t] != output.owner)) {
      continue;
    }
    if (many_kind == PointKind::kFloat && one_kind == PointKind::kFloat &&
        spec_.op != BinaryOp::kTrimUpper && spec_.op != BinaryOp::kTrimLower) {
      if (paired != nullptr) paired[t] = 1;
      const double left = many_is_left_ ? many_value : one_value;
      const double right = many_is_left_ ? one_value : many_value;
      if (!IsComparison(spec_.op)) {
        out->SetFloat(row, t, FloatArithmetic(spec_.op, left, right));
      } else if (const bool holds = FloatCompare(spec_.op, left, right); spec_.return_bool) {
        out->SetFloat(row, t, holds ? 1 : 0);
      } else if (holds) {
        out->SetFloat(row, t, left);
      }
      continue;
    }
    const Operand many_operand{
        many_value, many_kind == PointKind::kHistogram ? many_histograms[t].get() : nullptr};
    const Operand one_operand{
        one_value, one_kind == PointKind::kHistogram ? one_histograms[t].get() : nullptr};
    PairResult result = CombineHistograms(spec_.op, many_is_left_ ? many_operand : one_operand,
                                          many_is_left_ ? one_operand : many_operand);
    if (result.note != PairNote::kNone) notes_->Note(t, OrderOf(output), result.note);
    if (result.outcome == PairOutcome::kNothing) continue;
    if (paired != nullptr) paired[t] = 1;
    if (IsComparison(spec_.op) && spec_.return_bool) {
      out->SetFloat(row, t, result.keep ? 1 : 0);
    } else if (!result.keep) {
      continue;
    } else if (result.outcome == PairOutcome::kHistogram) {
      out->SetHistogram(row, t, std::move(result.histogram));
    } else {
      out->SetFloat(row, t, result.value);
    }
  }
  return Status::Ok();
}

// Reads runs of neighbouring series of the many side together.
class JoinOperator::JoinCursor final : public Cursor {
 public:
  // `paired` (may be null) gets a byte a series and step, see CombineRow.
  explicit JoinCursor(const JoinOperator* join, std::vector<uint8_t>* paired = nullptr)
      : join_(join), paired_(paired), many_(join->many_->NewCursor()) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, join_->grid_.count, &join_->context_->memory));
    const std::vector<Output>& outputs = join_->outputs_;
    const size_t steps = join_->grid_.count;
    if (paired_ != nullptr) paired_->assign(count * steps, 0);
    const auto paired = [&](size_t i) {
      return paired_ == nullptr ? nullptr : paired_->data() + i * steps;
    };
    for (size_t i = 0; i < count;) {
      const uint32_t many = outputs[first + i].many;
      if (many == kNoSeries) {
        TOCSIN_RETURN_IF_ERROR(
            join_->CombineRow(outputs[first + i], nullptr, 0, out, i, paired(i)));
        ++i;
        continue;
      }
      size_t run = 1;  // outputs whose series lie in one stretch of the many side
      while (i + run < count && outputs[first + i + run].many != kNoSeries &&
             outputs[first + i + run].many - outputs[first + i + run - 1].many <= 1) {
        ++run;
      }
      const uint32_t last = outputs[first + i + run - 1].many;
      TOCSIN_RETURN_IF_ERROR(many_->Read(many, last - many + 1, &batch_));
      for (size_t r = 0; r < run; ++r, ++i) {
        TOCSIN_RETURN_IF_ERROR(join_->CombineRow(
            outputs[first + i], &batch_, outputs[first + i].many - many, out, i, paired(i)));
      }
    }
    return Status::Ok();
  }

 private:
  const JoinOperator* const join_;
  std::vector<uint8_t>* const paired_;
  const std::unique_ptr<Cursor> many_;
  Batch batch_;
};

Status JoinOperator::ComputeCarefully() {
  // Outputs with equal labels become one; who gave the point at each step decides what a clash is.
  LabelsCharge labels_charge(context_);
  std::unordered_map<Labels, uint32_t, model::LabelsHash> ids;
  std::vector<uint32_t> target(outputs_.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const auto next = static_cast<uint32_t>(ids.size());
    const auto [it, added] = ids.try_emplace(outputs_[i].labels, next);
    if (added) TOCSIN_RETURN_IF_ERROR(labels_charge.Add(it->first));
    target[i] = it->second;
  }
  const size_t steps = grid_.count;
  TOCSIN_RETURN_IF_ERROR(computed_.Reset(ids.size(), steps, &context_->memory));
  MemoryCharge charge;
  TOCSIN_RETURN_IF_ERROR(
      charge.Grow(&context_->memory, (ids.size() * sizeof(uint32_t) + one_rows_.series()) * steps));
  std::vector<uint32_t> group_at(ids.size() * steps, kNoGroup);  // signature of the point there
  const bool one_to_one = matching_.card == MatchCardinality::kOneToOne;
  std::vector<uint8_t> matched(one_to_one ? one_rows_.series() * steps : 0, 0);

  // Clashes count before a comparison filters, as in the reference.
  std::vector<uint8_t> paired;
  JoinCursor cursor(this, &paired);
  Batch batch;
  const size_t morsel = MorselSeries(steps);
  for (size_t first = 0; first < outputs_.size(); first += morsel) {
    TOCSIN_RETURN_IF_ERROR(context_->CheckRunning());
    const size_t count = std::min(morsel, outputs_.size() - first);
    TOCSIN_RETURN_IF_ERROR(cursor.Read(first, count, &batch));
    for (size_t s = 0; s < count; ++s) {
      const uint32_t group = outputs_[first + s].group;
      for (size_t t = 0; t < steps; ++t) {
        if (paired[s * steps + t] == 0) continue;
        if (one_to_one && matched[group * steps + t]++ != 0) {
          return Status(Code::kExecution,
                        "multiple matches for labels: many-to-one matching must be explicit "
                        "(group_left/group_right)");
        }
        uint32_t& there = group_at[target[first + s] * steps + t];
        if (there == group) {
          return Status(Code::kExecution,
                        "multiple matches for labels: grouping labels must ensure unique matches");
        }
        there = group;
      }
      TOCSIN_RETURN_IF_ERROR(MergeRow(batch, s, &computed_, target[first + s]));
    }
  }
  std::vector<Output> merged(ids.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    Output& output = merged[target[i]];
    output.drops_name = output.drops_name || outputs_[i].drops_name;
    output.labels = std::move(outputs_[i].labels);
  }
  outputs_ = std::move(merged);
  return Status::Ok();
}

std::unique_ptr<Cursor> JoinOperator::NewCursor() const {
  if (careful_) return NewCopyCursor(&computed_, context_);
  return std::make_unique<JoinCursor>(this);
}

}  // namespace tocsin::query
