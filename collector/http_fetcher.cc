#include "collector/http_fetcher.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/env.h"
#include "collector/http_options.h"

namespace tocsin::collector {
namespace {

// One read of a page of a hundred kilobytes instead of seven.
constexpr long kReceiveBufferBytes = 128 * 1024;
constexpr long kRedirectsMax = 10;
constexpr size_t kIdleHandlesMax = 64;

struct CurlGlobal {
  CurlGlobal() { CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); }
};

std::string_view ReasonOf(int status) {
  switch (status) {
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    default:
      return "";
  }
}

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (size_t i = 0; i < lower.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c) != lower[i]) return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

struct Transfer {
  CURL* easy = nullptr;
  HttpHeaderList headers;
  std::string url;
  FetchSink* sink = nullptr;
  FetchAnswer answer;
  bool answered = false;
  Status refused;  // by the sink
  std::array<char, CURL_ERROR_SIZE> error;

  Status Answer() {
    answered = true;
    if (answer.reason.empty()) answer.reason = ReasonOf(answer.status);
    return sink->OnAnswer(answer);
  }
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    transfer->answer = FetchAnswer();
    const size_t space = std::min(line.find(' '), line.size());
    const std::string_view rest = Trim(line.substr(space));
    for (size_t i = 0; i < std::min<size_t>(rest.size(), 3); ++i) {
      transfer->answer.status = transfer->answer.status * 10 + (rest[i] - '0');
    }
    if (rest.size() > 3) transfer->answer.reason = Trim(rest.substr(3));
  } else if (StartsWithIgnoringCase(line, "content-type:")) {
    transfer->answer.content_type = Trim(line.substr(13));
  }
  return size * count;
}

size_t OnData(char* data, size_t size, size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  if (!transfer->answered) transfer->refused = transfer->Answer();
  if (transfer->refused.ok()) transfer->refused = transfer->sink->OnBody({data, size * count});
  return transfer->refused.ok() ? size * count : 0;
}

Status Failure(const Transfer& transfer, CURLcode code) {
  const std::string get = "Get \"" + transfer.url + "\": ";
  std::string detail = transfer.error[0] != 0 ? transfer.error.data() : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Status(Code::kDeadlineExceeded, get + "context deadline exceeded");
    case CURLE_COULDNT_CONNECT: {
      long os_error = 0;
      curl_easy_getinfo(transfer.easy, CURLINFO_OS_ERRNO, &os_error);
      if (os_error != 0) {
        detail = std::string("connect: ") + std::strerror(static_cast<int>(os_error));
      }
      return Status(Code::kUnavailable, get + detail);
    }
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return Status(Code::kInvalidArgument, get + detail);
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR:
      return Status(Code::kCorruption, get + detail);
    default:
      return Status(Code::kUnavailable, get + detail);
  }
}

}  // namespace

struct HttpFetcher::Impl {
  Env* env;
  CURLM* multi = nullptr;
  int epoll_fd = -1;
  int wake_fd = -1;                 // its owner reads it
  int64_t curl_due_ns = INT64_MAX;  // when libcurl wants to be called
  std::unordered_map<FetchSink*, std::unique_ptr<Transfer>> transfers;
  std::vector<CURL*> idle;

  static int OnSocket(CURL*, curl_socket_t fd, int what, void* user, void* known) {
    auto* impl = static_cast<Impl*>(user);
    epoll_event event{};
    event.data.fd = fd;
    if (what == CURL_POLL_REMOVE) {
      // Fails when the socket is closed already, which takes it out as well.
      (void)epoll_ctl(impl->epoll_fd, EPOLL_CTL_DEL, fd, &event);
      curl_multi_assign(impl->multi, fd, nullptr);
      return 0;
    }
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    const int operation = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(impl->epoll_fd, operation, fd, &event) != 0) {
      // A number that was closed and given out again behind libcurl's back.
      const int other = operation == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
      if (epoll_ctl(impl->epoll_fd, other, fd, &event) != 0) return -1;
    }
    curl_multi_assign(impl->multi, fd, impl);
    return 0;
  }

  static int OnTimer(CURLM*, long timeout_ms, void* user) {
    auto* impl = static_cast<Impl*>(user);
    impl->curl_due_ns =
        timeout_ms < 0 ? INT64_MAX : impl->env->MonotonicNanos() + int64_t{timeout_ms} * 1'000'000;
    return 0;
  }

  CURL* TakeHandle() {
    if (idle.empty()) return curl_easy_init();
    CURL* easy = idle.back();
    idle.pop_back();
    curl_easy_reset(easy);
    return easy;
  }

  void GiveBack(Transfer* transfer) {
    curl_multi_remove_handle(multi, transfer->easy);
    if (idle.size() < kIdleHandlesMax) {
      idle.push_back(transfer->easy);
    } else {
      curl_easy_cleanup(transfer->easy);
    }
  }

  void FinishDone() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      FetchSink* sink = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &sink);
      const CURLcode code = message->data.result;
      auto node = transfers.extract(sink);
      CHECK(!node.empty());
      Transfer& transfer = *node.mapped();
      Status status = transfer.refused;
      if (status.ok() && code != CURLE_OK) status = Failure(transfer, code);
      if (status.ok() && !transfer.answered) status = transfer.Answer();
      GiveBack(&transfer);
      sink->OnDone(status);
    }
  }
};

