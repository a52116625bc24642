#include "policy/trainer.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "policy/advantage/advantage.h"
#include "policy/loss/objective.h"
#include "policy/optimizer.h"
#include "policy/packing.h"
#include "policy/pass.h"
#include "policy/rows.h"
#include "policy/schedule.h"

namespace longshot::policy {
namespace {

// Runs body(), turning libtorch's exceptions into a Status.
template <typename F>
auto at_border(const char* what, F&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& error) {
    return internal_error(fmt::format("{}: {}", what, error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return internal_error(fmt::format("{}: {}", what, error.what()));
  }
}

// What one fit() has seen, over all its mini-batches.
struct FitStats {
  Summary policy_loss, kl_loss, loss, grad_norm;  // one value per optimizer step
  Summary advantage, difference, entropy;         // the last two: first mini-batch only
  KlEstimate kl;
  int64_t clipped = 0, response_tokens = 0, packed_tokens = 0, steps = 0, skipped = 0;
  int64_t flat = 0;  // mini-batches without a gradient
  double lr = 0;

  void report(double seconds, Metrics& m) const {
    m["actor/pg_loss"] = policy_loss.mean();
    m["actor/kl_loss"] = kl_loss.mean();
    m["actor/loss"] = loss.mean();
    m["actor/kl"] = kl.k3();
    m["actor/ppo_kl"] = kl.k1();
    m["actor/pg_clipfrac"] =
        response_tokens == 0 ? 0.0
                             : static_cast<double>(clipped) / static_cast<double>(response_tokens);
    m["actor/entropy"] = entropy.mean();
    m["actor/grad_norm"] = grad_norm.mean();
    m["actor/lr"] = lr;
    m["actor/optimizer_steps"] = static_cast<double>(steps);
    m["actor/skipped_steps"] = static_cast<double>(skipped);
    m["actor/flat_mini_batches"] = static_cast<double>(flat);
    m["actor/response_tokens"] = static_cast<double>(response_tokens);
    m["training/rollout_probs_diff_mean"] = difference.mean();
    m["training/rollout_probs_diff_max"] = difference.max();
    m["perf/train_tokens"] = static_cast<double>(packed_tokens);
    m["perf/train_tokens_per_second"] =
        seconds > 0 ? static_cast<double>(packed_tokens) / seconds : 0.0;
    m["timing_s/update_actor"] = seconds;
    advantage.report("critic/advantages", m);
  }
};

// The rows of one iteration with what the objective needs to know of each.
struct Batch {
  RowSet set;
  std::vector<double> advantages;           // [rows]
  std::vector<std::vector<double>> reference;  // [rows][targets]; empty: as recorded
  std::vector<std::vector<size_t>> groups;  // row indices, one entry per problem that has rows
};

std::vector<std::vector<size_t>> rows_by_group(const std::vector<data::TrainRow>& rows) {
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].group != rows[i - 1].group) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

Result<Batch> make_batch(const std::vector<data::Group>& groups,
                         const AlgorithmOptions& algorithm) {
  Batch batch;
  LS_ASSIGN_OR_RETURN(batch.set, make_rows(groups, algorithm.train_earlier_segments));
  batch.groups = rows_by_group(batch.set.rows);
  GroupValues rewards;
  for (const auto& group : batch.groups) {
    auto& values = rewards.emplace_back();
    for (const size_t i : group) values.push_back(batch.set.rows[i].reward);
  }
  LS_ASSIGN_OR_RETURN(const GroupValues advantages, compute_advantages(algorithm, rewards));
  for (const auto& values : advantages) {
    batch.advantages.insert(batch.advantages.end(), values.begin(), values.end());
  }
  return batch;
}

// Largest |log pi_trainer - log pi_rollout| of equal weights that is taken as rounding, nats. f32 measures up to 6e-5.
constexpr double kRounding = 2e-4;

// With the weights that produced the tokens, present and recorded log-probabilities are the same number up to
// rounding. Made equal, a group without variance has a gradient of exactly 0; left as they are, AdamW's first step
// after a reset would blow that noise up to full size.
void remove_rounding(const std::vector<double>& present, std::vector<double>& recorded) {
  for (size_t t = 0; t < present.size(); ++t) {
    if (std::abs(present[t] - recorded[t]) <= kRounding) recorded[t] = present[t];
  }
}

bool all_zero(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return v == 0.0f; });
}

