#include "tests/bench/capture.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/env.h"

namespace tocsin::tsdb {
namespace {

using model::Labels;

// name{a="b",c="d"}; escapes as the text format has them. False for anything else.
bool ParseSeries(std::string_view text, Labels* labels) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const size_t brace = text.find('{');
  pairs.emplace_back("__name__", text.substr(0, brace));
  for (size_t at = brace; at < text.size() && text[at] != '}';) {
    const size_t equals = text.find('=', ++at);
    if (equals == std::string_view::npos) return text[at] == '}' && at + 1 == text.size();
    std::string name(text.substr(at, equals - at));
    std::string value;
    for (at = equals + 2; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\' && ++at < text.size() && text[at] == 'n') {
        value += '\n';
      } else {
        value += text[at];
      }
    }
    pairs.emplace_back(std::move(name), std::move(value));
    ++at;
  }
  *labels = Labels::FromPairs(std::move(pairs));
  return true;
}

double ParseValue(std::string_view text) {
  if (text == "+Inf") text.remove_prefix(1);
  double value = model::NormalNan();
  if (text != "NaN") std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<std::map<std::string, Capture>> ReadCaptures(const std::string& directory) {
  Env& env = Env::Default();
  TOCSIN_ASSIGN_OR_RETURN(std::vector<std::string> files, env.ListDir(directory));
  std::sort(files.begin(), files.end());
  std::map<std::string, Capture> captures;
  std::map<std::string, std::unordered_map<std::string, size_t>> lines;
  for (const std::string& file : files) {
    const size_t dash = file.rfind('-');
    if (!file.ends_with(".txt") || dash == std::string::npos) continue;
    TOCSIN_ASSIGN_OR_RETURN(const std::string text, env.ReadFile(directory + "/" + file));
    const std::string exporter = file.substr(0, dash);
    model::Timestamp time = 0;
    std::from_chars(file.data() + dash + 1, file.data() + file.size(), time);
    Capture& capture = captures[exporter];
    if (text.empty() || (!capture.rows.empty() && time <= capture.rows.back())) continue;
    const auto row = static_cast<uint32_t>(capture.rows.size());
    capture.rows.push_back(time);
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = std::string_view(text).substr(at, end - at);
      at = end + 1;
      const size_t space = line.rfind(' ');
      if (line.empty() || line[0] == '#' || space == std::string_view::npos) continue;
      const std::string series(line.substr(0, space));
      const auto [known, fresh] = lines[exporter].try_emplace(series, capture.series.size());
      if (fresh) {
        capture.series.emplace_back();
        if (!ParseSeries(series, &capture.series.back().key)) {
          return Error(Code::kInvalidArgument, file + ": " + series);
        }
      }
      CapturedSeries& column = capture.series[known->second];
      if (!column.rows.empty() && column.rows.back() == row) continue;
      column.rows.push_back(row);
      column.values.push_back(ParseValue(line.substr(space + 1)));
      ++capture.samples;
    }
  }
  return captures;
}

}  // namespace tocsin::tsdb
