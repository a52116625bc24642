#pragma once
// Expected failures are values: every function that can fail for a reason outside the program
// returns a Status or a Result<T>. A broken invariant aborts through LS_CHECK (base/check.h).

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace longshot {

enum class StatusCode {
  ok,
  invalid_argument,  // bad user input: file, key, flag; the command exits with code 2
  not_found,
  io_error,
  corrupt,      // data on disk or on the wire that does not have the declared form
  timeout,      // a deadline passed
  unavailable,  // a service or resource cannot be reached now; worth a retry
  exhausted,    // a queue or budget is full; worth a retry once others have finished
  cancelled,    // the caller asked to stop
  internal,     // our own fault
};

const char* status_code_name(StatusCode code);

// A code and a message that says what to do. Cheap to copy if ok. Not thread-safe to modify.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::ok; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  std::string to_string() const;
  // The same status with "context: " before the message; ok stays ok.
  Status with_context(const std::string& context) const;

 private:
  StatusCode code_ = StatusCode::ok;
  std::string message_;
};

inline Status ok_status() {
  return {};
}
inline Status invalid_argument(std::string m) {
  return {StatusCode::invalid_argument, std::move(m)};
}
inline Status not_found(std::string m) {
  return {StatusCode::not_found, std::move(m)};
}
inline Status io_error(std::string m) {
  return {StatusCode::io_error, std::move(m)};
}
inline Status corrupt(std::string m) {
  return {StatusCode::corrupt, std::move(m)};
}
inline Status timeout_error(std::string m) {
  return {StatusCode::timeout, std::move(m)};
}
inline Status unavailable(std::string m) {
  return {StatusCode::unavailable, std::move(m)};
}
inline Status exhausted(std::string m) {
  return {StatusCode::exhausted, std::move(m)};
}
inline Status cancelled(std::string m) {
  return {StatusCode::cancelled, std::move(m)};
}
inline Status internal_error(std::string m) {
  return {StatusCode::internal, std::move(m)};
}

// A value, or the Status that explains why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    LS_CHECK(!status_.ok(), "a Result without a value needs an error status");
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & {
    LS_CHECK(ok(), status_.to_string());
    return *value_;
  }
  const T& value() const& {
    LS_CHECK(ok(), status_.to_string());
    return *value_;
  }
  T&& value() && {
    LS_CHECK(ok(), status_.to_string());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }  // by value: no reference into a temporary
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace longshot

#define LS_CONCAT_INNER(a, b) a##b
#define LS_CONCAT(a, b) LS_CONCAT_INNER(a, b)

// Returns the Status from the enclosing function unless it is ok.
#define LS_RETURN_IF_ERROR(expr)             \
  do {                                       \
    ::longshot::Status ls_status_ = (expr);  \
    if (!ls_status_.ok()) return ls_status_; \
  } while (false)

// LS_ASSIGN_OR_RETURN(auto x, make_x()): x = value, or return the Status.
#define LS_ASSIGN_OR_RETURN(lhs, expr) \
  LS_ASSIGN_OR_RETURN_INNER(LS_CONCAT(ls_result_, __LINE__), lhs, expr)
#define LS_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return tmp.status();             \
  lhs = std::move(tmp).value()
