#include "base/status.h"

#include <cstdio>
#include <cstdlib>

namespace longshot {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %s\n", file, line, condition, message.c_str());
  std::fflush(stderr);
  std::abort();
}

const char* status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::ok:
      return "ok";
    case StatusCode::invalid_argument:
      return "invalid argument";
    case StatusCode::not_found:
      return "not found";
    case StatusCode::io_error:
      return "i/o error";
    case StatusCode::corrupt:
      return "corrupt";
    case StatusCode::timeout:
      return "timeout";
    case StatusCode::unavailable:
      return "unavailable";
    case StatusCode::exhausted:
      return "exhausted";
    case StatusCode::cancelled:
      return "cancelled";
    case StatusCode::internal:
      return "internal error";
  }
  return "unknown";
}

std::string Status::to_string() const {
  return ok() ? "ok" : std::string(status_code_name(code_)) + ": " + message_;
}

Status Status::with_context(const std::string& context) const {
  return ok() ? Status() : Status(code_, context + ": " + message_);
}

}  // namespace longshot
