#include "alerting/template/eval.h"

#include <algorithm>
#include <array>

#include "alerting/template/go_format.h"

namespace tocsin::alerting::tmpl {
namespace {

using Kind = Value::Kind;

// How a list of nodes ended.
enum class Flow : uint8_t { kGoOn, kBreak, kContinue };

// One run of a template. Results carry failures up; a failure's message is complete.
class Run {
 public:
  Run(const TemplateTree& tree, const FunctionContext& context) : tree_(tree), context_(context) {}

  Result<std::string> Execute(const Value& data) {
    TOCSIN_ASSIGN_OR_RETURN(const Flow flow, Call(tree_.name, tree_.root, data));
    (void)flow;
    return std::move(out_);
  }

 private:
  struct Variable {
    const std::string* name;
    Value value;
  };
  // The variables of one template call; inner calls see none of them.
  struct Scope {
    const std::string* template_name;
    std::vector<Variable> variables;
  };

  Result<Flow> Call(const std::string& name, const NodeList& body, const Value& dot) {
    static const std::string kRootVariable = "$";
    Scope scope{&name, {{&kRootVariable, dot}}};
    Scope* const outer = scope_;
    scope_ = &scope;
    ++depth_;
    auto flow = Walk(body, dot);
    --depth_;
    scope_ = outer;
    return flow;
  }

  // "template: N:LINE:COL: executing "N" at <NODE>: WHAT". As in Go, the place is the node that was
  // looked at last.
  std::unexpected<Status> Fail(const std::string& what) const {
    const Node& at = *at_;
    const std::string_view before = std::string_view(tree_.text).substr(0, at.pos);
    const size_t newline = before.rfind('\n');
    const size_t column = newline == std::string_view::npos ? at.pos : at.pos - newline - 1;
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    return Error(Code::kExecution, "template: " + tree_.name + ":" + std::to_string(line) + ":" +
                                       std::to_string(column) + ": executing " +
                                       GoQuote(*scope_->template_name) + " at <" + at.ToString() +
                                       ">: " + what);
  }

  // Every node that is looked at passes here.
  Status Step(const Node& at) {
    at_ = &at;
    if (++steps_ <= kMaxSteps) return Status::Ok();
    return Fail("template runs for too long").error();
  }

  Status Write(std::string_view text) {
    if (out_.size() + text.size() > kMaxOutputBytes) {
      return Fail("text is longer than " + std::to_string(kMaxOutputBytes) + " bytes").error();
    }
    out_ += text;
    return Status::Ok();
  }

  // ---- statements

  Result<Flow> Walk(const NodeList& nodes, const Value& dot) {
    for (const NodePtr& node : nodes) {
      TOCSIN_ASSIGN_OR_RETURN(const Flow flow, Walk(*node, dot));
      if (flow != Flow::kGoOn) return flow;
    }
    return Flow::kGoOn;
  }

  Result<Flow> Walk(const Node& node, const Value& dot) {
    TOCSIN_TRY(Step(node));
    switch (node.kind) {
      case NodeKind::kText:
        TOCSIN_TRY(Write(node.text));
        return Flow::kGoOn;
      case NodeKind::kAction: {
        TOCSIN_ASSIGN_OR_RETURN(const Value value, Pipeline(dot, *node.pipe));
        if (node.pipe->names.empty()) {
          TOCSIN_TRY(Write(value.is_nil() ? "<no value>" : value.Print()));
        }
        return Flow::kGoOn;
      }
      case NodeKind::kIf:
      case NodeKind::kWith:
        return IfOrWith(node, dot);
      case NodeKind::kRange:
        return Range(node, dot);
      case NodeKind::kTemplate:
        return CallTemplate(node, dot);
      case NodeKind::kBreak:
        return Flow::kBreak;
      case NodeKind::kContinue:
        return Flow::kContinue;
      default:
        return Fail("unknown node: " + node.ToString());
    }
  }

