#pragma once
// The border between libraries that throw and code that returns a Status.

#include <functional>

#include "base/status.h"

namespace longshot::model {

// Returns the result of work(). An exception that leaves it becomes an `internal` status with its
// message: libtorch's without the stack, and for a lack of memory with advice.
Status caught(const std::function<Status()>& work);

}  // namespace longshot::model