// Recorded log-probabilities of the tokens a pass predicts, in its order.
std::vector<double> recorded_logprobs(const data::TrainRow& row) {
  std::vector<double> out;
  for (size_t t = 1; t < row.tokens.size(); ++t) {
    if (row.loss_mask[t]) out.push_back(row.logprobs[t]);
  }
  return out;
}

std::vector<PassRow> pass_rows(const std::vector<Trainer::SupervisedRow>& rows) {
  std::vector<PassRow> out;
  for (const auto& row : rows) out.push_back({*row.tokens, *row.loss_mask});
  return out;
}

int64_t total_targets(const std::vector<PassRow>& rows) {
  int64_t count = 0;
  for (const auto& row : rows) count += target_count(row);
  return count;
}

double sum(const std::vector<float>& values) {
  double total = 0;
  for (const float v : values) total += v;
  return total;
}

}  // namespace

struct Trainer::Impl {
  model::Weights weights;
  OptimizerOptions optimizer_options;
  AlgorithmOptions algorithm;
  AdamW optimizer;

  Status check_options() const;
  Result<Metrics> fit(const std::vector<data::Group>& groups, uint64_t seed, int64_t iteration);
  std::vector<std::vector<double>> present_logprobs(const Batch& batch);
  Status mini_batch_step(const Batch& batch, const std::vector<size_t>& rows,
                         const BoundObjective& objective, FitStats& stats);
  // False if the gradient is exactly 0: then no weight has one.
  bool accumulate(const Batch& batch, const std::vector<size_t>& rows,
                  const BoundObjective& objective, FitStats& stats);
  Result<Metrics> supervised_step(const std::vector<PassRow>& rows, int64_t micro_batch_tokens);
};

Status Trainer::Impl::check_options() const {
  LS_RETURN_IF_ERROR(check_optimizer_options(optimizer_options));
  if (algorithm.mini_batches < 1 || algorithm.epochs < 1 || algorithm.micro_batch_tokens < 1) {
    return invalid_argument("algorithm.mini_batches, epochs and micro_batch_tokens must be >= 1");
  }
  if (!(algorithm.temperature > 0)) {
    return invalid_argument(fmt::format(
        "rollout temperature {} must be > 0 to train on: greedy rollouts have no log-probabilities",
        algorithm.temperature));
  }
  return ok_status();
}

Result<Metrics> Trainer::Impl::fit(const std::vector<data::Group>& groups, uint64_t seed,
                                   int64_t iteration) {
  const Stopwatch watch;
  LS_RETURN_IF_ERROR(check_options());
  LS_ASSIGN_OR_RETURN(const BoundObjective objective, make_objective(algorithm));
  LS_ASSIGN_OR_RETURN(Batch batch, make_batch(groups, algorithm));
  // A single step has the reference in its own forward pass.
  const bool later_steps = algorithm.mini_batches * algorithm.epochs > 1;
  if (algorithm.reference == "trainer" && later_steps) batch.reference = present_logprobs(batch);
  if (batch.groups.empty()) log::warn("iteration {}: no sample to train on", iteration);
  if (algorithm.reset_optimizer) optimizer.reset();

  FitStats stats;
  for (const double a : batch.advantages) stats.advantage.add(a);
  const uint64_t key = hash_combine(seed, static_cast<uint64_t>(iteration));
  for (int epoch = 0; epoch < algorithm.epochs; ++epoch) {
    const uint64_t epoch_key = hash_combine(key, static_cast<uint64_t>(epoch));
    for (const auto& part : random_parts(batch.groups.size(), algorithm.mini_batches, epoch_key)) {
      std::vector<size_t> rows;
      for (const size_t g : part)
        rows.insert(rows.end(), batch.groups[g].begin(), batch.groups[g].end());
      LS_RETURN_IF_ERROR(mini_batch_step(batch, rows, objective, stats));
    }
  }
  Metrics metrics;
  batch.set.report(metrics);
  stats.report(watch.seconds(), metrics);
  return metrics;
}

