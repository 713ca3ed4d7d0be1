// Go's built-in template functions: comparison, logic, index, slice, len, print, escaping.
#include <cstdio>

#include "alerting/template/function_tables.h"
#include "alerting/template/go_format.h"
#include "alerting/template/utf8.h"

namespace tocsin::alerting::tmpl {
namespace {

using Kind = Value::Kind;
using Args = std::span<const Value>;

std::unexpected<Status> Failure(std::string message) {
  return Error(Code::kExecution, std::move(message));
}

// ---- comparison

bool IsBasic(Kind kind) {
  return kind == Kind::kBool || kind == Kind::kInt || kind == Kind::kFloat || kind == Kind::kString;
}

std::unexpected<Status> Incompatible(const Value& a, const Value& b) {
  return Failure("incompatible types for comparison: " + a.TypeName() + " and " + b.TypeName());
}

Result<bool> Equal(const Value& a, const Value& b) {
  if (a.is_nil() || b.is_nil()) return a.is_nil() && b.is_nil();
  if (a.kind() != b.kind()) {
    if (!IsBasic(a.kind()) && !IsBasic(b.kind())) {
      return Failure("non-comparable types " + a.Print() + ": " + a.TypeName() + ", " +
                     b.TypeName() + ": " + b.Print());
    }
    return Incompatible(a, b);
  }
  switch (a.kind()) {
    case Kind::kBool:
      return a.AsBool() == b.AsBool();
    case Kind::kInt:
      return a.AsInt() == b.AsInt();
    case Kind::kFloat:
      return a.AsFloat() == b.AsFloat();
    case Kind::kString:
      return a.AsString() == b.AsString();
    default:
      return Failure("non-comparable type " + b.Print() + ": " + b.TypeName());
  }
}

Result<bool> Less(const Value& a, const Value& b) {
  if (!IsBasic(a.kind()) || !IsBasic(b.kind())) return Failure("invalid type for comparison");
  if (a.kind() != b.kind()) return Incompatible(a, b);
  switch (a.kind()) {
    case Kind::kInt:
      return a.AsInt() < b.AsInt();
    case Kind::kFloat:
      return a.AsFloat() < b.AsFloat();
    case Kind::kString:
      return a.AsString() < b.AsString();
    default:
      return Failure("invalid type for comparison");
  }
}

Result<bool> LessOrEqual(const Value& a, const Value& b) {
  TOCSIN_ASSIGN_OR_RETURN(const bool less, Less(a, b));
  if (less) return true;
  return Equal(a, b);
}

Result<Value> Eq(const FunctionContext&, Args args) {
  if (args.size() < 2) return Failure("missing argument for comparison");
  for (const Value& other : args.subspan(1)) {
    TOCSIN_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], other));
    if (equal) return Value(true);
  }
  return Value(false);
}
Result<Value> Ne(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], args[1]));
  return Value(!equal);
}
Result<Value> Lt(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  return Value(less);
}
Result<Value> Le(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const bool less, LessOrEqual(args[0], args[1]));
  return Value(less);
}
Result<Value> Gt(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const bool less, LessOrEqual(args[0], args[1]));
  return Value(!less);
}
Result<Value> Ge(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  return Value(!less);
}

Result<Value> Not(const FunctionContext&, Args args) { return Value(!args[0].Truth()); }

// `and` and `or`, which do not evaluate what they need not, and `call`, which wants the names of
// its arguments, are run by the evaluator itself.
Result<Value> RunByEvaluator(const FunctionContext&, Args) {
  return Error(Code::kInternal, "called as a plain function");
}

// ---- parts

Result<size_t> IndexArgument(const Value& index, size_t limit) {
  if (index.is_nil()) return Failure("cannot index slice/array with nil");
  if (index.kind() != Kind::kInt) {
    return Failure("cannot index slice/array with type " + index.TypeName());
  }
  if (index.AsInt() < 0 || static_cast<uint64_t>(index.AsInt()) > limit) {
    return Failure("index out of range: " + std::to_string(index.AsInt()));
  }
  return static_cast<size_t>(index.AsInt());
}

Result<Value> IndexOnce(const Value& item, const Value& index) {
  switch (item.kind()) {
    case Kind::kNil:
      return Failure("index of nil pointer");
    case Kind::kMap:
      if (index.is_nil()) return Failure("value is nil; should be of type string");
      if (index.kind() != Kind::kString) {
        return Failure("value has type " + index.TypeName() + "; should be string");
      }
      return item.MapEntry(index.AsString());
    case Kind::kList:
    case Kind::kString: {
      const size_t size =
          item.kind() == Kind::kList ? item.AsList().size() : item.AsString().size();
      TOCSIN_ASSIGN_OR_RETURN(const size_t i, IndexArgument(index, size));
      if (i == size) return Failure("index out of range: " + std::to_string(i));
      if (item.kind() == Kind::kList) return item.AsList()[i];
      return Value(static_cast<int64_t>(static_cast<unsigned char>(item.AsString()[i])));
    }
    default:
      return Failure("can't index item of type " + item.TypeName());
  }
}

Result<Value> Index(const FunctionContext&, Args args) {
  if (args[0].is_nil()) return Failure("index of untyped nil");
  Value item = args[0];
  for (const Value& index : args.subspan(1)) {
    TOCSIN_ASSIGN_OR_RETURN(item, IndexOnce(item, index));
  }
  return item;
}

