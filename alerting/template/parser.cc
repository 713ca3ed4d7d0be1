#include "alerting/template/parser.h"

#include <algorithm>

#include "alerting/template/functions.h"
#include "alerting/template/go_format.h"
#include "alerting/template/lexer.h"
#include "alerting/template/literal.h"

namespace tocsin::alerting::tmpl {
namespace {

bool IsBlank(const NodeList& list) {
  return std::all_of(list.begin(), list.end(), [](const NodePtr& node) {
    return node->kind == NodeKind::kText &&
           node->text.find_first_not_of(" \t\r\n\v\f") == std::string::npos;
  });
}

// Every method gives an ok status or leaves the message in status_; `failed()` is checked after
// each step that may fail, so that the descent unwinds without exceptions.
class Parser {
 public:
  Parser(std::string name, std::string text) {
    tree_.name = std::move(name);
    tree_.text = std::move(text);
    tokens_ = LexTemplate(tree_.text);
  }

  Result<TemplateTree> Run() {
    ParseTop();
    if (failed()) return Error(Code::kInvalidArgument, std::move(message_));
    return std::move(tree_);
  }

 private:
  bool failed() const { return !message_.empty(); }

  // ---- tokens

  const Token& Peek() const { return tokens_[std::min(next_, tokens_.size() - 1)]; }
  const Token& Next() {
    const Token& token = Peek();
    if (next_ < tokens_.size()) ++next_;
    return token;
  }
  const Token& PeekNonSpace() {
    while (Peek().kind == TokenKind::kSpace) ++next_;
    return Peek();
  }
  const Token& NextNonSpace() {
    PeekNonSpace();
    return Next();
  }
  bool PeekKeyword(std::string_view keyword) {
    const Token& token = PeekNonSpace();
    return token.kind == TokenKind::kKeyword && token.text == keyword;
  }

  // ---- complaints

  void Fail(const std::string& what) {
    if (failed()) return;
    const Token& at = tokens_[std::min(next_ == 0 ? 0 : next_ - 1, tokens_.size() - 1)];
    message_ = "template: " + tree_.name + ":" + std::to_string(at.line) + ": " + what;
  }
  void Unexpected(const Token& token, const std::string& context) {
    if (token.kind != TokenKind::kError)
      return Fail("unexpected " + TokenText(token) + " in " + context);
    std::string extra;
    if (action_line_ != 0 && action_line_ != token.line) {
      extra = " in action started at " + tree_.name + ":" + std::to_string(action_line_);
      if (token.message.ends_with(" action")) extra.erase(0, std::string_view(" in action").size());
    }
    Fail(token.message + extra);
  }
  bool Expect(TokenKind kind, const std::string& context) {
    const Token& token = NextNonSpace();
    if (token.kind == kind) return true;
    Unexpected(token, context);
    return false;
  }

  class Nested {
   public:
    explicit Nested(Parser* parser) : parser_(parser) {
      if (++parser_->depth_ > kMaxNesting) parser_->Fail("max expression depth exceeded");
    }
    ~Nested() { --parser_->depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Parser* const parser_;
  };

  // ---- lists

  void ParseTop() {
    while (!failed() && Peek().kind != TokenKind::kEof) {
      const size_t start = next_;
      if (Peek().kind == TokenKind::kLeftDelimiter) {
        Next();
        if (PeekKeyword("define")) {
          Next();
          ParseDefinition();
          continue;
        }
        next_ = start;
      }
      NodePtr node = TextOrAction();
      if (failed()) return;
      if (node->kind == NodeKind::kEnd || node->kind == NodeKind::kElse) {
        return Fail("unexpected " + node->ToString());
      }
      tree_.root.push_back(std::move(node));
    }
  }

  void ParseDefinition() {
    const std::string context = "define clause";
    const Token& token = NextNonSpace();
    const auto name = TemplateName(token, context);
    if (!name || !Expect(TokenKind::kRightDelimiter, context)) return;
    ParseNamed(*name, context);
  }

