#include "train/preference/score_trainer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "model/torch/exceptions.h"
#include "train/loss/preference_loss.h"
#include "train/pass/packing.h"
#include "train/pass/passes.h"

namespace longshot::train {

ScoreTrainer::ScoreTrainer(model::Weights weights, OptimizerOptions optimizer,
                           const BatchOptions& options, int64_t total_steps)
    : model_(std::move(weights), std::move(optimizer), options.compute, total_steps),
      size_(model_.compute().pass_size(options.micro_batch_tokens)) {
  LS_CHECK(model_.weights().config().score_head, "the model has no score");
}

void ScoreTrainer::Totals::report(const std::string& prefix, Metrics& metrics) const {
  const auto count = static_cast<double>(rows);
  metrics[prefix + "loss"] = loss / count;
  metrics[prefix + "accuracy"] = accuracy / count;
  metrics[prefix + "margin"] = margin / count;
}

int64_t ScoreTrainer::computed_tokens(const ScoreRow& row) const {
  const auto shared = std::ranges::mismatch(row.tokens, row.rejected).in1 - row.tokens.begin();
  return row.length() - (size_.share_prompts ? shared : 0);
}

model::ScoreBatch ScoreTrainer::batch_of(const std::vector<ScoreRow>& rows,
                                         const std::vector<size_t>& members) {
  model::ScoreBatch batch(model_.weights().config().pad_token_id, size_.share_prompts);
  for (const size_t i : members) {
    if (rows[i].rejected.empty()) {
      batch.append(rows[i].tokens);
    } else {
      batch.append_pair(rows[i].tokens, rows[i].rejected);
    }
  }
  return batch;
}

// Both responses of a pair are in the same pass, because each one's gradient depends on the other's
// score.
void ScoreTrainer::pass(const std::vector<ScoreRow>& rows, const std::vector<size_t>& members,
                        bool train, Totals& totals) {
  const model::ScoreBatch scored = batch_of(rows, members);
  model::ScorePass pass(model_.compute(), scored, /*for_backward=*/train);
  const double weight = 1 / static_cast<double>(rows.size());
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
    grad.push_back(static_cast<float>(weight * loss.gradient));
    if (pair) grad.push_back(-grad.back());
  }
  const model::PackedBatch& batch = scored.packed();
  const model::Work work{.tokens = static_cast<double>(batch.total()),
                         .pairs = batch.pairs(model_.weights().config())};
  totals.rows += static_cast<int64_t>(members.size());
  totals.tokens += scored.unshared();
  totals.flops += pass_flops(model_.weights(), work, train);
  if (train) pass.backward(grad);
}

ScoreTrainer::Totals ScoreTrainer::run(const std::vector<ScoreRow>& rows, bool train) {
  std::vector<int64_t> lengths;
  for (const ScoreRow& row : rows) lengths.push_back(computed_tokens(row));
  Totals totals;
  for (const auto& members : pack_sequences(lengths, size_.tokens))
    pass(rows, members, train, totals);
  return totals;
}

Result<Metrics> ScoreTrainer::step(const std::vector<ScoreRow>& rows) {
  if (rows.empty()) return invalid_argument("a step of a reward model needs a row");
  return model::caught("reward model step", [&]() -> Result<Metrics> {
    Totals totals;
    LS_ASSIGN_OR_RETURN(Metrics metrics, model_.step([&] {
      totals = run(rows, /*train=*/true);
      return TrainableModel::StepWork{totals.flops, totals.tokens};
    }));
    metrics["train/tokens"] = static_cast<double>(totals.tokens);
    totals.report("train/", metrics);
    return metrics;
  });
}

Metrics ScoreTrainer::evaluate(const std::vector<ScoreRow>& rows) {
  Metrics metrics;
  if (!rows.empty()) run(rows, /*train=*/false).report("val/", metrics);
  return metrics;
}

}  // namespace longshot::train
