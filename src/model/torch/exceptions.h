#pragma once
// The border between libraries that throw and code that returns a Status.

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"

namespace longshot::model {

// Returns the result of work(). An exception that leaves it becomes an `internal` status with its
// message: libtorch's without the stack, and for a lack of memory with advice.
Status caught(const std::function<Status()>& work);

// The same for work with a Status or a Result. `what` names the work in the message of an
// exception; errors that it returns are not changed.
template <typename Work>
auto caught(const std::string& what, Work&& work) -> decltype(work()) {
  std::optional<decltype(work())> result;
  const Status thrown = caught([&] {
    result.emplace(work());
    return ok_status();
  });
  if (!thrown.ok()) return thrown.with_context(what);
  return *std::move(result);
}

}  // namespace longshot::model