std::vector<std::vector<double>> Trainer::Impl::present_logprobs(const Batch& batch) {
  const at::NoGradGuard no_grad;
  std::vector<PassRow> inputs;
  for (const auto& row : batch.set.rows) inputs.push_back({row.tokens, row.loss_mask});
  std::vector<std::vector<double>> out(inputs.size());
  for (const MicroBatch& micro : make_micro_batches(inputs, algorithm.micro_batch_tokens)) {
    const Pass pass(weights, micro, algorithm.temperature, false);
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      out[micro.rows[r]].assign(pass.logprobs().begin() + static_cast<long>(micro.begins[r]),
                                pass.logprobs().begin() + static_cast<long>(micro.begins[r + 1]));
    }
  }
  return out;
}

Status Trainer::Impl::mini_batch_step(const Batch& batch, const std::vector<size_t>& rows,
                                      const BoundObjective& objective, FitStats& stats) {
  weights.zero_grad();
  if (!accumulate(batch, rows, objective, stats)) {
    ++stats.flat;
    optimizer.pass_step();
    return ok_status();
  }
  LS_ASSIGN_OR_RETURN(const AdamW::Step step, optimizer.step(weights));
  ++stats.steps;
  stats.skipped += step.skipped;
  stats.lr = step.lr;
  if (!step.skipped) stats.grad_norm.add(step.grad_norm);
  return ok_status();
}

bool Trainer::Impl::accumulate(const Batch& batch, const std::vector<size_t>& rows,
                               const BoundObjective& objective, FitStats& stats) {
  std::vector<PassRow> inputs;
  std::vector<int64_t> group;
  for (const size_t i : rows) {
    inputs.push_back({batch.set.rows[i].tokens, batch.set.rows[i].loss_mask});
    group.push_back(batch.set.rows[i].group);
  }
  const std::vector<double> weight = response_weights(group);
  const bool unchanged = stats.steps == 0;
  double loss = 0, kl = 0;
  bool any_gradient = false;
  for (const MicroBatch& micro : make_micro_batches(inputs, algorithm.micro_batch_tokens)) {
    Pass pass(weights, micro, algorithm.temperature, unchanged);
    std::vector<float> grad(micro.targets.size());
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      const size_t row = rows[micro.rows[r]], begin = micro.begins[r], end = micro.begins[r + 1];
      const std::vector<double> present(pass.logprobs().begin() + static_cast<long>(begin),
                                        pass.logprobs().begin() + static_cast<long>(end));
      std::vector<double> recorded = recorded_logprobs(batch.set.rows[row]);
      stats.kl.add(present, recorded);
      for (size_t t = 0; unchanged && t < present.size(); ++t) {
        stats.difference.add(std::abs(present[t] - recorded[t]));
      }
      if (algorithm.reference == "trainer") {
        recorded = unchanged ? present : batch.reference[row];
      } else if (unchanged) {
        remove_rounding(present, recorded);
      }
      std::vector<double> row_grad(present.size());
      const ResponseLoss out = objective({present, recorded, batch.advantages[row]}, row_grad);
      const double w = weight[micro.rows[r]];
      for (size_t t = 0; t < row_grad.size(); ++t)
        grad[begin + t] = static_cast<float>(w * row_grad[t]);
      loss += w * out.loss;
      kl += w * out.kl;
      stats.clipped += out.clipped;
    }
    for (const float e : pass.entropy()) stats.entropy.add(e);
    stats.response_tokens += static_cast<int64_t>(micro.targets.size());
    stats.packed_tokens += micro.batch.total();
    if (all_zero(grad)) continue;
    pass.backward(grad);
    any_gradient = true;
  }
  stats.loss.add(loss);
  stats.kl_loss.add(kl);
  stats.policy_loss.add(loss - kl);
  return any_gradient;
}