  Result<Flow> IfOrWith(const Node& node, const Value& dot) {
    const size_t mark = scope_->variables.size();
    auto flow = [&]() -> Result<Flow> {
      TOCSIN_ASSIGN_OR_RETURN(const Value value, Pipeline(dot, *node.pipe));
      if (!value.Truth()) return Walk(node.else_list, dot);
      return Walk(node.list, node.kind == NodeKind::kWith ? value : dot);
    }();
    scope_->variables.resize(mark);
    return flow;
  }

  Result<Flow> Range(const Node& node, const Value& dot) {
    const size_t mark = scope_->variables.size();
    auto flow = RangeOver(node, dot);
    scope_->variables.resize(mark);
    return flow;
  }

  Result<Flow> RangeOver(const Node& node, const Value& dot) {
    TOCSIN_ASSIGN_OR_RETURN(const Value over, Pipeline(dot, *node.pipe));
    bool any = false;
    // True: the loop goes on.
    const auto iterate = [&](const Value& index, const Value& element) -> Result<bool> {
      any = true;
      return Iteration(node, index, element, over.kind() == Kind::kInt);
    };
    switch (over.kind()) {
      case Kind::kNil:
        break;
      case Kind::kList:
        for (size_t i = 0; i < over.AsList().size(); ++i) {
          TOCSIN_ASSIGN_OR_RETURN(const bool on,
                                  iterate(Value(static_cast<int64_t>(i)), over.AsList()[i]));
          if (!on) break;
        }
        break;
      case Kind::kMap:
        for (const auto& [key, value] : over.AsMap()) {
          TOCSIN_ASSIGN_OR_RETURN(const bool on, iterate(Value(key), value));
          if (!on) break;
        }
        break;
      case Kind::kInt:
        if (node.pipe->names.size() > 1) {
          return Fail("can't use " + over.Print() + " to iterate over more than one variable");
        }
        for (int64_t i = 0; i < over.AsInt(); ++i) {
          TOCSIN_ASSIGN_OR_RETURN(const bool on, iterate(Value(i), Value(i)));
          if (!on) break;
        }
        break;
      default:
        return Fail("range can't iterate over " + over.Print());
    }
    if (!any) return Walk(node.else_list, dot);
    return Flow::kGoOn;
  }

  Result<bool> Iteration(const Node& node, const Value& index, const Value& element, bool counts) {
    const std::vector<std::string>& names = node.pipe->names;
    if (!names.empty()) {
      const bool both = names.size() > 1;
      TOCSIN_TRY(Assign(names[0], both && !counts ? index : element));
      if (both) TOCSIN_TRY(Assign(names[1], element));
    }
    const size_t mark = scope_->variables.size();
    TOCSIN_TRY(Step(node));
    auto flow = Walk(node.list, element);
    scope_->variables.resize(std::min(mark, scope_->variables.size()));
    if (!flow) return std::unexpected(std::move(flow).error());
    return *flow != Flow::kBreak;
  }

  Result<Flow> CallTemplate(const Node& node, const Value& dot) {
    const NodeList* body = nullptr;
    if (const auto it = tree_.defined.find(node.text); it != tree_.defined.end()) {
      body = &it->second;
    } else if (node.text == tree_.name) {
      body = &tree_.root;
    }
    if (body == nullptr) return Fail("template " + GoQuote(node.text) + " not defined");
    if (depth_ >= kMaxCallDepth) {
      return Fail("exceeded maximum template depth (" + std::to_string(kMaxCallDepth) + ")");
    }
    Value argument;
    if (node.pipe) {
      TOCSIN_ASSIGN_OR_RETURN(argument, Pipeline(dot, *node.pipe));
    }
    TOCSIN_ASSIGN_OR_RETURN(const Flow flow, Call(node.text, *body, argument));
    (void)flow;
    return Flow::kGoOn;
  }

  // ---- pipelines

