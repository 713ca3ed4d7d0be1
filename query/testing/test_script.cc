#include "query/testing/test_script.h"

#include <algorithm>
#include <map>

#include "base/duration.h"
#include "base/number.h"
#include "query/literals.h"
#include "query/parser.h"
#include "query/testing/nhcb.h"

namespace tocsin::query {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// The first word of *text, which is then cut off with the space behind it.
std::string_view TakeWord(std::string_view* text) {
  size_t end = 0;
  while (end < text->size() && !IsSpace((*text)[end])) ++end;
  const std::string_view word = text->substr(0, end);
  *text = Trim(text->substr(end));
  return word;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

// A line that is only a number, in any base, with a sign.
std::optional<double> NumberLine(std::string_view line) {
  const bool negative = line.starts_with('-');
  if (negative || line.starts_with('+')) line.remove_prefix(1);
  if (line.empty() || line.starts_with('-') || line.starts_with('+')) return std::nullopt;
  const Result<double> value = ParseNumber(line);
  if (!value) return std::nullopt;
  return negative ? -*value : *value;
}

class ScriptParser {
 public:
  explicit ScriptParser(std::string_view text);

  Result<TestScript> Parse();

 private:
  // The next line of the current command's body; false at an empty line or the end.
  bool NextBodyLine(std::string_view* line);
  Status At(Status status) const;
  Status Fail(std::string message) const { return At(Status(Code::kInvalidArgument, message)); }

  Status ParseLoad(std::string_view head, LoadCommand* load);
  Status ParseLoadSeries(std::string_view line, int64_t step_ms, LoadCommand* load);
  Status ParseEval(std::string_view head, EvalCommand* eval);
  Status ParseEvalHead(std::string_view head, EvalCommand* eval);
  Status ParseEvalBody(EvalCommand* eval);
  Status ParseFailureLine(std::string_view line, EvalCommand* eval, bool* taken);
  Status ParseExpectLine(std::string_view line, EvalCommand* eval);
  Status ParseTextExpectation(std::string_view text, TextExpectation* expectation);
  Status ParseRangeVectorLine(std::string_view rest, EvalCommand* eval);
  Status ParseSeriesLine(std::string_view line, EvalCommand* eval);
  Status ParseTimes(std::string_view* text, EvalCommand* eval);
  Status ParseTime(std::string_view text, int64_t* ms);

  std::vector<std::string_view> lines_;
  size_t next_ = 0;  // the line to be read next
  std::optional<StartTimestampLine> pending_start_;
  std::map<model::Labels, size_t> loaded_;  // place in the load's series
};

ScriptParser::ScriptParser(std::string_view text) {
  while (true) {
    const size_t newline = text.find('\n');
    std::string_view line = Trim(text.substr(0, newline));
    if (line.starts_with('#')) line = {};
    lines_.push_back(line);
    if (newline == std::string_view::npos) break;
    text.remove_prefix(newline + 1);
  }
}

bool ScriptParser::NextBodyLine(std::string_view* line) {
  if (next_ >= lines_.size() || lines_[next_].empty()) return false;
  *line = lines_[next_++];
  return true;
}

Status ScriptParser::At(Status status) const {
  return status.Annotate("line " + std::to_string(next_));
}

Result<TestScript> ScriptParser::Parse() {
  TestScript script;
  while (next_ < lines_.size()) {
    std::string_view line = lines_[next_++];
    if (line.empty()) continue;
    const int number = static_cast<int>(next_);
    std::string_view rest = line;
    const std::string kind = Lower(TakeWord(&rest));
    if (kind == "clear") {
      script.commands.emplace_back(ClearCommand{number});
    } else if (kind.starts_with("load")) {
      LoadCommand load;
      load.line = number;
      TOCSIN_TRY(ParseLoad(line, &load));
      script.commands.emplace_back(std::move(load));
    } else if (kind.starts_with("eval")) {
      EvalCommand eval;
      eval.line = number;
      TOCSIN_TRY(ParseEval(line, &eval));
      script.commands.emplace_back(std::move(eval));
    } else {
      return Error(Fail("invalid command \"" + std::string(line) + "\""));
    }
  }
  return script;
}

Status ScriptParser::ParseTime(std::string_view text, int64_t* ms) {
  const Result<int64_t> parsed = ParseDuration(text);
  if (!parsed) return At(parsed.error());
  *ms = *parsed;
  return Status::Ok();
}

Status ScriptParser::ParseLoad(std::string_view head, LoadCommand* load) {
  const std::string_view kind = TakeWord(&head);
  if (kind != "load" && kind != "load_with_nhcb") {
    return Fail("invalid load command \"" + std::string(kind) + "\"");
  }
  int64_t step_ms = 0;
  TOCSIN_RETURN_IF_ERROR(ParseTime(head, &step_ms));
  loaded_.clear();
  pending_start_.reset();
  for (std::string_view line; NextBodyLine(&line);) {
    if (IsStartTimestampLine(line)) {
      if (pending_start_) return Fail("@st line has no following sample line");
      Result<StartTimestampLine> start = ParseStartTimestampLine(line);
      if (!start) return At(start.error());
      pending_start_ = *std::move(start);
      continue;
    }
    TOCSIN_RETURN_IF_ERROR(ParseLoadSeries(line, step_ms, load));
  }
  if (pending_start_) return Fail("@st line has no following sample line");
  if (kind == "load") return Status::Ok();
  Result<std::vector<LoadSeries>> native = ConvertClassicHistograms(load->series);
  if (!native) return At(native.error());
  for (LoadSeries& series : *native) load->series.push_back(std::move(series));
  return Status::Ok();
}

Status ScriptParser::ParseLoadSeries(std::string_view line, int64_t step_ms, LoadCommand* load) {
  const Result<SeriesDescription> description = ParseSeriesDescription(line);
  if (!description) return At(description.error());
  if (pending_start_ && pending_start_->metric != description->metric) {
    return Fail("@st metric does not match the following sample line's");
  }
  if (pending_start_ && pending_start_->offsets_ms.size() != description->values.size()) {
    return Fail("@st line and sample line differ in length");
  }
  LoadSeries series;
  series.metric = description->metric;
  for (size_t i = 0; i < description->values.size(); ++i) {
    const ScriptValue& value = description->values[i];
    if (value.omitted) continue;
    LoadSample sample;
    sample.timestamp_ms = static_cast<int64_t>(i) * step_ms;
    sample.value = value;
    if (pending_start_ && pending_start_->offsets_ms[i]) {
      sample.start_ms = sample.timestamp_ms + *pending_start_->offsets_ms[i];
    }
    series.samples.push_back(std::move(sample));
  }
  pending_start_.reset();
  // Of lines about the same label set the last one counts.
  const auto [it, inserted] = loaded_.emplace(series.metric, load->series.size());
  if (inserted) {
    load->series.push_back(std::move(series));
  } else {
    load->series[it->second] = std::move(series);
  }
  return Status::Ok();
}

Status ScriptParser::ParseEval(std::string_view head, EvalCommand* eval) {
  TOCSIN_RETURN_IF_ERROR(ParseEvalHead(head, eval));
  const Result<ExprPtr> expr = ParseExpr(eval->query, LanguageOptions::All());
  if (!expr) return At(expr.error());
  return ParseEvalBody(eval);
}

Status ScriptParser::ParseEvalHead(std::string_view head, EvalCommand* eval) {
  const std::string_view kind = TakeWord(&head);
  const std::string_view form = TakeWord(&head);
  if (kind == "eval_fail") {
    eval->failure.emplace();
  } else if (kind == "eval_warn") {
    eval->warnings.expected.emplace_back();
  } else if (kind == "eval_info") {
    eval->infos.expected.emplace_back();
  } else if (kind == "eval_ordered") {
    eval->ordered = true;
  } else if (kind != "eval") {
    return Fail("invalid evaluation command \"" + std::string(kind) + "\"");
  }
  if (form == "range") {
    eval->is_range = true;
    TOCSIN_RETURN_IF_ERROR(ParseTimes(&head, eval));
  } else if (form == "instant") {
    std::string_view rest = head;
    if (TakeWord(&rest) == "at") {
      head = rest;
      TOCSIN_RETURN_IF_ERROR(ParseTime(TakeWord(&head), &eval->time_ms));
    }
  } else {
    return Fail("eval instant or eval range expected");
  }
  if (head.empty()) return Fail("eval without a query");
  eval->query = head;
  return Status::Ok();
}

// from <t> to <t> step <d>
Status ScriptParser::ParseTimes(std::string_view* text, EvalCommand* eval) {
  const std::pair<std::string_view, int64_t*> kParts[] = {
      {"from", &eval->start_ms}, {"to", &eval->end_ms}, {"step", &eval->step_ms}};
  for (const auto& [word, target] : kParts) {
    if (TakeWord(text) != word) return Fail("\"" + std::string(word) + "\" expected");
    TOCSIN_RETURN_IF_ERROR(ParseTime(TakeWord(text), target));
  }
  if (eval->end_ms < eval->start_ms) return Fail("end timestamp is before start timestamp");
  return Status::Ok();
}

Status ScriptParser::ParseEvalBody(EvalCommand* eval) {
  for (std::string_view line; NextBodyLine(&line);) {
    bool taken = false;
    TOCSIN_RETURN_IF_ERROR(ParseFailureLine(line, eval, &taken));
    if (taken) break;
    std::string_view rest = line;
    if (TakeWord(&rest) == "expect") {
      TOCSIN_RETURN_IF_ERROR(ParseExpectLine(rest, eval));
    } else if (const std::optional<double> number = NumberLine(line)) {
      eval->expected_scalar = number;
      break;
    } else {
      TOCSIN_RETURN_IF_ERROR(ParseSeriesLine(line, eval));
    }
  }
  const bool contradiction = (eval->warnings.none && !eval->warnings.expected.empty()) ||
                             (eval->infos.none && !eval->infos.expected.empty());
  if (contradiction) return Fail("an annotation is both expected and excluded");
  return Status::Ok();
}

// The old way to say what an eval_fail must say; it ends the block.
Status ScriptParser::ParseFailureLine(std::string_view line, EvalCommand* eval, bool* taken) {
  if (!eval->failure) return Status::Ok();
  const std::string_view word = TakeWord(&line);
  *taken = word == "expected_fail_message" || word == "expected_fail_regexp";
  if (word == "expected_fail_message") eval->failure->message = line;
  if (word != "expected_fail_regexp") return Status::Ok();
  const Result<Regex> pattern = Regex::Compile(line, Regex::Dot::kNotNewline);
  if (!pattern) return At(pattern.error());
  eval->failure->pattern = *pattern;
  return Status::Ok();
}

// `rest` is what stands behind "expect ".
Status ScriptParser::ParseExpectLine(std::string_view rest, EvalCommand* eval) {
  const std::string_view kind = TakeWord(&rest);
  if (kind == "range") return ParseRangeVectorLine(rest, eval);
  if (kind == "string") {
    eval->expected_string = UnquoteString(rest);
    return eval->expected_string ? Status::Ok()
                                 : Fail("expected string literal is not correctly quoted");
  }
  TextExpectation text;
  TOCSIN_RETURN_IF_ERROR(ParseTextExpectation(rest, &text));
  if (kind == "fail") {
    if (eval->failure) return Fail("multiple expect fail lines are not allowed");
    eval->failure = std::move(text);
  } else if (kind == "warn") {
    eval->warnings.expected.push_back(std::move(text));
  } else if (kind == "info") {
    eval->infos.expected.push_back(std::move(text));
  } else if (kind == "no_warn") {
    eval->warnings.none = true;
  } else if (kind == "no_info") {
    eval->infos.none = true;
  } else if (kind == "ordered") {
    eval->ordered = true;
  } else {
    return Fail("invalid expect statement \"" + std::string(kind) + "\"");
  }
  return Status::Ok();
}

// Nothing, "msg: text" or "regex: pattern".
Status ScriptParser::ParseTextExpectation(std::string_view text, TextExpectation* expectation) {
  static constexpr std::string_view kMessage = "msg:";
  static constexpr std::string_view kRegex = "regex:";
  if (text.empty()) return Status::Ok();
  if (text.starts_with(kMessage)) {
    expectation->message = Trim(text.substr(kMessage.size()));
    return Status::Ok();
  }
  if (!text.starts_with(kRegex)) return Fail("\"msg:\" or \"regex:\" expected");
  const Result<Regex> pattern =
      Regex::Compile(Trim(text.substr(kRegex.size())), Regex::Dot::kNotNewline);
  if (!pattern) return At(pattern.error());
  expectation->pattern = *pattern;
  return Status::Ok();
}

Status ScriptParser::ParseRangeVectorLine(std::string_view rest, EvalCommand* eval) {
  if (TakeWord(&rest) != "vector") return Fail("\"expect range vector\" expected");
  TOCSIN_RETURN_IF_ERROR(ParseTimes(&rest, eval));
  eval->expects_range_vector = true;
  eval->time_ms = eval->end_ms;
  return Status::Ok();
}

Status ScriptParser::ParseSeriesLine(std::string_view line, EvalCommand* eval) {
  const Result<SeriesDescription> description = ParseSeriesDescription(line);
  if (!description) return At(description.error());
  if (description->values.empty()) return Fail("expected series without values");
  if (description->values.size() > 1 && !eval->is_range && !eval->expects_range_vector) {
    return Fail("expecting multiple values in instant evaluation not allowed");
  }
  ExpectedSeries series;
  series.position = static_cast<int>(eval->expected.size()) + 1;
  series.metric = description->metric;
  series.values = description->values;
  eval->expected.push_back(std::move(series));
  return Status::Ok();
}

}  // namespace

bool TextExpectation::Matches(std::string_view text) const {
  if (message) return *message == text;
  return !pattern || pattern->PartialMatch(text);
}

std::string TextExpectation::ToString() const {
  if (message) return "message \"" + *message + "\"";
  return pattern ? "pattern \"" + pattern->pattern() + "\"" : "anything";
}

Result<TestScript> ParseTestScript(std::string_view text) { return ScriptParser(text).Parse(); }

}  // namespace tocsin::query
