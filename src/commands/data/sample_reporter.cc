#include "commands/data/sample_reporter.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/run_log/step_lines.h"

namespace longshot::commands {
namespace {

constexpr double kLineSeconds = 10;  // between lines that stay, and between metrics

}  // namespace

SampleReporter::SampleReporter(std::string folder, size_t prompts)
    : terminal_(isatty(STDERR_FILENO) == 1),
      folder_(std::move(folder)),
      prompts_(static_cast<int64_t>(prompts)) {}

void SampleReporter::add(const curate::SampleProgress& p) {
  if (!log_) begin(p);
  const bool last = p.prompts == prompts_;
  if (!last && !terminal_ && since_line_.seconds() < kLineSeconds) return;
  const std::string text = text_of(p);
  if (!last && since_line_.seconds() < kLineSeconds) return line_.update(p.prompts, text);
  since_line_.restart();
  line_.finish(p.prompts, text);
  if (log_->ok()) (void)(*log_)->append(p.prompts, metrics_of(p));  // a run needs no metrics
}

void SampleReporter::begin(const curate::SampleProgress& p) {
  line_.start(p.prompts - 1, prompts_);
  const std::filesystem::path path = std::filesystem::path(folder_) / "metrics.jsonl";
  const Status cut = drop_lines_after(path, p.prompts - 1);
  log_ = cut.ok() ? MetricsLog::open(path) : Result<MetricsLog>(cut);
  if (!log_->ok()) log::warn("{}", log_->status().message());
}

double SampleReporter::rate(const curate::SampleProgress& p) const {
  return static_cast<double>(p.tokens) / std::max(since_start_.seconds(), 1e-9);
}

std::string SampleReporter::text_of(const curate::SampleProgress& p) const {
  std::string text = fmt::format("{} samples, {:.0f} tokens/s", p.samples, rate(p));
  if (p.judged > 0)
    text += fmt::format(", {:.1f} % correct",
                        100 * static_cast<double>(p.correct) / static_cast<double>(p.judged));
  if (p.errors > 0) text += fmt::format(", {} failed", p.errors);
  return text;
}

Metrics SampleReporter::metrics_of(const curate::SampleProgress& p) const {
  const auto samples = static_cast<double>(p.samples);
  return {{"sample/samples", samples},
          {"sample/correct", static_cast<double>(p.correct)},
          {"sample/judged", static_cast<double>(p.judged)},
          {"sample/errors", static_cast<double>(p.errors)},
          {"response_length/mean", static_cast<double>(p.tokens) / std::max(samples, 1.0)},
          {"rollout/tokens_per_second", rate(p)},
          {"timing_s/elapsed", since_start_.seconds()}};
}

}  // namespace longshot::commands
