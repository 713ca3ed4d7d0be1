#include "base/json.h"

#include <boost/test/unit_test.hpp>

namespace tocsin {
namespace json_test {
namespace {

std::string Quoted(std::string_view text, JsonEscape escape) {
  std::string out;
  AppendJsonString(out, text, escape);
  return out;
}

BOOST_AUTO_TEST_SUITE(Json)

BOOST_AUTO_TEST_CASE(StringsEscapeInTheTwoStyles) {
  const struct {
    const char* text;
    const char* html;
    const char* plain;
  } kCases[] = {
      {"", "\"\"", "\"\""},
      {"plain \xc3\xa9 \xf0\x9f\x98\x80", "\"plain \xc3\xa9 \xf0\x9f\x98\x80\"",
       "\"plain \xc3\xa9 \xf0\x9f\x98\x80\""},
      {"<a&b>", R"("\u003ca\u0026b\u003e")", R"("<a&b>")"},
      {"q\"b\\n\n\r\t\x01", R"("q\"b\\n\n\r\t\u0001")", R"("q\"b\\n\n\r\t\u0001")"},
      {"\xe2\x80\xa8|\xe2\x80\xa9", R"("\u2028|\u2029")", "\"\xe2\x80\xa8|\xe2\x80\xa9\""},
      {"bad \xff\xc3 end", R"("bad \ufffd\ufffd end")", R"("bad \ufffd\ufffd end")"},
      {"\xed\xa0\x80", R"("\ufffd\ufffd\ufffd")", R"("\ufffd\ufffd\ufffd")"},  // a surrogate
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_TEST(Quoted(c.text, JsonEscape::kHtml) == c.html);
      BOOST_TEST(Quoted(c.text, JsonEscape::kPlain) == c.plain);
    }
  }
}

BOOST_AUTO_TEST_CASE(WriterPutsCommasAndNests) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("a").BeginArray().Int(-1).Uint(2).Bool(true).Null().EndArray();
  json.Key("b").BeginObject().EndObject().Key("c").BeginArray().EndArray();
  json.Key("d").BeginArray().BeginArray().EndArray().BeginObject().Key("x").Raw("{}").EndObject();
  json.EndArray().EndObject();
  BOOST_TEST(out == R"({"a":[-1,2,true,null],"b":{},"c":[],"d":[[],{"x":{}}]})");
}

BOOST_AUTO_TEST_CASE(SamplesHaveTheApisForm) {
  std::string out;
  JsonWriter json(out);
  json.BeginArray().TimestampMs(1'435'781'451'781).FloatText(1e-7);
  json.TimestampMs(1500).TimestampMs(-1250).TimestampMs(0).TimestampMs(-50).TimestampMs(2000);
  json.Double(1e-7).Double(0.5).Double(1e21).EndArray();
  BOOST_TEST(out == R"([1435781451.781,"1e-07",1.500,-1.250,0,-0.050,2,1e-7,0.5,1e+21])");
}

BOOST_AUTO_TEST_CASE(DocumentsParse) {
  const JsonValue v =
      ParseJson(R"({"s":"x\u00e9","n":-1.5,"b":true,"z":null,"a":[1,{"k":"v"}],"s":"y"})").value();
  BOOST_TEST(v.Find("s")->AsString() == "y");  // the last of equal keys
  BOOST_TEST(v.AsObject().size() == 6u);
  BOOST_TEST(v.AsObject()[0].second.AsString() == "x\xc3\xa9");
  BOOST_TEST(v.Find("n")->AsDouble() == -1.5);
  BOOST_TEST(v.Find("b")->AsBool());
  BOOST_TEST(v.Find("z")->is_null());
  BOOST_TEST(v.Find("a")->AsArray()[1].FindString("k") == "v");
  BOOST_TEST(v.Find("nothing") == nullptr);
  BOOST_TEST(v.FindString("n") == "");
}

BOOST_AUTO_TEST_CASE(BrokenAndDeepDocumentsAreErrors) {
  for (const char* bad : {"", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "\"\xff\"", "[1e999]"}) {
    BOOST_TEST_CONTEXT(bad) {
      const auto v = ParseJson(bad);
      BOOST_REQUIRE(!v.has_value());
      BOOST_TEST((v.error().code() == Code::kInvalidArgument));
    }
  }
  BOOST_TEST(
      ParseJson(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')).has_value());
  const auto deep = ParseJson(std::string(100'000, '['));
  BOOST_REQUIRE(!deep.has_value());
  BOOST_TEST((deep.error().code() == Code::kResourceExhausted));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace json_test
}  // namespace tocsin
