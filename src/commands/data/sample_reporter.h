#pragma once
// The progress of `longshot sample`: a line on stderr, and metrics.jsonl.

#include <optional>
#include <string>

#include "base/os/clock.h"
#include "base/progress_line.h"
#include "base/run_log/metrics_log.h"
#include "curate/samples/sample_run.h"

namespace longshot::commands {

class SampleReporter {
 public:
  // `folder` exists when add() is called first.
  SampleReporter(std::string folder, size_t prompts);

  void add(const curate::SampleProgress& progress);
  void clear() { line_.clear(); }

 private:
  void begin(const curate::SampleProgress& progress);
  double rate(const curate::SampleProgress& progress) const;  // tokens per second
  std::string text_of(const curate::SampleProgress& progress) const;
  Metrics metrics_of(const curate::SampleProgress& progress) const;

  const bool terminal_;
  const std::string folder_;
  const int64_t prompts_;
  ProgressLine line_;
  std::optional<Result<MetricsLog>> log_;
  Stopwatch since_start_, since_line_;
};

}  // namespace longshot::commands
