#pragma once
// The border between libraries that throw and code that returns a Status.

#include <functional>

#include "base/status.h"

namespace longshot::model {

// What work() returns; an exception that leaves it becomes an `internal` status with its message.
// libtorch's comes without the stack, lack of memory with what to do about it.
Status caught(const std::function<Status()>& work);

}  // namespace longshot::model