  // The body of a define or block, in a scope of its own.
  void ParseNamed(const std::string& name, const std::string& context) {
    std::vector<std::string> outer = std::move(variables_);
    variables_ = {"$"};
    const int outer_ranges = range_depth_;
    range_depth_ = 0;
    NodeList list;
    const NodePtr end = ItemList(&list);
    variables_ = std::move(outer);
    range_depth_ = outer_ranges;
    if (failed()) return;
    if (end->kind != NodeKind::kEnd)
      return Fail("unexpected " + end->ToString() + " in " + context);
    NodeList& defined = tree_.defined[name];
    if (IsBlank(defined)) {
      defined = std::move(list);
    } else if (!IsBlank(list)) {
      Fail("template: multiple definition of template " + GoQuote(name));
    }
  }

  // Up to {{end}} or {{else}}, which is returned.
  NodePtr ItemList(NodeList* list) {
    const Nested nested(this);
    while (!failed() && PeekNonSpace().kind != TokenKind::kEof) {
      NodePtr node = TextOrAction();
      if (failed()) return nullptr;
      if (node->kind == NodeKind::kEnd || node->kind == NodeKind::kElse) return node;
      list->push_back(std::move(node));
    }
    Fail("unexpected EOF");
    return nullptr;
  }

  NodePtr TextOrAction() {
    const Token& token = NextNonSpace();
    if (token.kind == TokenKind::kText) {
      NodePtr node = New(NodeKind::kText, token.pos);
      node->text = std::string(token.text);
      return node;
    }
    if (token.kind != TokenKind::kLeftDelimiter) {
      Unexpected(token, "input");
      return nullptr;
    }
    action_line_ = token.line;
    NodePtr node = Action();
    action_line_ = 0;
    return node;
  }

  NodePtr Action() {
    const Token& token = PeekNonSpace();
    if (token.kind != TokenKind::kKeyword) {
      NodePtr node = New(NodeKind::kAction, token.pos);
      node->pipe = Pipeline("command", TokenKind::kRightDelimiter);
      return node;
    }
    Next();
    if (token.text == "if") return Control(NodeKind::kIf, "if");
    if (token.text == "with") return Control(NodeKind::kWith, "with");
    if (token.text == "range") return Control(NodeKind::kRange, "range");
    if (token.text == "break") return Jump(NodeKind::kBreak, token);
    if (token.text == "continue") return Jump(NodeKind::kContinue, token);
    if (token.text == "template") return TemplateCall();
    if (token.text == "block") return Block();
    if (token.text == "end") {
      Expect(TokenKind::kRightDelimiter, "end");
      return New(NodeKind::kEnd, token.pos);
    }
    if (token.text == "else") {
      // "else if" and "else with" leave their keyword for Control.
      if (!PeekKeyword("if") && !PeekKeyword("with")) Expect(TokenKind::kRightDelimiter, "else");
      return New(NodeKind::kElse, token.pos);
    }
    Unexpected(token, "command");  // a define that is not at the top
    return nullptr;
  }

  NodePtr Jump(NodeKind kind, const Token& keyword) {
    const std::string action = "{{" + std::string(keyword.text) + "}}";
    if (!Expect(TokenKind::kRightDelimiter, action)) return nullptr;
    if (range_depth_ == 0) Fail(action + " outside {{range}}");
    return New(kind, keyword.pos);
  }

  NodePtr Control(NodeKind kind, const std::string& context) {
    const Nested nested(this);
    const size_t variables = variables_.size();
    NodePtr node = New(kind, PeekNonSpace().pos);
    node->pipe = Pipeline(context, TokenKind::kRightDelimiter);
    if (failed()) return nullptr;
    if (kind == NodeKind::kRange) ++range_depth_;
    NodePtr next = ItemList(&node->list);
    if (kind == NodeKind::kRange) --range_depth_;
    if (!failed() && next->kind == NodeKind::kElse) ParseElse(kind, context, node.get());
    variables_.resize(std::min(variables, variables_.size()));
    return node;
  }

