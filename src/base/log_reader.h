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

// Passes warnings and errors to `reader`, whatever the level of stderr is: first those that were
// kept for it, then each new one until the returned handle is destroyed. A call is made on the
// thread that logs. Calls may overlap, and one may end after the handle is destroyed. The reader
// may itself log, which calls it again. Only the newest reader is called. Thread-safe.
[[nodiscard]] std::shared_ptr<const WarningReader> read_warnings(WarningReader reader);

}  // namespace longshot::log
