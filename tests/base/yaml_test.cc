#include "base/yaml.h"

#include <cmath>

#include <boost/test/unit_test.hpp>

namespace tocsin {
namespace yaml_test {
namespace {

YamlNode Parse(std::string_view text) {
  auto document = ParseYaml(text, "f.yml");
  BOOST_REQUIRE_MESSAGE(document.has_value(), document.error().message());
  return document->root;
}

std::string ParseError(std::string_view text) {
  const auto document = ParseYaml(text, "f.yml");
  return document ? "" : document.error().message();
}

BOOST_AUTO_TEST_SUITE(Yaml)

BOOST_AUTO_TEST_CASE(NodesKnowTheirPlace) {
  const YamlNode root = Parse("a: 1\nb:\n  - x\n  - {c: 'y'}\n");
  BOOST_TEST(root.is_map());
  BOOST_TEST(root.entries()[1].key.text() == "b");
  BOOST_TEST(root.entries()[1].key.line() == 2);
  const YamlNode y = root.Find("b").items()[1].Find("c");
  BOOST_TEST(y.line() == 4);
  BOOST_TEST(y.column() == 9);
  BOOST_TEST(y.quoted());
  BOOST_TEST(y.ErrorHere("bad").message() == "f.yml:4:9: bad");
  BOOST_TEST(!root.Find("z").present());
  BOOST_TEST(root.Find("z").is_null());
}

BOOST_AUTO_TEST_CASE(ScalarsReadAsInGoYaml) {
  const YamlNode n = Parse(
      "s: 9090\nt: yes\nu: ~\nv:\nq: \"yes\"\nx: 0x10\no: 010\nf: 1.0e3\ni: -5\nb: off\n"
      "bin: !!binary aGVsbG8=\nstr: !!str 12\nbig: 18446744073709551615\ninf: -.inf\nl: |\n  a\n  "
      "b\n");
  BOOST_TEST(n.Find("s").AsString().value() == "9090");
  BOOST_TEST(n.Find("s").AsInt64().value() == 9090);
  BOOST_TEST(n.Find("t").AsString().value() == "yes");
  BOOST_TEST(n.Find("t").AsBool().value());
  BOOST_TEST(n.Find("u").is_null());
  BOOST_TEST(n.Find("u").AsString().value() == "");
  BOOST_TEST(n.Find("v").AsInt64().value() == 0);
  BOOST_TEST(!n.Find("q").AsBool().has_value());
  BOOST_TEST(n.Find("x").AsInt64().value() == 16);
  BOOST_TEST(n.Find("o").AsInt64().value() == 8);
  BOOST_TEST(n.Find("f").AsUint64().value() == 1000u);
  BOOST_TEST(n.Find("f").AsDouble().value() == 1000);
  BOOST_TEST(n.Find("i").AsInt64().value() == -5);
  BOOST_TEST(!n.Find("i").AsUint64().has_value());
  BOOST_TEST(!n.Find("b").AsBool().value());
  BOOST_TEST(n.Find("bin").AsString().value() == "hello");
  BOOST_TEST(!n.Find("str").AsInt64().has_value());
  BOOST_TEST(n.Find("big").AsUint64().value() == UINT64_MAX);
  BOOST_TEST(!n.Find("big").AsInt64().has_value());
  BOOST_TEST(Parse("1.9").AsInt64().value() == 1);
  BOOST_TEST(n.Find("inf").AsDouble().value() == -HUGE_VAL);
  BOOST_TEST(n.Find("l").AsString().value() == "a\nb\n");
  BOOST_TEST(n.Find("t").AsInt64().error().message() ==
             "f.yml:2:4: cannot unmarshal `yes` into int");
  BOOST_TEST(n.AsBool().error().message() == "f.yml:1:1: cannot unmarshal !!map into bool");
}

BOOST_AUTO_TEST_CASE(DurationsNameTheirPlace) {
  const YamlNode n = Parse("a: 1m30s\nb: 1x\n");
  BOOST_TEST(n.Find("a").AsDurationMs().value() == 90'000);
  BOOST_TEST(n.Find("b").AsDurationMs().error().message() ==
             "f.yml:2:4: not a valid duration string: \"1x\"");
}

BOOST_AUTO_TEST_CASE(AnchorsAndMergesAreExpanded) {
  const YamlNode n = Parse(
      "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\none: {<<: *b, y: 5}\ntwo:\n  <<: [*b, *o]\n"
      "  w: 6\nsame: *b\n");
  BOOST_TEST(n.Find("one").Find("x").text() == "1");
  BOOST_TEST(n.Find("one").Find("y").text() == "5");
  BOOST_TEST(n.Find("two").Find("y").text() == "2");
  BOOST_TEST(n.Find("two").Find("z").text() == "4");
  BOOST_TEST(n.Find("two").entries().size() == 4u);
  BOOST_TEST(n.Find("same").Find("y").text() == "2");
  BOOST_TEST(ParseError("a: {<<: 1}") ==
             "f.yml:1:5: map merge requires map or sequence of maps as the value");
}

BOOST_AUTO_TEST_CASE(BrokenDocumentsNameTheirPlace) {
  const struct {
    const char* text;
    const char* want;
  } kCases[] = {
      {"a: 1\nb: 2\na: 3\n", "f.yml:3:1: field a already set (line 1)"},
      {"a: [1, 2", "f.yml:2:1: yaml: "},
      {"a: 'x", "f.yml:2:1: yaml: the document ends inside a quotation"},
      {"a: b: c", "f.yml:1:5: yaml: "},
      {"a: *nobody", "f.yml:1:"},
      {"? [x]\n: 1\n", "f.yml:1:3: a key must be a scalar"},
      {"a: !!binary '*'", "f.yml:1:4: !!binary value"},
      {"\tx: 1", "f.yml:1:"},
      {"a: 'x\n", "f.yml:"},
      {"a: \"x\nb: c\n", "f.yml:"},
      {"a: [b,,c]", "f.yml:1:7: an item is missing in the list"},
      {"a: b\nc: \x07", "f.yml:2:4: yaml: control characters are not allowed"},
      {"a: \xff", "f.yml:1:4: yaml: not UTF-8"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_TEST(ParseError(c.text).starts_with(c.want), ParseError(c.text));
    }
  }
}

BOOST_AUTO_TEST_CASE(BombsAreRefused) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int k = 0; k < 9; ++k) bomb += "," + last;
    bomb += "]\n";
  }
  BOOST_TEST(ParseError(bomb).find("nodes") != std::string::npos);
  BOOST_TEST(ParseError(std::string(50'000, '[')).find("deeper") != std::string::npos);
  BOOST_TEST(ParseError(std::string(50'000, '-')) == "");  // one long scalar
}

BOOST_AUTO_TEST_CASE(OnlyTheFirstDocumentCounts) {
  const auto two = ParseYaml("a: 1\n---\nb: 2\n", "f").value();
  BOOST_TEST(two.more_documents);
  BOOST_TEST(two.root.Find("a").present());
  BOOST_TEST(!ParseYaml("---\na: 1\n", "f").value().more_documents);
  const auto none = ParseYaml("# nothing\n", "f").value();
  BOOST_TEST(none.root.is_null());
  BOOST_TEST(!none.more_documents);
}

BOOST_AUTO_TEST_CASE(MapReaderReportsEveryUnknownField) {
  YamlErrors errors;
  YamlMapReader map(Parse("name: n\nport: x\nlabels: {a: 1}\nlist: [1, b]\nextra: 1\nmore: 2\n"),
                    "job", &errors);
  std::string name;
  int64_t port = 7;
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::string> list;
  bool absent = true;
  BOOST_TEST(map.Read("name", &name));
  BOOST_TEST(!map.Read("port", &port));
  BOOST_TEST(map.Read("labels", &labels));
  BOOST_TEST(map.Read("list", &list));
  BOOST_TEST(!map.Read("absent", &absent));
  map.Finish();
  BOOST_TEST(name == "n");
  BOOST_TEST(port == 7);
  BOOST_TEST(labels[0].second == "1");
  BOOST_TEST((list == std::vector<std::string>{"1", "b"}));
  BOOST_TEST(absent);
  BOOST_TEST(errors.ToStatus().message() ==
             "f.yml:2:7: cannot unmarshal `x` into int\n"
             "f.yml:5:1: field extra not found in job\n"
             "f.yml:6:1: field more not found in job");
}

BOOST_AUTO_TEST_CASE(MapReaderWantsAMap) {
  YamlErrors errors;
  YamlMapReader list(Parse("[1]"), "job", &errors);
  list.Finish();
  BOOST_TEST(errors.ToStatus().message() == "f.yml:1:1: cannot unmarshal !!seq into job");
  YamlErrors none;
  YamlMapReader null(Parse(""), "job", &none);
  null.Finish();
  BOOST_TEST(none.ToStatus().ok());
}

BOOST_AUTO_TEST_CASE(WriterWritesBlockStyle) {
  std::string out;
  YamlWriter yaml(out);
  yaml.BeginMap()
      .Key("global")
      .BeginMap()
      .Key("interval")
      .String("15s")
      .Key("on")
      .Bool(true)
      .EndMap();
  yaml.Key("jobs").BeginList();
  yaml.BeginMap().Key("job_name").String("a b").Key("targets").BeginList().String("h:1").EndList();
  yaml.Key("params").BeginMap().EndMap().EndMap();
  yaml.BeginMap().Key("job_name").String("yes").EndMap();
  yaml.EndList().Key("none").BeginList().EndList().Key("n").Int(-3).EndMap();
  BOOST_TEST(
      out ==
      "global:\n  interval: 15s\n  \"on\": true\njobs:\n- job_name: a b\n  targets:\n  - h:1\n"
      "  params: {}\n- job_name: \"yes\"\nnone: []\n\"n\": -3\n");
}

BOOST_AUTO_TEST_CASE(LongKeysAreWrittenSoThatTheyRead) {
  const std::string key(5000, 'k');
  std::string out;
  YamlWriter yaml(out);
  yaml.BeginMap().Key("a").BeginMap().Key(key).String("v").Key(key + "1").BeginList().String("i");
  yaml.EndList().Key(key + "2").BeginMap().Key("b").Int(1).EndMap().EndMap().EndMap();
  const YamlNode map = Parse(out).Find("a");
  BOOST_TEST(map.Find(key).text() == "v");
  BOOST_TEST(map.Find(key + "1").items().at(0).text() == "i");
  BOOST_TEST(map.Find(key + "2").Find("b").text() == "1");
}

BOOST_AUTO_TEST_CASE(WrittenTextsReadBackAsTheSameTexts) {
  const std::string texts[] = {"",
                               "a",
                               "yes",
                               "No",
                               "~",
                               "null",
                               "1",
                               "1.5",
                               "1e3",
                               "0x1f",
                               "1_000",
                               "1:30",
                               "2026-11-24",
                               "-",
                               "- a",
                               "-a",
                               "?",
                               "? a",
                               ":",
                               "a: b",
                               "a:",
                               "a #b",
                               "#a",
                               "'",
                               "\"",
                               "it's",
                               "a\nb",
                               "\t",
                               " a",
                               "a ",
                               "[a]",
                               "{a}",
                               "*a",
                               "&a",
                               "!a",
                               "%a",
                               "@a",
                               "`a",
                               "|",
                               ">",
                               "<secret>",
                               "(.*)",
                               "$1",
                               "<<",
                               "---",
                               "...",
                               "h\xc3\xa9",
                               "\xe2\x80\xa8",
                               "15s",
                               "1d",
                               ".5",
                               "+1",
                               "-.inf",
                               "0o17",
                               "a\\b",
                               "\x01",
                               "\xc2\x85x\xc2\x9f",
                               "\x7f",
                               ",a",
                               "=",
                               "1.2.3.4:9090",
                               "^(?:x)$"};
  for (const std::string& text : texts) {
    BOOST_TEST_CONTEXT(text) {
      std::string out;
      YamlWriter yaml(out);
      yaml.BeginMap()
          .Key("k")
          .BeginList()
          .String(text)
          .EndList()
          .Key(text + "z")
          .String(text)
          .EndMap();
      const YamlNode back = Parse(out);
      BOOST_REQUIRE(back.entries().size() == 2u);
      const YamlNode item = back.Find("k").items()[0];
      BOOST_TEST(item.AsString().value() == text);
      BOOST_TEST(item.Describe().starts_with("!!str"), out);
      BOOST_TEST(back.entries()[1].key.text() == text + "z");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace yaml_test
}  // namespace tocsin
