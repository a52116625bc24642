#include "train/preference/dpo_trainer.h"

#include <algorithm>
#include <utility>

#include "model/torch/exceptions.h"
#include "train/loss/dpo_loss.h"

namespace longshot::train {
namespace {

std::vector<PairSequences> sequences_of(const std::vector<DpoRow>& rows) {
  std::vector<PairSequences> out;
  for (const DpoRow& row : rows) out.push_back(row.pair);
  return out;
}

}  // namespace

DpoTrainer::DpoTrainer(model::Weights weights, OptimizerOptions optimizer, const DpoOptions& dpo,
                       const BatchOptions& batch, int64_t total_steps)
    : model_(std::move(weights), std::move(optimizer), batch.compute, total_steps),
      options_(dpo),
      micro_batch_tokens_(batch.micro_batch_tokens) {}

void DpoTrainer::Totals::add(const PairLogprobs& policy, const PairLogprobs& reward,
                             double pair_loss) {
  ++pairs;
  loss += pair_loss;
  accuracy += reward.chosen > reward.rejected;
  rewards.chosen += reward.chosen;
  rewards.rejected += reward.rejected;
  logprobs.chosen += policy.chosen;
  logprobs.rejected += policy.rejected;
}

void DpoTrainer::Totals::report(const std::string& prefix, Metrics& metrics) const {
  const auto count = static_cast<double>(pairs);
  const std::string ours = prefix.empty() ? "train/" : prefix;
  metrics[ours + "loss"] = loss / count;
  metrics[ours + "accuracy"] = accuracy / count;
  metrics[prefix + "rewards/chosen"] = rewards.chosen / count;
  metrics[prefix + "rewards/rejected"] = rewards.rejected / count;
  metrics[prefix + "rewards/margins"] = (rewards.chosen - rewards.rejected) / count;
  metrics[prefix + "rewards/accuracies"] = accuracy / count;
  metrics[prefix + "logps/chosen"] = logprobs.chosen / count;
  metrics[prefix + "logps/rejected"] = logprobs.rejected / count;
}

// The head's gradient cannot be predicted before the pass, because it depends on both responses.
void DpoTrainer::pass(const std::vector<DpoRow>& rows, const std::vector<PairSequences>& pairs,
                      const std::vector<size_t>& members, bool train, Totals& totals) {
  model::Compute& compute = model_.compute();
  const MicroBatch micro = pair_micro_batch(pairs, members, compute.pass_size(micro_batch_tokens_));
  const model::TokenLogprobs out = compute.logprobs(micro.predictions(1), {.for_backward = train});
  count_pass(micro, model_.weights(), train, totals.passes);
  const std::vector<PairLogprobs> policy = sum_by_pair(micro, out.logprobs);
  const double weight = 1 / static_cast<double>(rows.size());
  std::vector<float> each(micro.rows.size());  // gradient of every token of a row
  for (size_t i = 0; i < members.size(); ++i) {
    const DpoRow& row = rows[members[i]];
    const auto tokens = [](const PairSide& side) { return target_count({side.tokens, side.mask}); };
    const PairLoss loss =
        dpo_loss({policy[i].chosen, row.reference.chosen, tokens(row.pair.chosen)},
                 {policy[i].rejected, row.reference.rejected, tokens(row.pair.rejected)}, options_);
    totals.add(policy[i], {loss.chosen_reward, loss.rejected_reward}, loss.loss);
    each[2 * i] = static_cast<float>(weight * loss.chosen_gradient);
    each[2 * i + 1] = static_cast<float>(weight * loss.rejected_gradient);
  }
  if (!train) return;
  std::vector<float> grad(micro.targets.size());
  for (size_t r = 0; r < micro.rows.size(); ++r)
    std::ranges::fill(micro.of_row(r, std::span(grad)), each[micro.rows[r]]);
  compute.backward(grad);
}

DpoTrainer::Totals DpoTrainer::run(const std::vector<DpoRow>& rows, bool train) {
  const std::vector<PairSequences> pairs = sequences_of(rows);
  Totals totals;
  for (const auto& members : pair_packs(pairs, model_.compute().pass_size(micro_batch_tokens_)))
    pass(rows, pairs, members, train, totals);
  return totals;
}

Result<Metrics> DpoTrainer::step(const std::vector<DpoRow>& rows) {
  if (rows.empty()) return invalid_argument("a step of preference optimization needs a pair");
  return model::caught("preference step", [&]() -> Result<Metrics> {
    Totals totals;
    LS_ASSIGN_OR_RETURN(Metrics metrics, model_.step([&] {
      totals = run(rows, /*train=*/true);
      return TrainableModel::StepWork{totals.passes.flops, totals.passes.packed_tokens};
    }));
    int64_t tokens = 0;
    for (const DpoRow& row : rows) tokens += row.pair.length();
    metrics["train/tokens"] = static_cast<double>(tokens);
    metrics["train/pairs"] = static_cast<double>(rows.size());
    totals.report("", metrics);
    return metrics;
  });
}

Metrics DpoTrainer::evaluate(const std::vector<DpoRow>& rows) {
  Metrics metrics;
  if (!rows.empty()) run(rows, /*train=*/false).report("val/", metrics);
  return metrics;
}

std::vector<PairLogprobs> DpoTrainer::logprobs(const std::vector<PairSequences>& pairs) {
  PassTotals totals;
  return pair_logprobs(model_.compute(), pairs, micro_batch_tokens_, totals);
}

}  // namespace longshot::train