  void ParseElse(NodeKind kind, const std::string& context, Node* node) {
    const bool chained = (kind == NodeKind::kIf || kind == NodeKind::kWith) &&
                         Peek().kind == TokenKind::kKeyword && Peek().text == context;
    if (chained) {
      Next();
      NodePtr inner = Control(kind, context);
      if (!failed()) node->else_list.push_back(std::move(inner));
      return;
    }
    const NodePtr end = ItemList(&node->else_list);
    if (!failed() && end->kind != NodeKind::kEnd) Fail("expected end; found " + end->ToString());
  }

  std::optional<std::string> TemplateName(const Token& token, const std::string& context) {
    if (token.kind != TokenKind::kString && token.kind != TokenKind::kRawString) {
      Unexpected(token, context);
      return std::nullopt;
    }
    auto name = UnquoteGo(token.text);
    if (!name) Fail("invalid syntax");
    return name;
  }

  NodePtr TemplateCall() {
    const Token& token = NextNonSpace();
    NodePtr node = New(NodeKind::kTemplate, token.pos);
    const auto name = TemplateName(token, "template clause");
    if (!name) return nullptr;
    node->text = *name;
    if (PeekNonSpace().kind == TokenKind::kRightDelimiter) {
      Next();
    } else {
      node->pipe = Pipeline("template clause", TokenKind::kRightDelimiter);
    }
    return node;
  }

  NodePtr Block() {
    const std::string context = "block clause";
    const Token& token = NextNonSpace();
    NodePtr node = New(NodeKind::kTemplate, token.pos);
    const auto name = TemplateName(token, context);
    if (!name) return nullptr;
    node->text = *name;
    node->pipe = Pipeline(context, TokenKind::kRightDelimiter);
    if (failed()) return nullptr;
    ParseNamed(*name, context);
    return node;
  }

  // ---- pipelines

  NodePtr Pipeline(const std::string& context, TokenKind end) {
    const Nested nested(this);
    NodePtr pipe = New(NodeKind::kPipe, PeekNonSpace().pos);
    ParseDeclarations(context, pipe.get());
    while (!failed()) {
      const Token& token = PeekNonSpace();
      if (token.kind == end) {
        Next();
        CheckPipeline(*pipe, context);
        break;
      }
      if (!StartsOperand(token.kind)) {
        Next();
        Unexpected(token, context);
        break;
      }
      pipe->children.push_back(Command());
    }
    return failed() ? nullptr : std::move(pipe);
  }

  // "$x := ", "$x = ", "$i, $x := ".
  void ParseDeclarations(const std::string& context, Node* pipe) {
    while (!failed() && PeekNonSpace().kind == TokenKind::kVariable) {
      const size_t start = next_;
      const std::string name(Next().text);
      const Token& token = PeekNonSpace();
      const TokenKind kind = token.kind;
      if (kind == TokenKind::kAssign || kind == TokenKind::kDeclare) {
        Next();
        pipe->assign = kind == TokenKind::kAssign;
        Declare(name, pipe);
        return;
      }
      if (kind != TokenKind::kChar || token.text != ",") {
        next_ = start;
        return;
      }
      Next();
      Declare(name, pipe);
      if (context != "range" || pipe->names.size() > 1)
        return Fail("too many declarations in " + context);
      const TokenKind after = PeekNonSpace().kind;
      if (after != TokenKind::kVariable && after != TokenKind::kRightDelimiter &&
          after != TokenKind::kRightParen) {
        return Fail("range can only initialize variables");
      }
    }
  }

  void Declare(const std::string& name, Node* pipe) {
    pipe->names.push_back(name);
    variables_.push_back(name);
  }

  static bool StartsOperand(TokenKind kind) {
    switch (kind) {
      case TokenKind::kBool:
      case TokenKind::kDot:
      case TokenKind::kField:
      case TokenKind::kIdentifier:
      case TokenKind::kNumber:
      case TokenKind::kNil:
      case TokenKind::kRawString:
      case TokenKind::kString:
      case TokenKind::kVariable:
      case TokenKind::kLeftParen:
        return true;
      default:
        return false;
    }
  }

