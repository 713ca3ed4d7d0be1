// CHECK guards our own logic and stays on in release; DCHECK is for hot loops and is on in every
// preset but release. Bytes from disk, network or configuration never reach a CHECK: they come back
// as a Status.
//
//   CHECK(slot < slots_.size());
//   CHECK_MSG(level <= 2, "segment level out of range");
#pragma once

namespace tocsin {

// Writes "FILE:LINE: CHECK failed: WHAT" to standard error and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

}  // namespace tocsin

#define CHECK(condition)                                     \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::tocsin::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_MSG(condition, message)                                     \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::tocsin::CheckFailed(__FILE__, __LINE__, #condition ": " message); \
  } while (false)

#ifdef TOCSIN_DCHECK
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition)         \
  do {                            \
    if (false) (void)(condition); \
  } while (false)
#endif
