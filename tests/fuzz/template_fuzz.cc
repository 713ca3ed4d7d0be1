// Templates of any bytes: parsing and running must end, within their bounds. Seeds: the lines of
// tests/alerting/testdata/templates.txt, which template_test runs as a plain test.
#include <cstddef>
#include <cstdint>
#include <string>

#include "alerting/template/eval.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace tmpl = tocsin::alerting::tmpl;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto parsed = tmpl::Template::Parse("fuzz", std::string(tmpl::kAlertPrelude) + text);
  if (!parsed) return 0;
  const tmpl::Value labels =
      tmpl::Value::OfLabels(tocsin::model::Labels::FromPairs({{"a", "b"}, {"instance", "h:1"}}));
  tmpl::FunctionContext context;
  context.external_url = "http://t/p";
  context.now_ms = 1'435'065'584'128;
  context.query = [](const std::string& query) -> tocsin::Result<tocsin::query::Vector> {
    tocsin::query::VectorSample sample;
    sample.metric = tocsin::model::Labels::FromPairs({{"__name__", "m"}, {"q", query}});
    sample.value = static_cast<double>(query.size());
    return tocsin::query::Vector(query.size() % 4, sample);
  };
  const auto out =
      parsed->Execute(tmpl::AlertData(labels, labels, "http://t/p", tmpl::Value(1.5)), context);
  if (out && out->size() > tmpl::kMaxOutputBytes) __builtin_trap();
  return 0;
}