Result<Metrics> Trainer::Impl::supervised_step(const std::vector<PassRow>& rows,
                                               int64_t micro_batch_tokens) {
  LS_RETURN_IF_ERROR(check_optimizer_options(optimizer_options));
  const int64_t tokens = total_targets(rows);
  if (tokens == 0)
    return invalid_argument("no token of this batch carries a loss; check the loss mask");
  const Stopwatch watch;
  weights.zero_grad();
  double loss = 0;
  int64_t packed = 0;
  for (const MicroBatch& micro : make_micro_batches(rows, micro_batch_tokens)) {
    Pass pass(weights, micro, 1.0, false);
    loss -= sum(pass.logprobs());
    packed += micro.batch.total();
    pass.backward(std::vector<float>(micro.targets.size(),
                                     static_cast<float>(-1.0 / static_cast<double>(tokens))));
  }
  LS_ASSIGN_OR_RETURN(const AdamW::Step step, optimizer.step(weights));
  return Metrics{{"train/loss", loss / static_cast<double>(tokens)},
                 {"train/grad_norm", step.grad_norm},
                 {"train/lr", step.lr},
                 {"train/tokens", static_cast<double>(tokens)},
                 {"train/skipped_steps", step.skipped ? 1.0 : 0.0},
                 {"perf/train_tokens_per_second", static_cast<double>(packed) / watch.seconds()}};
}

Trainer::Trainer(model::Weights weights, OptimizerOptions optimizer, AlgorithmOptions algorithm,
                 int64_t total_steps) {
  AdamW adam(weights, optimizer, total_steps);
  impl_ = std::make_unique<Impl>(
      Impl{std::move(weights), std::move(optimizer), std::move(algorithm), std::move(adam)});
}

Trainer::~Trainer() = default;

Result<Metrics> Trainer::fit(const std::vector<data::Group>& groups, uint64_t seed,
                             int64_t iteration) {
  return at_border("policy update",
                   [&]() -> Result<Metrics> { return impl_->fit(groups, seed, iteration); });
}

Result<Metrics> Trainer::supervised_step(const std::vector<SupervisedRow>& rows,
                                         const SftOptions& options) {
  return at_border("supervised step", [&]() -> Result<Metrics> {
    return impl_->supervised_step(pass_rows(rows), options.micro_batch_tokens);
  });
}

double Trainer::supervised_loss(const std::vector<SupervisedRow>& rows, const SftOptions& options) {
  const at::NoGradGuard no_grad;
  const auto inputs = pass_rows(rows);
  double total = 0;
  for (const MicroBatch& micro : make_micro_batches(inputs, options.micro_batch_tokens)) {
    total -= sum(Pass(impl_->weights, micro, 1.0, false).logprobs());
  }
  const int64_t tokens = total_targets(inputs);
  return tokens == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : total / static_cast<double>(tokens);
}

std::vector<std::vector<float>> Trainer::logprobs(
    const std::vector<std::vector<data::TokenId>>& sequences, double temperature) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<uint8_t>> masks;
  std::vector<PassRow> inputs;
  masks.reserve(sequences.size());
  for (const auto& sequence : sequences) {
    masks.emplace_back(sequence.size(), uint8_t{1});
    inputs.push_back({sequence, masks.back()});
  }
  std::vector<std::vector<float>> out(sequences.size());
  for (const MicroBatch& micro : make_micro_batches(inputs, impl_->algorithm.micro_batch_tokens)) {
    const Pass pass(impl_->weights, micro, temperature, false);
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      out[micro.rows[r]].assign(pass.logprobs().begin() + static_cast<long>(micro.begins[r]),
                                pass.logprobs().begin() + static_cast<long>(micro.begins[r + 1]));
    }
  }
  return out;
}

model::Weights& Trainer::weights() {
  return impl_->weights;
}

int64_t Trainer::optimizer_step() const {
  return impl_->optimizer.schedule_steps();
}

Status Trainer::save_state(const std::string& directory) const {
  return at_border("saving the optimizer",
                   [&]() -> Status { return impl_->optimizer.save(directory); });
}

Status Trainer::load_state(const std::string& directory) {
  return at_border("loading the optimizer",
                   [&]() -> Status { return impl_->optimizer.load(directory); });
}

}  // namespace longshot::policy
