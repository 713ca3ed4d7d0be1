#include "base/http/client.h"

#include <curl/curl.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/http/message.h"

namespace tocsin::http {
namespace {

constexpr long kRedirectsMax = 5;

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using EasyHandle = std::unique_ptr<CURL, CurlDeleter>;
using HeaderList = std::unique_ptr<curl_slist, CurlDeleter>;
using UrlHandle = std::unique_ptr<CURLU, CurlDeleter>;

void InitCurlOnce() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK_MSG(code == CURLE_OK, "curl_global_init");
}

bool Append(HeaderList* list, const std::string& line) {
  curl_slist* grown = curl_slist_append(list->get(), line.c_str());
  if (grown == nullptr) return false;
  list->release();
  list->reset(grown);
  return true;
}

bool HasLineBreak(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

std::string UrlPart(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

Code CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Code::kDeadlineExceeded;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return Code::kInvalidArgument;
    case CURLE_ABORTED_BY_CALLBACK:
      return Code::kCancelled;
    case CURLE_OUT_OF_MEMORY:
      return Code::kResourceExhausted;
    default:
      return Code::kUnavailable;
  }
}

// One answer being received.
struct Reception {
  ClientResponse response;
  size_t bytes_max = 0;
  bool too_large = false;
};

size_t OnBody(char* bytes, size_t size, size_t count, void* user) {
  auto* reception = static_cast<Reception*>(user);
  const size_t length = size * count;
  if (length > reception->bytes_max - reception->response.body.size()) {
    reception->too_large = true;
    return 0;
  }
  reception->response.body.append(bytes, length);
  return length;
}

size_t OnHeader(char* bytes, size_t size, size_t count, void* user) {
  auto* reception = static_cast<Reception*>(user);
  std::string_view line(bytes, size * count);
  if (line.starts_with("HTTP/")) {  // a new answer: after a redirect or 100 Continue
    reception->response.headers.clear();
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' ')) {
    value.remove_suffix(1);
  }
  reception->response.headers.emplace_back(line.substr(0, colon), value);
  return line.size();
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(user)->load() ? 1 : 0;
}

}  // namespace

std::string_view ClientResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (EqualsIgnoreCase(key, name)) return value;
  }
  return "";
}

struct HttpClient::Impl {
  explicit Impl(ClientOptions client_options) : options(std::move(client_options)) {
    InitCurlOnce();
    easy.reset(curl_easy_init());
  }