  Result<Value> Pipeline(const Value& dot, const Node& pipe) {
    TOCSIN_TRY(Step(pipe));
    const Value* previous = nullptr;
    Value value;
    for (const NodePtr& command : pipe.children) {
      TOCSIN_ASSIGN_OR_RETURN(Value next, Command(dot, *command, previous));
      value = std::move(next);
      previous = &value;
    }
    for (const std::string& name : pipe.names) {
      if (pipe.assign) {
        TOCSIN_TRY(Assign(name, value));
      } else {
        scope_->variables.push_back({&name, value});
      }
    }
    return value;
  }

  Status Assign(const std::string& name, const Value& value) {
    for (auto it = scope_->variables.rbegin(); it != scope_->variables.rend(); ++it) {
      if (*it->name == name) {
        it->value = value;
        return Status::Ok();
      }
    }
    return Fail("undefined variable: " + name).error();
  }

  // `final` is the value of the command before it in the pipeline, or null.
  Result<Value> Command(const Value& dot, const Node& command, const Value* final) {
    const Node& first = *command.children[0];
    if (first.kind != NodeKind::kPipe) TOCSIN_TRY(Step(first));
    const std::span<const NodePtr> args = std::span(command.children).subspan(1);
    switch (first.kind) {
      case NodeKind::kField:
        return FieldChain(dot, dot, first, first.names, args, final);
      case NodeKind::kVariable:
        return VariableNode(dot, first, args, final);
      case NodeKind::kChain:
        return ChainNode(dot, first, args, final);
      case NodeKind::kIdentifier:
        return FunctionCall(dot, first, command, args, final);
      default:
        break;
    }
    TOCSIN_TRY(RefuseArguments(first, args, final));
    switch (first.kind) {
      case NodeKind::kPipe:
        return Pipeline(dot, first);
      case NodeKind::kDot:
        return dot;
      case NodeKind::kNil:
        return Fail("nil is not a command");
      case NodeKind::kBool:
      case NodeKind::kNumber:
      case NodeKind::kString:
        return first.constant;
      default:
        return Fail("can't evaluate command " + GoQuote(first.ToString()));
    }
  }

  Status RefuseArguments(const Node& at, std::span<const NodePtr> args, const Value* final) {
    if (args.empty() && final == nullptr) return Status::Ok();
    return Fail("can't give argument to non-function " + at.ToString()).error();
  }

  // ---- operands

  Result<Value> VariableNode(const Value& dot, const Node& node, std::span<const NodePtr> args,
                             const Value* final) {
    Value value;
    bool found = false;
    for (auto it = scope_->variables.rbegin(); it != scope_->variables.rend() && !found; ++it) {
      found = *it->name == node.names[0];
      if (found) value = it->value;
    }
    if (!found) return Fail("undefined variable: " + node.names[0]);
    if (node.names.size() == 1) {
      TOCSIN_TRY(RefuseArguments(node, args, final));
      return value;
    }
    return FieldChain(dot, value, node, std::span(node.names).subspan(1), args, final);
  }

  Result<Value> ChainNode(const Value& dot, const Node& node, std::span<const NodePtr> args,
                          const Value* final) {
    TOCSIN_ASSIGN_OR_RETURN(const Value receiver, Argument(dot, *node.children[0], Param::kAny));
    return FieldChain(dot, receiver, node, node.names, args, final);
  }

  // .X.Y.Z, where only the last may be a method with arguments.
  Result<Value> FieldChain(const Value& dot, Value receiver, const Node& node,
                           std::span<const std::string> names, std::span<const NodePtr> args,
                           const Value* final) {
    for (size_t i = 0; i < names.size(); ++i) {
      const bool last = i + 1 == names.size();
      TOCSIN_ASSIGN_OR_RETURN(
          receiver, Field(dot, receiver, node, names[i], last ? args : std::span<const NodePtr>(),
                          last ? final : nullptr));
    }
    return receiver;
  }

