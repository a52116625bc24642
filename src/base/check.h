#pragma once
// LS_CHECK(condition, message): a broken invariant prints file, line, condition and message, and
// aborts. For bugs only; anything a user or the outside world can cause returns a Status.

#include <string>

namespace longshot {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);
}  // namespace longshot

#define LS_CHECK(condition, message)                                                       \
  do {                                                                                     \
    if (!(condition)) ::longshot::check_failed(__FILE__, __LINE__, #condition, (message)); \
  } while (false)