  template <typename T>
  void Set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(easy.get(), option, value);
    if (code != CURLE_OK && setup_error == CURLE_OK) setup_error = code;
  }

  void SetCredentials() {
    if (!options.basic_username.empty()) {
      Set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      Set(CURLOPT_USERNAME, options.basic_username.c_str());
      Set(CURLOPT_PASSWORD, options.basic_password.c_str());
    } else if (!options.bearer_token.empty()) {
      Set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
      Set(CURLOPT_XOAUTH2_BEARER, options.bearer_token.c_str());
    }
  }

  void SetTls() {
    const ClientTlsOptions& tls = options.tls;
    if (!tls.ca_file.empty()) Set(CURLOPT_CAINFO, tls.ca_file.c_str());
    if (!tls.cert_file.empty()) Set(CURLOPT_SSLCERT, tls.cert_file.c_str());
    if (!tls.key_file.empty()) Set(CURLOPT_SSLKEY, tls.key_file.c_str());
    Set(CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
    Set(CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
  }

  // curl takes the name to expect in the certificate from the URL. For another one the URL names
  // that, and the connection is redirected to the real host.
  Status SetServerName(CURLU* url, HeaderList* connect_to, HeaderList* headers) {
    const std::string host = UrlPart(url, CURLUPART_HOST);
    const std::string port = UrlPart(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    const std::string& name = options.tls.server_name;
    if (curl_url_set(url, CURLUPART_HOST, name.c_str(), 0) != CURLUE_OK) {
      return Status(Code::kInvalidArgument, "bad server_name \"" + name + "\"");
    }
    if (!Append(connect_to, name + ":" + port + ":" + host + ":" + port) ||
        !Append(headers, "Host: " + host + ":" + port)) {
      return Status(Code::kResourceExhausted, "out of memory");
    }
    Set(CURLOPT_CONNECT_TO, connect_to->get());
    return Status::Ok();
  }

  Result<ClientResponse> Perform(std::string_view method, const std::string& url_text,
                                 const std::vector<std::pair<std::string, std::string>>& headers,
                                 std::string_view body);

  const ClientOptions options;
  EasyHandle easy;
  std::atomic<bool> aborted{false};
  CURLcode setup_error = CURLE_OK;
};

Result<ClientResponse> HttpClient::Impl::Perform(
    std::string_view method, const std::string& url_text,
    const std::vector<std::pair<std::string, std::string>>& headers, std::string_view body) {
  if (easy == nullptr) return Error(Code::kResourceExhausted, "curl handle");
  curl_easy_reset(easy.get());  // keeps connections and the name cache
  setup_error = CURLE_OK;

  UrlHandle url(curl_url());
  if (url == nullptr) return Error(Code::kResourceExhausted, "curl URL");
  if (curl_url_set(url.get(), CURLUPART_URL, url_text.c_str(), 0) != CURLUE_OK) {
    return Error(Code::kInvalidArgument, "bad URL");
  }
  HeaderList header_list;
  HeaderList connect_to;
  for (const auto* list : {&options.headers, &headers}) {
    for (const auto& [name, value] : *list) {
      if (HasLineBreak(name) || HasLineBreak(value)) {
        return Error(Code::kInvalidArgument, "header \"" + name + "\" holds a line break");
      }
      if (!Append(&header_list, value.empty() ? name + ";" : name + ": " + value)) {
        return Error(Code::kResourceExhausted, "out of memory");
      }
    }
  }
  // Never wait for "100 Continue": alert batches pass its threshold of 1 MB and servers lack it.
  if (!Append(&header_list, "Expect:")) return Error(Code::kResourceExhausted, "out of memory");
  if (!options.tls.server_name.empty() && UrlPart(url.get(), CURLUPART_SCHEME) == "https") {
    TOCSIN_TRY(SetServerName(url.get(), &connect_to, &header_list));
  }

  Reception reception;
  reception.bytes_max = options.response_bytes_max;
  char error_text[CURL_ERROR_SIZE] = "";
  const std::string method_text(method);
  Set(CURLOPT_CURLU, url.get());
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_ERRORBUFFER, error_text);
  Set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout_ms));
  Set(CURLOPT_FOLLOWLOCATION, options.follow_redirects ? 1L : 0L);
  Set(CURLOPT_MAXREDIRS, kRedirectsMax);
  Set(CURLOPT_USERAGENT, options.user_agent.c_str());
  Set(CURLOPT_PROXY, options.proxy_url.c_str());  // "" also switches the environment's off
  Set(CURLOPT_HTTPHEADER, header_list.get());
  Set(CURLOPT_WRITEFUNCTION, &OnBody);
  Set(CURLOPT_WRITEDATA, &reception);
  Set(CURLOPT_HEADERFUNCTION, &OnHeader);
  Set(CURLOPT_HEADERDATA, &reception);
  Set(CURLOPT_NOPROGRESS, 0L);
  Set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
  Set(CURLOPT_XFERINFODATA, &aborted);
  if (method == "HEAD") {
    Set(CURLOPT_NOBODY, 1L);
  } else if (method != "GET" || !body.empty()) {
    Set(CURLOPT_POST, 1L);
    Set(CURLOPT_POSTFIELDS, body.data() == nullptr ? "" : body.data());
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    if (method != "POST") Set(CURLOPT_CUSTOMREQUEST, method_text.c_str());
  }
  SetCredentials();
  SetTls();
  if (setup_error != CURLE_OK) {
    return Error(CodeOf(setup_error), curl_easy_strerror(setup_error));
  }

  const CURLcode code = curl_easy_perform(easy.get());
  if (reception.too_large) {
    return Error(Code::kResourceExhausted,
                 "answer larger than " + std::to_string(options.response_bytes_max) + " bytes");
  }
  if (code != CURLE_OK) {
    return Error(CodeOf(code), error_text[0] != '\0' ? error_text : curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy.get(), CURLINFO_TOTAL_TIME, &reception.response.seconds);
  reception.response.status = static_cast<int>(status);
  return std::move(reception.response);
}

HttpClient::HttpClient(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;

Result<ClientResponse> HttpClient::Get(const std::string& url) { return Send("GET", url, {}, ""); }

Result<ClientResponse> HttpClient::Post(const std::string& url, std::string_view content_type,
                                        std::string_view body) {
  return Send("POST", url, {{"Content-Type", std::string(content_type)}}, body);
}

Result<ClientResponse> HttpClient::Send(
    std::string_view method, const std::string& url,
    const std::vector<std::pair<std::string, std::string>>& headers, std::string_view body) {
  return impl_->Perform(method, url, headers, body);
}

void HttpClient::Abort() { impl_->aborted.store(true); }

}  // namespace tocsin::http
