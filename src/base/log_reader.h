#pragma once
// A second reader of the log's warnings and errors, beside stderr: the folder of a run keeps them.

#include <functional>
#include <memory>
#include <string>

namespace longshot::log {

struct Warning {
  double time = 0;  // seconds since 1970
  std::string text;
};

using WarningReader = std::function<void(const Warning&)>;

// Warnings and errors that are kept for the next reader while there is none; older ones are
// forgotten.
constexpr size_t kKeptWarnings = 100;

// Passes each warning and error to `reader` until the returned handle is gone, whatever the level
// of stderr is, and first those that were kept for it. A call is made on the thread that logs, and
// calls may overlap; one may end after the handle is gone. The reader may log, which calls it
// again. There is one reader at a time, the newest. Thread-safe.
[[nodiscard]] std::shared_ptr<const WarningReader> read_warnings(WarningReader reader);

}  // namespace longshot::log