  Result<Value> Field(const Value& dot, const Value& receiver, const Node& node,
                      const std::string& name, std::span<const NodePtr> args, const Value* final) {
    if (receiver.is_nil()) return Value();
    if (const Function* method = FindMethod(receiver, name)) {
      TOCSIN_ASSIGN_OR_RETURN(std::vector<Value> values, Arguments(dot, *method, args, final));
      values.insert(values.begin(), receiver);
      return Invoke(node, *method, values);
    }
    const bool has_args = !args.empty() || final != nullptr;
    if (receiver.kind() == Kind::kStruct) {
      if (const Value* field = receiver.Field(name)) {
        if (has_args) return Fail(name + " has arguments but cannot be invoked as function");
        return *field;
      }
    } else if (receiver.kind() == Kind::kMap) {
      if (has_args) return Fail(name + " is not a method but has arguments");
      return receiver.MapEntry(name);
    }
    return Fail("can't evaluate field " + name + " in type " + receiver.TypeName());
  }

  // ---- calls

  Result<Value> FunctionCall(const Value& dot, const Node& identifier, const Node& command,
                             std::span<const NodePtr> args, const Value* final) {
    const Function* function = FindFunction(identifier.text);
    if (function == nullptr) {
      return Fail(GoQuote(identifier.text) + " is not a defined function");
    }
    if (function->name == "and" || function->name == "or") {
      return AndOr(dot, identifier, function->name == "or", args, final);
    }
    TOCSIN_ASSIGN_OR_RETURN(const std::vector<Value> values,
                            Arguments(dot, *function, args, final));
    if (function->name == "call") return CallValue(command, args, values);
    if (function->name == "query" && ++queries_ > kMaxQueriesPerRun) {
      return Fail("error calling query: more than " + std::to_string(kMaxQueriesPerRun) +
                  " queries in one template");
    }
    return Invoke(command, *function, values);
  }

  // No value of a template is a function, so `call` always fails; it names what it was given.
  Result<Value> CallValue(const Node& command, std::span<const NodePtr> args,
                          const std::vector<Value>& values) {
    at_ = &command;
    if (values[0].is_nil()) return Fail("error calling call: call of nil");
    const std::string callee = args.empty() ? values[0].Print() : args[0]->ToString();
    return Fail("error calling call: non-function " + callee + " of type " + values[0].TypeName());
  }

  Result<Value> Invoke(const Node& at, const Function& function, std::span<const Value> values) {
    auto value = function.call(context_, values);
    if (value) {
      made_bytes_ += value->print_bytes();
      if (made_bytes_ > kMaxMadeBytes) return Fail("template makes too much text");
      return value;
    }
    at_ = &at;
    return Fail("error calling " + std::string(function.name) + ": " + value.error().message());
  }

  // Gives the first value that decides, and evaluates none after it.
  Result<Value> AndOr(const Value& dot, const Node& at, bool stops_at,
                      std::span<const NodePtr> args, const Value* final) {
    if (args.empty() && final == nullptr) {
      return Fail("wrong number of args for " + at.text + ": want at least 1 got 0");
    }
    Value value;
    for (const NodePtr& arg : args) {
      TOCSIN_ASSIGN_OR_RETURN(value, Argument(dot, *arg, Param::kAny));
      if (value.Truth() == stops_at) return value;
    }
    return final == nullptr ? value : *final;
  }

  Result<std::vector<Value>> Arguments(const Value& dot, const Function& function,
                                       std::span<const NodePtr> args, const Value* final) {
    const size_t have = args.size() + (final != nullptr ? 1 : 0);
    const size_t fixed = function.params.size() - (function.variadic ? 1 : 0);
    const std::string wrong = "wrong number of args for " + std::string(function.name) + ": want ";
    if (function.variadic && have < fixed) {
      return Fail(wrong + "at least " + std::to_string(fixed) + " got " +
                  std::to_string(args.size()));
    }
    if (!function.variadic && have != fixed) {
      return Fail(wrong + std::to_string(fixed) + " got " + std::to_string(have));
    }
    const auto param = [&](size_t i) {
      return function.params[std::min(i, function.params.size() - 1)];
    };
    std::vector<Value> values;
    values.reserve(have + 1);
    for (size_t i = 0; i < args.size(); ++i) {
      TOCSIN_ASSIGN_OR_RETURN(Value value, Argument(dot, *args[i], param(i)));
      values.push_back(std::move(value));
    }
    if (final != nullptr) {
      TOCSIN_TRY(Validate(*final, param(args.size())));
      values.push_back(*final);
    }
    return values;
  }

