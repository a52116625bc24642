#pragma once
// warnings.jsonl: the warnings and errors that the log wrote while the run's folder was open, and
// those from before, since the start of the process. One line each:
// {"step": 12, "time": 1730000000.125, "text": "..."}, time in seconds since 1970.

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/log_reader.h"

namespace longshot {

// Writes until it is destroyed. The file appears with the first warning. If it cannot be written,
// one warning says so, and up to kMostWaiting bytes of lines wait for the next attempt. Movable
// only. Thread-safe, because any thread may log.
class WarningsLog {
 public:
  static constexpr size_t kMostWaiting = 1 << 20;

  // The next warnings, and those that were logged before, are written with `step`.
  WarningsLog(const std::filesystem::path& path, int64_t step);
  // Later warnings are written with `step`, which is not smaller than the one before.
  void begin_step(int64_t step);

 private:
  struct File;
  std::shared_ptr<File> file_;  // also of the reader, which may be at work when this ends
  std::shared_ptr<const log::WarningReader> reader_;
};

}  // namespace longshot
