// RawClient: a TCP client for tests of the HTTP server, which sends exactly the bytes it is told to
// and reads answers with a real receive timeout (a test that hangs fails instead).
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace tocsin::testing {

struct RawResponse {
  int status = 0;  // 0: the connection ended before a whole answer
  std::string head;
  std::string body;
  // Lower-case names.
  std::map<std::string, std::string> headers;

  std::string Header(const std::string& lower_case_name) const;
};

class RawClient {
 public:
  // "127.0.0.1:port"
  explicit RawClient(const std::string& address);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&& other) noexcept;

  bool connected() const { return fd_ >= 0; }
  bool Send(std::string_view bytes);
  void CloseSending();  // FIN
  void Close();
  void Reset();  // RST
  void SetReceiveBuffer(int bytes);
  // One answer; `head_only` for answers to HEAD.
  RawResponse Receive(bool head_only = false);
  // Send + Receive.
  RawResponse Ask(std::string_view bytes);
  // Reads until `text` has come; false when the connection ends first.
  bool WaitFor(std::string_view text);
  // Everything until the server closes.
  std::string ReceiveAll();
  // True when the server closed the connection and nothing was left to read.
  bool AtEnd();

 private:
  bool Fill();

  int fd_ = -1;
  std::string buffer_;
};

}  // namespace tocsin::testing