  void CheckPipeline(const Node& pipe, const std::string& context) {
    if (pipe.children.empty()) return Fail("missing value for " + context);
    for (size_t i = 1; i < pipe.children.size(); ++i) {
      switch (pipe.children[i]->children[0]->kind) {
        case NodeKind::kBool:
        case NodeKind::kDot:
        case NodeKind::kNil:
        case NodeKind::kNumber:
        case NodeKind::kString:
          return Fail("non executable command in pipeline stage " + std::to_string(i + 1));
        default:
          break;
      }
    }
  }

  NodePtr Command() {
    NodePtr command = New(NodeKind::kCommand, PeekNonSpace().pos);
    while (!failed()) {
      PeekNonSpace();
      NodePtr operand = Operand();
      if (failed()) return nullptr;
      if (operand) command->children.push_back(std::move(operand));
      const Token& token = Next();
      if (token.kind == TokenKind::kSpace) continue;
      if (token.kind == TokenKind::kRightDelimiter || token.kind == TokenKind::kRightParen) {
        --next_;
      } else if (token.kind != TokenKind::kPipe) {
        Unexpected(token, "operand");
      }
      break;
    }
    if (!failed() && command->children.empty()) Fail("empty command");
    return command;
  }

  // A term and the fields taken of it; null when the next token is no term.
  NodePtr Operand() {
    NodePtr node = Term();
    if (failed() || !node || Peek().kind != TokenKind::kField) return node;
    const size_t pos = Peek().pos;
    std::vector<std::string> fields;
    while (Peek().kind == TokenKind::kField) fields.emplace_back(Next().text.substr(1));
    switch (node->kind) {
      case NodeKind::kField:
      case NodeKind::kVariable:
        node->pos = pos;
        node->names.insert(node->names.end(), fields.begin(), fields.end());
        return node;
      case NodeKind::kBool:
      case NodeKind::kString:
      case NodeKind::kNumber:
      case NodeKind::kNil:
      case NodeKind::kDot:
        Fail("unexpected . after term " + GoQuote(node->ToString()));
        return nullptr;
      default:
        break;
    }
    NodePtr chain = New(NodeKind::kChain, pos);
    chain->names = std::move(fields);
    chain->children.push_back(std::move(node));
    return chain;
  }

  NodePtr Term() {
    const Token& token = PeekNonSpace();
    if (!StartsOperand(token.kind)) return nullptr;
    Next();
    switch (token.kind) {
      case TokenKind::kLeftParen:
        return Pipeline("parenthesized pipeline", TokenKind::kRightParen);
      case TokenKind::kIdentifier: {
        NodePtr node = New(NodeKind::kIdentifier, token.pos);
        node->text = std::string(token.text);
        if (FindFunction(node->text) == nullptr)
          Fail("function " + GoQuote(token.text) + " not defined");
        return node;
      }
      case TokenKind::kVariable:
        return Variable(token);
      case TokenKind::kField: {
        NodePtr node = New(NodeKind::kField, token.pos);
        node->names.emplace_back(token.text.substr(1));
        return node;
      }
      case TokenKind::kDot:
        return New(NodeKind::kDot, token.pos);
      case TokenKind::kNil:
        return New(NodeKind::kNil, token.pos);
      case TokenKind::kBool: {
        NodePtr node = New(NodeKind::kBool, token.pos);
        node->constant = Value(token.text == "true");
        node->text = std::string(token.text);
        return node;
      }
      default:
        return Literal(token);
    }
  }