Result<Value> Slice(const FunctionContext&, Args args) {
  const Value& item = args[0];
  if (item.is_nil()) return Failure("slice of untyped nil");
  if (args.size() > 4) return Failure("too many slice indexes: " + std::to_string(args.size() - 1));
  const bool is_string = item.kind() == Kind::kString;
  if (!is_string && item.kind() != Kind::kList) {
    return Failure("can't slice item of type " + item.TypeName());
  }
  if (is_string && args.size() == 4) return Failure("cannot 3-index slice a string");
  const size_t size = is_string ? item.AsString().size() : item.AsList().size();
  size_t bounds[3] = {0, size, size};
  for (size_t i = 1; i < args.size(); ++i) {
    TOCSIN_ASSIGN_OR_RETURN(bounds[i - 1], IndexArgument(args[i], size));
  }
  for (size_t i = 0; i < 2; ++i) {
    if (bounds[i] > bounds[i + 1]) {
      return Failure("invalid slice index: " + std::to_string(bounds[i]) + " > " +
                     std::to_string(bounds[i + 1]));
    }
  }
  if (is_string) return Value(item.AsString().substr(bounds[0], bounds[1] - bounds[0]));
  const List& items = item.AsList();
  return Value::OfList(List(items.begin() + static_cast<std::ptrdiff_t>(bounds[0]),
                            items.begin() + static_cast<std::ptrdiff_t>(bounds[1])),
                       item.TypeName());
}

Result<Value> Len(const FunctionContext&, Args args) {
  switch (args[0].kind()) {
    case Kind::kNil:
      return Failure("len of nil pointer");
    case Kind::kString:
      return Value(static_cast<int64_t>(args[0].AsString().size()));
    case Kind::kList:
      return Value(static_cast<int64_t>(args[0].AsList().size()));
    case Kind::kMap:
      return Value(static_cast<int64_t>(args[0].AsMap().size()));
    default:
      return Failure("len of type " + args[0].TypeName());
  }
}

// ---- text

Result<Value> Bounded(std::string text) {
  if (text.size() > kMaxTextBytes) {
    return Failure("text is longer than " + std::to_string(kMaxTextBytes) + " bytes");
  }
  return Value(std::move(text));
}

Result<Value> Print(const FunctionContext&, Args args) { return Bounded(GoSprint(args)); }
Result<Value> Println(const FunctionContext&, Args args) { return Bounded(GoSprintln(args)); }
Result<Value> Printf(const FunctionContext&, Args args) {
  return Bounded(GoSprintf(args[0].AsString(), args.subspan(1), kMaxTextBytes));
}

// What the escaping functions escape: as print, but nil reads as in a template's text.
std::string EscapedText(Args args) {
  List shown(args.begin(), args.end());
  for (Value& value : shown) {
    if (value.is_nil()) value = Value(std::string("<no value>"));
  }
  return GoSprint(shown);
}

Result<Value> Html(const FunctionContext&, Args args) {
  std::string out;
  for (const char c : EscapedText(args)) {
    switch (c) {
      case '\0':
        out += "\ufffd";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return Bounded(std::move(out));
}

std::string JsEscape(const Rune& rune, std::string_view bytes) {
  constexpr std::string_view kQuoted = "\\'\"";
  if (rune.valid && rune.value >= 0x80 && IsPrintable(rune.value)) return std::string(bytes);
  if (rune.value < 0x80 && kQuoted.find(bytes[0]) != std::string_view::npos) {
    return "\\" + std::string(bytes);
  }
  const bool plain = rune.value >= 0x20 && rune.value < 0x80 &&
                     std::string_view("<>&=").find(bytes[0]) == std::string_view::npos;
  if (plain) return std::string(bytes);
  char escape[16];
  std::snprintf(escape, sizeof escape, "\\u%04X", static_cast<unsigned>(rune.value));
  return escape;
}

Result<Value> Js(const FunctionContext&, Args args) {
  const std::string text = EscapedText(args);
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const Rune rune = DecodeRune(std::string_view(text).substr(i));
    out += JsEscape(rune, std::string_view(text).substr(i, rune.size));
    i += rune.size;
  }
  return Bounded(std::move(out));
}

Result<Value> UrlQuery(const FunctionContext&, Args args) {
  return Bounded(QueryEscape(EscapedText(args)));
}

}  // namespace

std::string QueryEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.~").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      out += "0123456789ABCDEF"[static_cast<unsigned char>(c) >> 4];
      out += "0123456789ABCDEF"[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

const std::vector<Function>& BuiltinFunctions() {
  constexpr Param any = Param::kAny;
  static const auto* const table = new std::vector<Function>{
      {"and", {any, any}, true, RunByEvaluator},
      {"or", {any, any}, true, RunByEvaluator},
      {"not", {any}, false, Not},
      {"eq", {any, any}, true, Eq},
      {"ne", {any, any}, false, Ne},
      {"lt", {any, any}, false, Lt},
      {"le", {any, any}, false, Le},
      {"gt", {any, any}, false, Gt},
      {"ge", {any, any}, false, Ge},
      {"len", {any}, false, Len},
      {"index", {any, any}, true, Index},
      {"slice", {any, any}, true, Slice},
      {"call", {any, any}, true, RunByEvaluator},
      {"print", {any}, true, Print},
      {"println", {any}, true, Println},
      {"printf", {Param::kString, any}, true, Printf},
      {"html", {any}, true, Html},
      {"js", {any}, true, Js},
      {"urlquery", {any}, true, UrlQuery},
  };
  return *table;
}

}  // namespace tocsin::alerting::tmpl
