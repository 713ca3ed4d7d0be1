// Parser: tokens → syntax trees, with Go's text/template grammar and complaints
// ("template: NAME:LINE: unexpected "}" in operand").
//
// A template text gives one tree for itself and one for each {{define}} or {{block}} in it.
// Bounds: expressions and control blocks nest at most kMaxNesting deep, so neither parsing nor
// evaluating nor destroying a tree can overflow the stack.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "alerting/template/value.h"
#include "base/status.h"

namespace tocsin::alerting::tmpl {

inline constexpr int kMaxNesting = 200;
inline constexpr size_t kMaxTemplateBytes = 1 << 20;

enum class NodeKind : uint8_t {
  // Of a list:
  kText,      // text
  kAction,    // pipe
  kIf,        // pipe, list, else_list
  kWith,      // the same
  kRange,     // the same
  kTemplate,  // text = name, pipe or null
  kBreak,
  kContinue,
  // Of a pipeline:
  kPipe,     // names = declared variables, assign; children = commands
  kCommand,  // children = operands, the first is what is called
  // Operands:
  kIdentifier,  // text = function
  kField,       // names
  kVariable,    // names, the first one with its $
  kChain,       // names, children[0] = what they are taken of
  kDot,
  kNil,
  kBool,    // constant
  kNumber,  // constant, text as written
  kString,  // constant, text as written
  // Parser's own, never in a finished tree:
  kEnd,
  kElse,
};

struct Node {
  NodeKind kind;
  size_t pos = 0;  // in the template's text
  std::string text;
  std::vector<std::string> names;
  bool assign = false;  // kPipe: = instead of :=
  Value constant;
  std::vector<std::unique_ptr<Node>> children;
  std::unique_ptr<Node> pipe;
  std::vector<std::unique_ptr<Node>> list;
  std::vector<std::unique_ptr<Node>> else_list;

  // The node as an error message shows it: humanize $value | printf "%s"
  std::string ToString() const;
};
using NodePtr = std::unique_ptr<Node>;
using NodeList = std::vector<NodePtr>;

struct TemplateTree {
  std::string name;
  std::string text;
  NodeList root;
  std::map<std::string, NodeList, std::less<>> defined;  // by {{define}} and {{block}}
};

// kInvalidArgument: the message is Go's, without a prefix of ours.
Result<TemplateTree> ParseTemplate(std::string name, std::string text);

}  // namespace tocsin::alerting::tmpl