  Result<Value> Argument(const Value& dot, const Node& node, Param param) {
    TOCSIN_TRY(Step(node));
    Value value;
    switch (node.kind) {
      case NodeKind::kNil:
        if (param == Param::kString || param == Param::kInt || param == Param::kTime ||
            param == Param::kDuration) {
          return Fail("cannot assign nil to " + std::string(ParamTypeName(param)));
        }
        if (param != Param::kAny)
          return Fail("invalid value; expected " + std::string(ParamTypeName(param)));
        return value;
      case NodeKind::kBool:
      case NodeKind::kNumber:
      case NodeKind::kString:
        if (Fits(param, node.constant)) return node.constant;
        return WrongConstant(node, param);
      case NodeKind::kDot:
        value = dot;
        break;
      case NodeKind::kPipe: {
        TOCSIN_ASSIGN_OR_RETURN(value, Pipeline(dot, node));
        break;
      }
      case NodeKind::kField: {
        TOCSIN_ASSIGN_OR_RETURN(value, FieldChain(dot, dot, node, node.names, {}, nullptr));
        break;
      }
      case NodeKind::kVariable: {
        TOCSIN_ASSIGN_OR_RETURN(value, VariableNode(dot, node, {}, nullptr));
        break;
      }
      case NodeKind::kChain: {
        TOCSIN_ASSIGN_OR_RETURN(value, ChainNode(dot, node, {}, nullptr));
        break;
      }
      case NodeKind::kIdentifier: {
        TOCSIN_ASSIGN_OR_RETURN(value, FunctionCall(dot, node, node, {}, nullptr));
        break;
      }
      default:
        return Fail("can't handle " + node.ToString() + " for arg of type " +
                    std::string(ParamTypeName(param)));
    }
    TOCSIN_TRY(Validate(value, param));
    return value;
  }

  std::unexpected<Status> WrongConstant(const Node& node, Param param) const {
    if (param == Param::kString) return Fail("expected string; found " + node.ToString());
    if (param == Param::kInt) return Fail("expected integer; found " + node.ToString());
    return Fail("can't handle " + node.ToString() + " for arg of type " +
                std::string(ParamTypeName(param)));
  }

  Status Validate(const Value& value, Param param) const {
    if (Fits(param, value)) return Status::Ok();
    const std::string type(ParamTypeName(param));
    if (value.is_nil()) return Fail("invalid value; expected " + type).error();
    return Fail("wrong type for value; expected " + type + "; got " + value.TypeName()).error();
  }

  const TemplateTree& tree_;
  const FunctionContext& context_;
  const Node* at_ = nullptr;
  Scope* scope_ = nullptr;
  int depth_ = 0;
  int64_t steps_ = 0;
  int64_t queries_ = 0;
  size_t made_bytes_ = 0;
  std::string out_;
};

constexpr std::string_view kAlertDataType =
    "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; "
    "Value interface {} }";

}  // namespace

Result<Template> Template::Parse(std::string name, std::string text) {
  TOCSIN_ASSIGN_OR_RETURN(TemplateTree tree, ParseTemplate(std::move(name), std::move(text)));
  return Template(std::make_shared<const TemplateTree>(std::move(tree)));
}

Result<std::string> Template::Execute(const Value& data, const FunctionContext& context) const {
  auto text = Run(*tree_, context).Execute(data);
  if (text) return text;
  return Error(text.error().Annotate("error executing template " + tree_->name));
}

Value AlertData(const Value& labels, const Value& external_labels, const std::string& external_url,
                Value value) {
  Fields fields;
  fields.emplace_back("Labels", labels);
  fields.emplace_back("ExternalLabels", external_labels);
  fields.emplace_back("ExternalURL", Value(external_url));
  fields.emplace_back("Value", std::move(value));
  return Value::OfStruct(std::move(fields), kAlertDataType);
}

}  // namespace tocsin::alerting::tmpl
