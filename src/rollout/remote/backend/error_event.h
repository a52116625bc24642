#pragma once
// Errors that a server sends within a stream, after its status 200.

#include <string>

#include "base/status.h"

namespace longshot::rollout {

// Ok if `event` has no member "error". Otherwise, with the server's message after `who`:
// invalid_argument if the error's code is 4xx but 408 and 429, exhausted for all others.
Status error_of_event(const std::string& event, const std::string& who);

// Corrupt in place of invalid_argument, for what a server sends and a user cannot mend.
template <typename T>
Result<T> or_corrupt(Result<T> result) {
  if (result.status().code() != StatusCode::invalid_argument) return result;
  return corrupt(result.status().message());
}

}  // namespace longshot::rollout
