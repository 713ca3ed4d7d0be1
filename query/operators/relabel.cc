#include "query/operators/relabel.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <map>

namespace tocsin::query {

using model::Labels;

RelabelOperator::RelabelOperator(QueryContext* context, const Grid& grid, LabelReplaceSpec spec,
                                 OperatorPtr child)
    : Operator(context, grid),
      replace_(true),
      replace_spec_(std::move(spec)),
      child_(std::move(child)) {}

RelabelOperator::RelabelOperator(QueryContext* context, const Grid& grid, LabelJoinSpec spec,
                                 OperatorPtr child)
    : Operator(context, grid),
      replace_(false),
      join_spec_(std::move(spec)),
      child_(std::move(child)) {}

namespace {

bool IsWord(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Go's Regexp.Expand: $name takes the longest run of letters, digits and _; ${name} says where it
// ends; $$ is a dollar. Groups that do not exist are empty. The parts go to append(part), so that
// their length can be known before any of it is made.
template <typename Append>
void ExpandTo(std::string_view text, const std::vector<re2::StringPiece>& groups,
              const std::map<std::string, int>& names, const Append& append) {
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      append("$");
      text.remove_prefix(1);
      continue;
    }
    const bool braced = text.starts_with('{');
    size_t end = braced ? 1 : 0;
    while (end < text.size() && IsWord(text[end])) ++end;
    const std::string name(text.substr(braced ? 1 : 0, end - (braced ? 1 : 0)));
    const bool complete = !name.empty() && (!braced || (end < text.size() && text[end] == '}'));
    if (!complete) {
      append("$");
      continue;
    }
    text.remove_prefix(end + (braced ? 1 : 0));
    int group = -1;
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      group = name.size() > 8 ? -1 : std::stoi(name);
    } else if (const auto it = names.find(name); it != names.end()) {
      group = it->second;
    }
    if (group >= 0 && static_cast<size_t>(group) < groups.size()) {
      const re2::StringPiece& piece = groups[static_cast<size_t>(group)];
      if (piece.data() != nullptr) append({piece.data(), piece.size()});
    }
  }
}

bool IsLabelName(const std::string& name) { return !name.empty() && model::IsValidUtf8(name); }

}  // namespace

Status RelabelOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  // Grow once: a vector that doubles holds three times as much for a moment.
  TOCSIN_RETURN_IF_ERROR(charge_.Reserve(child_->series_count() * sizeof(Labels) / 4));
  labels_.reserve(child_->series_count());
  drops_name_.reserve(child_->series_count());
  return replace_ ? OpenReplace() : OpenJoin();
}

Status RelabelOperator::OpenReplace() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const re2::RE2 regex("^(?s:" + replace_spec_.pattern + ")$", options);
  if (!regex.ok()) {
    return Status(Code::kExecution, fmt::format("invalid regular expression in label_replace(): {}",
                                                replace_spec_.pattern));
  }
  if (!IsLabelName(replace_spec_.destination)) {
    return Status(Code::kExecution,
                  fmt::format("invalid destination label name in label_replace(): {}",
                              replace_spec_.destination));
  }
  const std::map<std::string, int>& names = regex.NamedCapturingGroups();
  std::vector<re2::StringPiece> groups(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
  const bool sets_name = replace_spec_.destination == model::kMetricName;
  for (size_t s = 0; s < child_->series_count(); ++s) {
    Labels labels = child_->LabelsAt(s);
    const bool drops_name = child_->DropsName(s);
    const std::string_view source = labels.Get(replace_spec_.source);
    TOCSIN_RETURN_IF_ERROR(charge_.Reserve(labels.packed().size() + source.size()));
    if (!regex.Match({source.data(), source.size()}, 0, source.size(), re2::RE2::UNANCHORED,
                     groups.data(), static_cast<int>(groups.size()))) {
      TOCSIN_RETURN_IF_ERROR(charge_.Add(labels));
      labels_.push_back(std::move(labels));
      drops_name_.push_back(drops_name);
      continue;
    }
    size_t length = 0;
    ExpandTo(replace_spec_.replacement, groups, names,
             [&length](std::string_view part) { length += part.size(); });
    TOCSIN_RETURN_IF_ERROR(charge_.Reserve(labels.packed().size() + length));
    std::string value;
    value.reserve(length);
    ExpandTo(replace_spec_.replacement, groups, names,
             [&value](std::string_view part) { value += part; });
    TOCSIN_RETURN_IF_ERROR(
        Keep(labels, replace_spec_.destination, value, drops_name && !sets_name));
  }
  return Status::Ok();
}

Status RelabelOperator::OpenJoin() {
  for (const std::string& source : join_spec_.sources) {
    if (!IsLabelName(source)) {
      return Status(Code::kExecution,
                    fmt::format("invalid source label name in label_join(): {}", source));
    }
  }
  if (!IsLabelName(join_spec_.destination)) {
    return Status(
        Code::kExecution,
        fmt::format("invalid destination label name in label_join(): {}", join_spec_.destination));
  }
  const bool sets_name = join_spec_.destination == model::kMetricName;
  for (size_t s = 0; s < child_->series_count(); ++s) {
    const Labels labels = child_->LabelsAt(s);
    size_t length = 0;
    for (const std::string& source : join_spec_.sources) {
      length += labels.Get(source).size() + join_spec_.separator.size();
    }
    TOCSIN_RETURN_IF_ERROR(charge_.Reserve(labels.packed().size() + length));
    std::string joined;
    joined.reserve(length);
    for (size_t i = 0; i < join_spec_.sources.size(); ++i) {
      if (i > 0) joined += join_spec_.separator;
      joined += labels.Get(join_spec_.sources[i]);
    }
    TOCSIN_RETURN_IF_ERROR(
        Keep(labels, join_spec_.destination, joined, child_->DropsName(s) && !sets_name));
  }
  return Status::Ok();
}

Status RelabelOperator::Keep(const Labels& labels, const std::string& destination,
                             std::string_view value, bool drops_name) {
  Labels built = model::LabelsBuilder(labels).Set(destination, value).Build();
  TOCSIN_RETURN_IF_ERROR(charge_.Add(built));
  labels_.push_back(std::move(built));
  drops_name_.push_back(drops_name);
  return Status::Ok();
}

}  // namespace tocsin::query
