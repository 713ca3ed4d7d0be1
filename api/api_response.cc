#include "api/api_response.h"

#include <algorithm>

namespace tocsin::api {
namespace {

void AppendNotes(std::string& out, std::string_view key, std::string_view kind,
                 const std::vector<std::string>& notes) {
  if (notes.empty()) return;
  out += ",\"";
  out += key;
  out += "\":[";
  const size_t shown = std::min(notes.size(), kAnnotationsMax);
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) out += ',';
    AppendJsonString(out, notes[i], JsonEscape::kHtml);
  }
  if (notes.size() > shown) {
    out += ',';
    AppendJsonString(out,
                     std::to_string(notes.size() - shown) + " more " + std::string(kind) +
                         " annotations omitted",
                     JsonEscape::kHtml);
  }
  out += ']';
}

}  // namespace

std::string_view ErrorTypeName(ErrorType type) {
  switch (type) {
    case ErrorType::kBadData:
      return "bad_data";
    case ErrorType::kExecution:
      return "execution";
    case ErrorType::kCanceled:
      return "canceled";
    case ErrorType::kTimeout:
      return "timeout";
    case ErrorType::kInternal:
      return "internal";
    case ErrorType::kUnavailable:
      return "unavailable";
    case ErrorType::kNotFound:
      return "not_found";
    case ErrorType::kNotAcceptable:
      return "not_acceptable";
  }
  return "internal";
}

int HttpStatusOf(ErrorType type) {
  switch (type) {
    case ErrorType::kBadData:
      return 400;
    case ErrorType::kExecution:
      return 422;
    case ErrorType::kCanceled:
      return 499;
    case ErrorType::kTimeout:
      return 503;
    case ErrorType::kInternal:
    case ErrorType::kUnavailable:
      return 500;
    case ErrorType::kNotFound:
      return 404;
    case ErrorType::kNotAcceptable:
      return 406;
  }
  return 500;
}

ApiError InvalidParameter(std::string_view name, std::string_view reason) {
  return {ErrorType::kBadData,
          "invalid parameter \"" + std::string(name) + "\": " + std::string(reason)};
}

ApiError FromStatus(const Status& status) {
  switch (status.code()) {
    case Code::kInvalidArgument:
      return InvalidParameter("query", status.message());
    case Code::kExecution:
    case Code::kResourceExhausted:  // the same query would fail again: not a matter of time
    case Code::kUnimplemented:
      return {ErrorType::kExecution, status.message()};
    case Code::kDeadlineExceeded:
      return {ErrorType::kTimeout, status.message()};
    case Code::kCancelled:
      return {ErrorType::kCanceled, status.message()};
    case Code::kUnavailable:
      return {ErrorType::kUnavailable, status.message()};
    case Code::kNotFound:
      return {ErrorType::kNotFound, status.message()};
    default:
      return {ErrorType::kInternal, status.message()};
  }
}

void RespondError(http::HttpResponse* response, const ApiError& error) {
  response->status = HttpStatusOf(error.type);
  response->headers.Set("Content-Type", "application/json");
  response->body.Clear();
  std::string& out = response->body.tail();
  JsonWriter(out)
      .BeginObject()
      .Key("status")
      .String("error")
      .Key("errorType")
      .String(ErrorTypeName(error.type))
      .Key("error")
      .String(error.message)
      .EndObject();
}

void RespondNoData(http::HttpResponse* response) {
  response->status = 204;
  response->body.Clear();
}

DataWriter::DataWriter(http::HttpResponse* response)
    : response_(*response), json_(response->body.tail()) {
  response_.status = 200;
  response_.headers.Set("Content-Type", "application/json");
  text() += R"({"status":"success","data":)";
}

void DataWriter::Finish(const std::vector<std::string>& warnings,
                        const std::vector<std::string>& infos) {
  AppendNotes(text(), "warnings", "warning", warnings);
  AppendNotes(text(), "infos", "info", infos);
  text() += '}';
  response_.body.Flush();
}

}  // namespace tocsin::api
