#pragma once
// The files that an evaluation may write in addition to its summary: figures as JSON, rows as JSON
// lines.

#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/os/output.h"

namespace longshot::commands {

// Opened before the evaluation, which may take hours. An empty name means that there is no such
// file.
class ResultFiles {
 public:
  // invalid_argument if a file cannot be written, or if both are the same file.
  static Result<ResultFiles> open(const std::string& figures, const std::string& rows);

  // The stream for the summary: stdout, or stderr if one of the files is stdout.
  std::FILE* summary() const { return summary_; }
  // Each does nothing if its file was not requested; `rows` is then not called.
  Status write_figures(const OrderedJson& figures);
  Status write_rows(const std::function<std::string()>& rows);

 private:
  std::optional<Output> figures_, rows_;
  std::FILE* summary_ = stdout;
};

}  // namespace longshot::commands
