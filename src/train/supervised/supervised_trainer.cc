#include "train/supervised/supervised_trainer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "model/torch/exceptions.h"
#include "train/pass/passes.h"

namespace longshot::train {
namespace {

std::vector<PassRow> pass_rows(const std::vector<SupervisedRow>& rows) {
  std::vector<PassRow> out;
  for (const SupervisedRow& row : rows) out.push_back({row.tokens, row.loss_mask});
  return out;
}

int64_t total_targets(const std::vector<PassRow>& rows) {
  int64_t count = 0;
  for (const PassRow& row : rows) count += target_count(row);
  return count;
}

double sum(const std::vector<float>& values) {
  double total = 0;
  for (const float v : values) total += v;
  return total;
}

}  // namespace

SupervisedTrainer::SupervisedTrainer(model::Weights weights, OptimizerOptions optimizer,
                                     const BatchOptions& options, int64_t total_steps)
    : model_(std::move(weights), std::move(optimizer), options.compute, total_steps),
      micro_batch_tokens_(options.micro_batch_tokens) {}

// The gradient does not depend on the log-probabilities, so every prediction of it is right.
Result<Metrics> SupervisedTrainer::step(const std::vector<SupervisedRow>& rows) {
  const std::vector<PassRow> inputs = pass_rows(rows);
  const int64_t tokens = total_targets(inputs);
  if (tokens == 0)
    return invalid_argument("no token of this batch carries a loss; check the loss mask");
  const auto each = static_cast<float>(-1.0 / static_cast<double>(tokens));
  double total = 0;
  const PassLoss loss{
      .expected = [&](const MicroBatch& m) { return std::vector<float>(m.targets.size(), each); },
      .gradient =
          [&](const MicroBatch&, const model::TokenLogprobs& out, std::span<float> grad) {
            total -= sum(out.logprobs);
            std::ranges::fill(grad, each);
          }};
  return model::caught("supervised step", [&]() -> Result<Metrics> {
    LS_ASSIGN_OR_RETURN(Metrics metrics, model_.step([&] {
      PassTotals totals;
      add_gradients(model_.compute(), inputs, {.micro_batch_tokens = micro_batch_tokens_}, loss,
                    totals);
      return TrainableModel::StepWork{totals.flops, totals.packed_tokens};
    }));
    metrics["train/loss"] = total / static_cast<double>(tokens);
    metrics["train/tokens"] = static_cast<double>(tokens);
    return metrics;
  });
}

double SupervisedTrainer::loss(const std::vector<SupervisedRow>& rows) {
  const std::vector<PassRow> inputs = pass_rows(rows);
  double total = 0;
  forward_passes(
      model_.compute(), inputs, {.micro_batch_tokens = micro_batch_tokens_},
      [&](const MicroBatch&, const model::TokenLogprobs& out) { total -= sum(out.logprobs); });
  const int64_t tokens = total_targets(inputs);
  return tokens == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : total / static_cast<double>(tokens);
}

}  // namespace longshot::train