HttpFetcher::HttpFetcher(Env* env, int wake_fd) : impl_(std::make_unique<Impl>()) {
  static const CurlGlobal global;
  impl_->env = env;
  impl_->wake_fd = wake_fd;
  impl_->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  CHECK(impl_->epoll_fd >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_fd;
  CHECK(epoll_ctl(impl_->epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) == 0);
  impl_->multi = curl_multi_init();
  CHECK(impl_->multi != nullptr);
  curl_multi_setopt(impl_->multi, CURLMOPT_SOCKETFUNCTION, &Impl::OnSocket);
  curl_multi_setopt(impl_->multi, CURLMOPT_SOCKETDATA, impl_.get());
  curl_multi_setopt(impl_->multi, CURLMOPT_TIMERFUNCTION, &Impl::OnTimer);
  curl_multi_setopt(impl_->multi, CURLMOPT_TIMERDATA, impl_.get());
  SetConnectionsMax(0);
}

HttpFetcher::~HttpFetcher() {
  for (auto& [sink, transfer] : impl_->transfers) {
    curl_multi_remove_handle(impl_->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
  }
  for (CURL* easy : impl_->idle) curl_easy_cleanup(easy);
  curl_multi_cleanup(impl_->multi);
  close(impl_->epoll_fd);
}

void HttpFetcher::SetConnectionsMax(size_t count) {
  curl_multi_setopt(impl_->multi, CURLMOPT_MAXCONNECTS, static_cast<long>(count + 16));
}

size_t HttpFetcher::active() const { return impl_->transfers.size(); }

Status HttpFetcher::Start(const FetchRequest& request, FetchSink* sink) {
  auto transfer = std::make_unique<Transfer>();
  transfer->sink = sink;
  transfer->url = request.url;
  transfer->error[0] = 0;
  transfer->easy = impl_->TakeHandle();
  if (transfer->easy == nullptr) return Status(Code::kInternal, "libcurl gave no handle");
  CURL* const easy = transfer->easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, sink);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error.data());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.timeout_ms));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, request.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnData);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  if (request.accept_gzip) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  transfer->headers.Add("Accept", request.accept);
  if (!request.accept_gzip) transfer->headers.Add("Accept-Encoding", "identity");
  transfer->headers.Add("X-Prometheus-Scrape-Timeout-Seconds", request.timeout_header);

  Status status =
      SetClientOptions(easy, request.url, *request.client, impl_->env, &transfer->headers);
  if (status.ok()) {
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers.list());
    if (curl_multi_add_handle(impl_->multi, easy) != CURLM_OK) {
      status = Status(Code::kInternal, "libcurl refused the transfer");
    }
  }
  if (!status.ok()) {
    impl_->GiveBack(transfer.get());
    return status;
  }
  CHECK(impl_->transfers.emplace(sink, std::move(transfer)).second);
  return Status::Ok();
}

void HttpFetcher::Cancel(FetchSink* sink) {
  auto node = impl_->transfers.extract(sink);
  if (!node.empty()) impl_->GiveBack(node.mapped().get());
}

void HttpFetcher::Poll(int64_t timeout_ms) {
  const int64_t now_ns = impl_->env->MonotonicNanos();
  if (impl_->curl_due_ns != INT64_MAX) {
    const int64_t wait_ms =
        std::max<int64_t>(0, (impl_->curl_due_ns - now_ns + 999'999) / 1'000'000);
    timeout_ms = std::min(timeout_ms, wait_ms);
  }
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(impl_->epoll_fd, events.data(), static_cast<int>(events.size()),
                               static_cast<int>(timeout_ms));
  int running = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.fd == impl_->wake_fd) continue;
    int flags = 0;
    if ((event.events & (EPOLLIN | EPOLLHUP)) != 0) flags |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) flags |= CURL_CSELECT_OUT;
    if ((event.events & EPOLLERR) != 0) flags |= CURL_CSELECT_ERR;
    curl_multi_socket_action(impl_->multi, event.data.fd, flags, &running);
  }
  if (impl_->curl_due_ns <= impl_->env->MonotonicNanos()) {
    impl_->curl_due_ns = INT64_MAX;
    curl_multi_socket_action(impl_->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  impl_->FinishDone();
}

}  // namespace tocsin::collector
