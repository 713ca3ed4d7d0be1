// The template language against testdata/templates.txt (what Go makes of each template), its
// bounds, and the forms of its errors.
#include "alerting/template/eval.h"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "alerting/template/go_format.h"
#include "alerting/template/literal.h"

namespace tocsin::alerting::tmpl {
namespace template_test {
namespace {

query::VectorSample Sample(model::Labels labels, double value) {
  query::VectorSample sample;
  sample.metric = std::move(labels);
  sample.value = value;
  return sample;
}

FunctionContext Context() {
  FunctionContext context;
  context.now_ms = 1435065584128;
  context.external_url = "http://prom.example/prefix";
  context.query = [](const std::string& query) -> Result<query::Vector> {
    if (query == "none") return query::Vector();
    if (query != "metric") return Error(Code::kExecution, "query failed: " + query);
    return query::Vector{
        Sample(model::Labels::FromPairs(
                   {{"__name__", "metric"}, {"instance", "b"}, {"__value__", "strb"}}),
               21),
        Sample(model::Labels::FromPairs({{"__name__", "metric"}, {"instance", "a"}}), 11.5)};
  };
  return context;
}

Value Data() {
  Map labels{{"a-b", Value(std::string("dash"))},
             {"empty", Value(std::string())},
             {"instance", Value(std::string("host1.example.com:9100"))},
             {"job", Value(std::string("node"))},
             {"severity", Value(std::string("crit"))}};
  return AlertData(Value::OfMap(std::move(labels), true),
                   Value::OfLabels(model::Labels::FromPairs({{"region", "eu"}})),
                   "http://prom.example/prefix", Value(1234567.891));
}

// The text, or "parse error: …" or "error: …" without the frame that Execute adds.
std::string Expand(const std::string& text) {
  auto parsed = Template::Parse("t", std::string(kAlertPrelude) + text);
  if (!parsed) return "parse error: " + parsed.error().message();
  auto out = parsed->Execute(Data(), Context());
  if (out) return *out;
  const std::string frame = "error executing template t: ";
  BOOST_TEST(out.error().message().starts_with(frame));
  return "error: " + out.error().message().substr(frame.size());
}

std::string Unescape(const std::string& line) {
  std::string quoted = "\"";
  for (const char c : line) quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
  const auto text = UnquoteGo(quoted + "\"");
  BOOST_REQUIRE_MESSAGE(text.has_value(), "bad line: " << line);
  return *text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(template_test_suite)

BOOST_AUTO_TEST_CASE(TemplatesGiveWhatGoGives) {
  std::ifstream file(std::string(TOCSIN_SOURCE_DIR) + "/tests/alerting/testdata/templates.txt");
  BOOST_REQUIRE(file.good());
  std::string line, expected;
  int cases = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    BOOST_REQUIRE(std::getline(file, expected) && expected.starts_with("=> "));
    ++cases;
    BOOST_TEST_CONTEXT(line) { BOOST_TEST(Expand(Unescape(line)) == Unescape(expected.substr(3))); }
  }
  BOOST_TEST(cases > 200);
}

BOOST_AUTO_TEST_CASE(ATemplateCannotRunForever) {
  const std::string loop = "{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}";
  BOOST_TEST(Expand(loop).find("template runs for too long") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(ATemplateCannotCallItselfForever) {
  const std::string recursion =
      "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}";
  BOOST_TEST(Expand(recursion).find("exceeded maximum template depth") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(TextCannotGrowWithoutBound) {
  const std::string doubling =
      "{{ $x := \"ab\" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}{{ $x }}";
  BOOST_TEST(Expand(doubling).find("text is longer than") != std::string::npos);
  BOOST_TEST(Expand("{{ range 100000 }}0123456789abcdef{{ end }}").find("text is longer than") !=
             std::string::npos);
  BOOST_TEST(Expand("{{ printf \"%999999d\" 1 | len }} {{ printf \"%99999999d\" 1 }}").size() <
             200u);
}

BOOST_AUTO_TEST_CASE(SharedValuesCannotExplode) {
  const std::string dag = "{{ $x := args 1 }}{{ range 40 }}{{ $x = args $x $x }}{{ end }}{{ $x }}";
  BOOST_TEST(Expand(dag).find("arguments are too large") != std::string::npos);
  const std::string chain = "{{ $x := args 1 }}{{ range 90000 }}{{ $x = args $x }}{{ end }}";
  BOOST_TEST(Expand(chain).find("arguments are too large") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(DeepNestingIsRefused) {
  std::string parens = "{{ ";
  for (int i = 0; i < 5000; ++i) parens += "(";
  parens += "1";
  for (int i = 0; i < 5000; ++i) parens += ")";
  BOOST_TEST(Expand(parens + " }}").find("max expression depth exceeded") != std::string::npos);
  std::string blocks, ends;
  for (int i = 0; i < 5000; ++i) {
    blocks += "{{ if true }}";
    ends += "{{ end }}";
  }
  BOOST_TEST(Expand(blocks + ends).find("max expression depth exceeded") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(FortyNestedBlocksAndLongElseChainsAreFine) {
  std::string blocks, ends, chain = "{{ if false }}0";
  for (int i = 0; i < 40; ++i) {
    blocks += "{{ if true }}";
    ends += "{{ end }}";
    chain += "{{ else if eq " + std::to_string(i) + " 39 }}" + std::to_string(i);
  }
  BOOST_TEST(Expand(blocks + "x" + ends) == "x");
  BOOST_TEST(Expand(chain + "{{ end }}") == "39");
}

BOOST_AUTO_TEST_CASE(HistogramsReadAsText) {
  model::Histogram h;
  h.count = 10;
  h.sum = 2.5;
  h.zero_threshold = 0.001;
  h.zero_count = 2;
  h.positive_spans = {{0, 2}};
  h.positive_buckets = {3, 1};
  h.negative_spans = {{0, 1}};
  h.negative_buckets = {4};
  BOOST_TEST(HistogramText(h) ==
             "{count:10, sum:2.5, [-1,-0.5):4, [-0.001,0.001]:2, (0.5,1]:3, (1,2]:1}");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace template_test
}  // namespace tocsin::alerting::tmpl
