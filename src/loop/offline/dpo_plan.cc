#include "loop/offline/dpo_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/metrics.h"
#include "base/os/clock.h"

namespace longshot::loop {
namespace {

using train::PairSequences;

constexpr int64_t kTrialTokens = 3072;

std::string duration(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  if (seconds < 5400) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string size_text(double bytes) {
  return bytes < kGiB ? fmt::format("{:.1f} MiB", bytes / kMiB)
                      : fmt::format("{:.2f} GiB", bytes / kGiB);
}

// Tokens and operations of passes over the pairs.
struct PassCost {
  double tokens = 0, forward = 0, training = 0;
  int64_t longest = 0, targets = 0;  // of the largest pass
};

PassCost cost_of(const std::vector<PairSequences>& pairs, const train::BatchOptions& batch,
                 train::DpoTrainer& trainer) {
  PassCost cost;
  const model::Weights& weights = trainer.model().weights();
  const model::PassSize size = trainer.model().compute().pass_size(batch.micro_batch_tokens);
  for (const auto& members : train::pair_packs(pairs, size)) {
    const train::MicroBatch micro = train::pair_micro_batch(pairs, members, size);
    const model::Work work = train::work_of(micro, weights.config());
    cost.tokens += work.tokens;
    cost.forward += train::pass_flops(weights, work, /*backward=*/false);
    cost.training += train::pass_flops(weights, work, /*backward=*/true);
    cost.longest = std::max(cost.longest, micro.batch.total());
    cost.targets = std::max(cost.targets, static_cast<int64_t>(micro.targets.size()));
  }
  return cost;
}

std::string memory_line(const DpoWorkload& work, const PassCost& cost,
                        const train::BatchOptions& batch, train::DpoTrainer& trainer) {
  Metrics metrics;
  trainer.model().report_cost(0, 1, metrics);
  const model::Weights& weights = trainer.model().weights();
  const double own = kGiB * metrics["memory/weights_gb"], reference = work.second_model ? own : 0;
  const auto bytes =
      model::forecast_activation_bytes(weights.config(), batch.compute, work.device, cost.longest,
                                       cost.targets, weights.lora().rank);
  const double activations = bytes ? static_cast<double>(*bytes) : 0;
  const double gradients = kGiB * metrics["memory/gradients_gb"],
               moments = kGiB * metrics["memory/moments_gb"];
  return fmt::format(
      "memory: about {} (weights {}, reference model {}, gradients {}, moments {}, "
      "activations {}), and the program",
      size_text(own + reference + gradients + moments + activations), size_text(own),
      size_text(reference), size_text(gradients), size_text(moments),
      bytes ? size_text(activations) : "not known with libtorch");
}

// Operations per second of the log-probabilities of the first pairs, after one warm-up.
double measured_rate(const std::vector<PairSequences>& sample, const train::BatchOptions& batch,
                     train::DpoTrainer& trainer) {
  std::vector<PairSequences> trial;
  for (int64_t tokens = 0; trial.size() < sample.size() && tokens < kTrialTokens;)
    tokens += trial.emplace_back(sample[trial.size()]).length();
  trainer.logprobs(trial);
  const Stopwatch watch;
  trainer.logprobs(trial);
  return cost_of(trial, batch, trainer).forward / watch.seconds();
}

}  // namespace

std::vector<std::string> plan_dpo(const DpoWorkload& work, const train::BatchOptions& batch,
                                  train::DpoTrainer& trainer) {
  const PassCost cost = cost_of(work.sample, batch, trainer);
  std::vector<std::string> lines = {memory_line(work, cost, batch, trainer)};
  const double rate = measured_rate(work.sample, batch, trainer);
  const double train_token = cost.training / cost.tokens / rate,
               reference_token = cost.forward / cost.tokens / rate;
  if (work.tokens == 0) {
    lines.push_back(fmt::format("time: about {:.0f} tokens a second with the reference's pass",
                                1 / (train_token + reference_token)));
    return lines;
  }
  const double reference = work.reference_tokens * reference_token,
               steps = work.tokens * train_token;
  lines.push_back(
      fmt::format("time: about {} on this machine (steps over {:.0f} tokens {}, reference "
                  "log-probabilities {})",
                  duration(reference + steps), work.tokens, duration(steps), duration(reference)));
  return lines;
}

}  // namespace longshot::loop
