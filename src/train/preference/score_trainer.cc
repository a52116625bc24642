#include "train/preference/score_trainer.h"

#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/os/clock.h"
#include "train/loss/preference_loss.h"
#include "train/pass/cost_metrics.h"
#include "train/pass/packing.h"

namespace longshot::train {

ScoreTrainer::ScoreTrainer(model::Weights weights, OptimizerOptions optimizer, SftOptions options,
                           int64_t total_steps)
    : weights_(std::move(weights)),
      optimizer_options_(std::move(optimizer)),
      options_(std::move(options)),
      optimizer_(weights_, optimizer_options_, total_steps),
      compute_(weights_, options_.compute) {
  LS_CHECK(weights_.config().score_head, "the model has no score");
  weights_.set_bf16_products(options_.compute.dtype == NumberFormat::bf16);
}

void ScoreTrainer::Totals::report(const std::string& prefix, Metrics& metrics) const {
  const auto count = static_cast<double>(rows);
  metrics[prefix + "loss"] = loss / count;
  metrics[prefix + "accuracy"] = accuracy / count;
  metrics[prefix + "margin"] = margin / count;
}

// The number of tokens of a row that are computed.
int64_t ScoreTrainer::length(const ScoreRow& row) {
  const auto shared = std::ranges::mismatch(row.tokens, row.rejected).in1 - row.tokens.begin();
  return row.length() - (compute_.cpu() != nullptr ? shared : 0);
}

model::ScoreBatch ScoreTrainer::batch_of(const std::vector<ScoreRow>& rows,
                                         const std::vector<size_t>& members) {
  model::ScoreBatch batch(weights_.config().pad_token_id);
  for (const size_t i : members) {
    const ScoreRow& row = rows[i];
    if (compute_.cpu() != nullptr && !row.rejected.empty()) {
      batch.append_pair(row.tokens, row.rejected);
      continue;
    }
    batch.append(row.tokens);
    if (!row.rejected.empty()) batch.append(row.rejected);
  }
  return batch;
}

// Both responses of a pair are in the same pass, because each one's gradient depends on the other's
// score.
void ScoreTrainer::pass(const std::vector<ScoreRow>& rows, const std::vector<size_t>& members,
                        double scale, Totals& totals) {
  const model::ScoreBatch scored = batch_of(rows, members);
  const model::PackedBatch& batch = scored.packed();
  model::ScorePass pass(compute_.cpu(), weights_, scored, compute_.checkpointing(batch.total()));
  const bool learns = at::GradMode::is_enabled();
  std::vector<float> grad;
  for (const size_t i : members) {
    const ScoreRow& row = rows[i];
    const bool pair = !row.rejected.empty();
    const double score = pass.scores()[grad.size()];
    const double margin = pair              ? score - pass.scores()[grad.size() + 1]
                          : row.label > 0.5 ? score
                                            : -score;
    const ScoreLoss loss = pair ? pair_loss(margin) : label_loss(score, row.label);
    totals.loss += loss.loss;
    totals.accuracy += margin > 0;
    totals.margin += margin;
    grad.push_back(static_cast<float>(scale * loss.gradient));
    if (pair) grad.push_back(-grad.back());
  }
  totals.rows += static_cast<int64_t>(members.size());
  totals.tokens += scored.unshared();
  totals.flops += pass_flops(
      weights_,
      {.tokens = static_cast<double>(batch.total()), .pairs = batch.pairs(weights_.config())},
      learns);
  if (learns) pass.backward(grad);
}

ScoreTrainer::Totals ScoreTrainer::run(const std::vector<ScoreRow>& rows) {
  std::vector<int64_t> lengths;
  for (const ScoreRow& row : rows) lengths.push_back(length(row));
  Totals totals;
  const PassSize size = compute_.pass_size(options_.micro_batch_tokens);
  for (const auto& members : pack_sequences(lengths, size.tokens))
    pass(rows, members, 1 / static_cast<double>(rows.size()), totals);
  return totals;
}

Result<Metrics> ScoreTrainer::do_step(const std::vector<ScoreRow>& rows) {
  const Stopwatch watch;
  weights_.zero_grad();
  const Totals totals = run(rows);
  LS_ASSIGN_OR_RETURN(const AdamW::Step step, optimizer_.step(weights_));
  const auto tokens = static_cast<double>(totals.tokens);
  Metrics metrics{{"train/grad_norm", step.grad_norm},
                  {"train/lr", step.lr},
                  {"train/tokens", tokens},
                  {"train/skipped_steps", step.skipped ? 1.0 : 0.0},
                  {"perf/train_tokens_per_second", tokens / watch.seconds()}};
  totals.report("train/", metrics);
  report_cost({weights_, optimizer_, compute_, peak_flops_}, totals.flops, watch.seconds(),
              metrics);
  return metrics;
}

Result<Metrics> ScoreTrainer::step(const std::vector<ScoreRow>& rows) {
  if (rows.empty()) return invalid_argument("a step of a reward model needs a row");
  try {
    return do_step(rows);
  } catch (const std::exception& error) {
    return internal_error(fmt::format("reward model step: {}", error.what()));
  }
}

Metrics ScoreTrainer::evaluate(const std::vector<ScoreRow>& rows) {
  const at::NoGradGuard no_grad;
  Metrics metrics;
  if (!rows.empty()) run(rows).report("val/", metrics);
  return metrics;
}

}  // namespace longshot::train
