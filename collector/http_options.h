// Puts an HttpClientConfig on a libcurl transfer: TLS, credentials, proxy, redirects, headers.
// Internal to collector/: libcurl's types stay in the .cc files.
#pragma once

#include <string>
#include <string_view>

#include "base/http/client_config.h"
#include "base/status.h"

struct curl_slist;

namespace tocsin {
class Env;
}

namespace tocsin::collector {

// Owns the lists of text that a transfer refers to; must outlive it.
class HttpHeaderList {
 public:
  HttpHeaderList() = default;
  ~HttpHeaderList();
  HttpHeaderList(const HttpHeaderList&) = delete;
  HttpHeaderList& operator=(const HttpHeaderList&) = delete;

  void Add(std::string_view name, std::string_view value);
  void AddProxy(std::string_view name, std::string_view value);  // for CONNECT to a proxy
  void AddConnectTo(const std::string& entry);                   // CURLOPT_CONNECT_TO
  curl_slist* list() const { return list_; }
  curl_slist* proxy_list() const { return proxy_list_; }
  curl_slist* connect_to() const { return connect_to_; }

 private:
  static void Append(curl_slist** list, const std::string& line);
  static std::string Line(std::string_view name, std::string_view value);

  curl_slist* list_ = nullptr;
  curl_slist* proxy_list_ = nullptr;
  curl_slist* connect_to_ = nullptr;
};

// `easy`: a CURL*. Sets the URL too (an overridden TLS server name needs another than was asked
// for). Reads the files that hold secrets; an error names the one that could not be read.
Status SetClientOptions(void* easy, const std::string& url, const HttpClientConfig& config,
                        Env* env, HttpHeaderList* headers);

}  // namespace tocsin::collector
