#pragma once
// The files that an evaluation may write beside its summary: figures as JSON, rows as JSON lines.

#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/os/output.h"

namespace longshot::commands {

// Opened before the evaluation, which may take hours. An empty name means no such file.
class ResultFiles {
 public:
  // invalid_argument for a place that cannot be written, and if both are one place.
  static Result<ResultFiles> open(const std::string& figures, const std::string& rows);

  // Where people read the summary: stdout, or stderr if a file is stdout.
  std::FILE* summary() const { return summary_; }
  // Does nothing without a file for them; then `rows` is not called.
  Status write_figures(const OrderedJson& figures);
  Status write_rows(const std::function<std::string()>& rows);

 private:
  std::optional<Output> figures_, rows_;
  std::FILE* summary_ = stdout;
};

}  // namespace longshot::commands
