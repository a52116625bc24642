#include "train/pass/passes.h"

#include <algorithm>

#include "base/check.h"

namespace longshot::train {
namespace {

bool all_zero(std::span<const float> values) {
  return std::ranges::all_of(values, [](float v) { return v == 0.0f; });
}

}  // namespace

void PassTotals::merge(const PassTotals& other) {
  packed_tokens += other.packed_tokens;
  unshared_tokens += other.unshared_tokens;
  targets += other.targets;
  flops += other.flops;
}

double pass_flops(const model::Weights& weights, const model::Work& work, bool backward) {
  const model::ModelConfig& config = weights.config();
  if (!backward) return model::forward_flops(config, work);
  const double flops = model::training_flops(config, work);
  if (weights.lora().rank == 0) return flops;
  return flops - model::forward_flops(config, {.tokens = work.tokens, .targets = work.targets});
}

void count_pass(const MicroBatch& micro, const model::Weights& weights, bool backward,
                PassTotals& totals) {
  totals.packed_tokens += micro.batch.total();
  totals.unshared_tokens += micro.unshared;
  totals.targets += static_cast<int64_t>(micro.targets.size());
  totals.flops += pass_flops(weights, work_of(micro, weights.config()), backward);
}

PassTotals forward_passes(model::Compute& compute, const std::vector<PassRow>& rows,
                          const PassOptions& options, const PassVisitor& visit) {
  PassTotals totals;
  const model::PassSize size = compute.pass_size(options.micro_batch_tokens);
  for (const MicroBatch& micro : make_micro_batches(rows, size)) {
    visit(micro, compute.logprobs(micro.predictions(options.temperature),
                                  {.with_entropy = options.with_entropy}));
    count_pass(micro, compute.weights(), /*backward=*/false, totals);
  }
  return totals;
}

bool add_gradients(model::Compute& compute, const std::vector<PassRow>& rows,
                   const PassOptions& options, const PassLoss& loss, PassTotals& totals) {
  bool any_gradient = false;
  const model::PassSize size = compute.pass_size(options.micro_batch_tokens);
  for (const MicroBatch& micro : make_micro_batches(rows, size)) {
    std::vector<float> expected = loss.expected(micro);
    if (all_zero(expected)) expected.clear();
    const model::TokenLogprobs out = compute.logprobs(micro.predictions(options.temperature),
                                                      {.with_entropy = options.with_entropy,
                                                       .for_backward = true,
                                                       .expected_gradient = expected});
    std::vector<float> grad(micro.targets.size());
    loss.gradient(micro, out, grad);
    std::vector<float> entropy_grad;
    if (loss.entropy_gradient) {
      LS_CHECK(expected.empty(), "a loss with entropies has no expected gradient");
      entropy_grad.resize(grad.size());
      loss.entropy_gradient(micro, out, entropy_grad);
    }
    // After a wrong prediction the head's gradient must be corrected even to 0.
    const bool backward = !all_zero(grad) || !all_zero(entropy_grad) || !expected.empty();
    count_pass(micro, compute.weights(), backward, totals);
    if (backward) compute.backward(grad, entropy_grad);
    any_gradient = any_gradient || backward;
  }
  return any_gradient;
}

}  // namespace longshot::train