  NodePtr Literal(const Token& token) {
    const bool number = token.kind == TokenKind::kNumber;
    NodePtr node = New(number ? NodeKind::kNumber : NodeKind::kString, token.pos);
    node->text = std::string(token.text);
    if (number) {
      const auto value = ParseGoNumber(token.text);
      if (!value) {
        if (token.text[0] == '\'') {
          Fail("malformed character constant: " + node->text);
        } else {
          const bool digits = token.text.find_first_not_of("0123456789") == std::string_view::npos;
          Fail((digits ? "integer overflow: " : "illegal number syntax: ") + GoQuote(token.text));
        }
        return nullptr;
      }
      node->constant = *value;
    } else {
      auto text = UnquoteGo(token.text);
      if (!text) {
        Fail("invalid syntax");
        return nullptr;
      }
      node->constant = Value(*std::move(text));
    }
    return node;
  }

  NodePtr Variable(const Token& token) {
    NodePtr node = New(NodeKind::kVariable, token.pos);
    node->names.emplace_back(token.text);
    if (std::find(variables_.begin(), variables_.end(), node->names[0]) == variables_.end()) {
      Fail("undefined variable " + GoQuote(token.text));
    }
    return node;
  }

  static NodePtr New(NodeKind kind, size_t pos) {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->pos = pos;
    return node;
  }

  TemplateTree tree_;
  std::vector<Token> tokens_;  // views into tree_.text, which does not move any more
  size_t next_ = 0;
  std::vector<std::string> variables_ = {"$"};
  int range_depth_ = 0;
  int depth_ = 0;
  int action_line_ = 0;
  std::string message_;  // of the first error
};

std::string Joined(const NodeList& nodes, std::string_view separator) {
  std::string out;
  for (const NodePtr& node : nodes) {
    if (&node != &nodes.front()) out += separator;
    const bool nested = node->kind == NodeKind::kPipe;
    out += nested ? "(" + node->ToString() + ")" : node->ToString();
  }
  return out;
}

std::string ControlText(const Node& node, std::string_view keyword) {
  std::string out =
      "{{" + std::string(keyword) + " " + node.pipe->ToString() + "}}" + Joined(node.list, "");
  if (!node.else_list.empty()) out += "{{else}}" + Joined(node.else_list, "");
  return out + "{{end}}";
}

}  // namespace

std::string Node::ToString() const {
  std::string out;
  switch (kind) {
    case NodeKind::kText:
      return GoQuote(text);
    case NodeKind::kAction:
      return "{{" + pipe->ToString() + "}}";
    case NodeKind::kIf:
      return ControlText(*this, "if");
    case NodeKind::kWith:
      return ControlText(*this, "with");
    case NodeKind::kRange:
      return ControlText(*this, "range");
    case NodeKind::kTemplate:
      return "{{template " + GoQuote(text) + (pipe ? " " + pipe->ToString() : "") + "}}";
    case NodeKind::kBreak:
      return "{{break}}";
    case NodeKind::kContinue:
      return "{{continue}}";
    case NodeKind::kPipe:
      for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
      if (!names.empty()) out += assign ? " = " : " := ";
      return out + Joined(children, " | ");
    case NodeKind::kCommand:
      return Joined(children, " ");
    case NodeKind::kField:
      for (const std::string& name : names) out += "." + name;
      return out;
    case NodeKind::kVariable:
      for (const std::string& name : names) out += (out.empty() ? "" : ".") + name;
      return out;
    case NodeKind::kChain:
      out = Joined(children, "");
      for (const std::string& name : names) out += "." + name;
      return out;
    case NodeKind::kDot:
      return ".";
    case NodeKind::kNil:
      return "nil";
    case NodeKind::kIdentifier:
    case NodeKind::kBool:
    case NodeKind::kNumber:
    case NodeKind::kString:
      return text;
    case NodeKind::kEnd:
      return "{{end}}";
    case NodeKind::kElse:
      return "{{else}}";
  }
  return out;
}

Result<TemplateTree> ParseTemplate(std::string name, std::string text) {
  if (text.size() > kMaxTemplateBytes) {
    return Error(Code::kInvalidArgument, "template: " + name + ": template is longer than " +
                                             std::to_string(kMaxTemplateBytes) + " bytes");
  }
  return Parser(std::move(name), std::move(text)).Run();
}

}  // namespace tocsin::alerting::tmpl
