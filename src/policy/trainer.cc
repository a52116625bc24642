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
#include "policy/as_recorded.h"
#include "policy/cost_metrics.h"
#include "policy/fit_batch.h"
#include "policy/loss/objective.h"
#include "policy/optimizer.h"
#include "policy/packing.h"
#include "policy/pass.h"
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

bool all_zero(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return v == 0.0f; });
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
  Compute compute;
  double peak_flops = 0;

  Status check_options() const;
  std::vector<MicroBatch> micro_batches(const std::vector<PassRow>& rows, int64_t wanted) {
    return make_micro_batches(rows, compute.pass_size(wanted));
  }
  Result<Metrics> fit(const std::vector<data::Group>& groups, uint64_t seed, int64_t iteration);
  std::vector<std::vector<double>> present_logprobs(const Batch& batch);
  Status mini_batch_step(const Batch& batch, const std::vector<size_t>& rows,
                         const BoundObjective& objective, FitStats& stats);
  // False if the gradient is exactly 0: then no weight has one.
  bool accumulate(const Batch& batch, const std::vector<size_t>& rows,
                  const BoundObjective& objective, FitStats& stats);
  struct WeightedRow {
    size_t row;
    double weight;
  };
  bool accumulate_rows(const Batch& batch, const std::vector<WeightedRow>& rows,
                       const BoundObjective& objective, FitStats& stats);
  std::vector<float> expected_gradient(const Batch& batch, const std::vector<WeightedRow>& rows,
                                       const MicroBatch& micro,
                                       const BoundObjective& objective) const;
  Result<Metrics> supervised_step(const std::vector<PassRow>& rows, int64_t micro_batch_tokens);
};

Status Trainer::Impl::check_options() const {
  LS_RETURN_IF_ERROR(check_optimizer_options(optimizer_options));
  if (algorithm.mini_batches < 1 || algorithm.epochs < 1)
    return invalid_argument("algorithm.mini_batches and epochs must be >= 1");
  if (algorithm.micro_batch_tokens < 0) {
    return invalid_argument("algorithm.micro_batch_tokens must be >= 0; 0 takes what is fastest");
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
  report_cost({weights, optimizer, compute, peak_flops}, stats.flops, watch.seconds(), metrics);
  return metrics;
}

std::vector<std::vector<double>> Trainer::Impl::present_logprobs(const Batch& batch) {
  const at::NoGradGuard no_grad;
  std::vector<PassRow> inputs;
  for (const auto& row : batch.set.rows)
    inputs.push_back({row.tokens, row.loss_mask, row.prompt_length});
  std::vector<std::vector<double>> out(inputs.size());
  for (const MicroBatch& micro : micro_batches(inputs, algorithm.micro_batch_tokens)) {
    const Pass pass(compute, weights, micro, algorithm.temperature, false);
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
  stats.step_loss = stats.step_kl = 0;
  const bool any_gradient = accumulate(batch, rows, objective, stats);
  stats.loss.add(stats.step_loss);
  stats.kl_loss.add(stats.step_kl);
  stats.policy_loss.add(stats.step_loss - stats.step_kl);
  if (!any_gradient) {
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

// Rows whose gradient is 0 as long as the present log-probabilities are those recorded are left out, unless those that
// are computed show that they are not. One is computed even if all could be left out.
bool Trainer::Impl::accumulate(const Batch& batch, const std::vector<size_t>& rows,
                               const BoundObjective& objective, FitStats& stats) {
  std::vector<int64_t> group;
  for (const size_t i : rows) group.push_back(batch.set.rows[i].group);
  const std::vector<double> weight = response_weights(group);
  const bool unchanged = stats.steps == 0;
  std::vector<WeightedRow> first, flat;
  for (size_t i = 0; i < rows.size(); ++i) {
    const data::TrainRow& row = batch.set.rows[rows[i]];
    const bool leave = unchanged && stats.as_recorded && row.version == batch.newest &&
                       is_flat(row, batch.advantages[rows[i]], objective);
    (leave ? flat : first).push_back({rows[i], weight[i]});
  }
  if (first.empty() && !flat.empty() && stats.difference.count() == 0) {
    first.push_back(flat.back());
    flat.pop_back();
  }
  bool any_gradient = accumulate_rows(batch, first, objective, stats);
  if (stats.as_recorded) {
    stats.flat_samples += static_cast<int64_t>(flat.size());
  } else {
    any_gradient = accumulate_rows(batch, flat, objective, stats) || any_gradient;
  }
  return any_gradient;
}

// What the weights that produced all rows of a micro-batch will get; empty if others have produced some.
std::vector<float> Trainer::Impl::expected_gradient(const Batch& batch,
                                                    const std::vector<WeightedRow>& rows,
                                                    const MicroBatch& micro,
                                                    const BoundObjective& objective) const {
  std::vector<float> out;
  for (const size_t r : micro.rows) {
    const data::TrainRow& row = batch.set.rows[rows[r].row];
    if (row.version != batch.newest) return {};
    for (const double g : gradient_as_recorded(row, batch.advantages[rows[r].row], objective))
      out.push_back(static_cast<float>(rows[r].weight * g));
  }
  return out;
}

bool Trainer::Impl::accumulate_rows(const Batch& batch, const std::vector<WeightedRow>& rows,
                                    const BoundObjective& objective, FitStats& stats) {
  const bool unchanged = stats.steps == 0;
  std::vector<PassRow> inputs;
  for (const auto& [index, weight] : rows) {
    const data::TrainRow& row = batch.set.rows[index];
    inputs.push_back({row.tokens, row.loss_mask, row.prompt_length});
  }
  double loss = 0, kl = 0;
  bool any_gradient = false;
  for (const MicroBatch& micro : micro_batches(inputs, algorithm.micro_batch_tokens)) {
    std::vector<float> expected;
    if (unchanged && stats.as_recorded) expected = expected_gradient(batch, rows, micro, objective);
    Pass pass(compute, weights, micro, algorithm.temperature, unchanged,
              all_zero(expected) ? nullptr : &expected);
    std::vector<float> grad(micro.targets.size());
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      const size_t row = rows[micro.rows[r]].row, begin = micro.begins[r],
                   end = micro.begins[r + 1];
      const std::vector<double> present(pass.logprobs().begin() + static_cast<long>(begin),
                                        pass.logprobs().begin() + static_cast<long>(end));
      std::vector<double> recorded = recorded_logprobs(batch.set.rows[row]);
      stats.kl.add(present, recorded);
      for (size_t t = 0; unchanged && t < present.size(); ++t) {
        stats.difference.add(std::abs(present[t] - recorded[t]));
      }
      // Against a reference of the trainer's own the gradient does not depend on what was recorded.
      stats.as_recorded = stats.as_recorded && (algorithm.reference == "trainer" ||
                                                !(stats.difference.max() > kRounding));
      if (algorithm.reference == "trainer") {
        recorded = unchanged ? present : batch.reference[row];
      } else if (unchanged) {
        remove_rounding(present, recorded);
      }
      std::vector<double> row_grad(present.size());
      const ResponseLoss out = objective({present, recorded, batch.advantages[row]}, row_grad);
      const double w = rows[micro.rows[r]].weight;
      for (size_t t = 0; t < row_grad.size(); ++t)
        grad[begin + t] = static_cast<float>(w * row_grad[t]);
      loss += w * out.loss;
      kl += w * out.kl;
      stats.clipped += out.clipped;
    }
    for (const float e : pass.entropy()) stats.entropy.add(e);
    stats.response_tokens += static_cast<int64_t>(micro.targets.size());
    stats.packed_tokens += micro.batch.total();
    stats.unshared_tokens += micro.unshared;
    const bool backward = !all_zero(grad) || !all_zero(expected);
    stats.flops += pass_flops(weights, work_of(micro), backward);
    if (!backward) continue;
    pass.backward(grad);
    any_gradient = true;
  }
  stats.step_loss += loss;
  stats.step_kl += kl;
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
  double flops = 0;
  for (const MicroBatch& micro : micro_batches(rows, micro_batch_tokens)) {
    const std::vector<float> grad(micro.targets.size(),
                                  static_cast<float>(-1.0 / static_cast<double>(tokens)));
    Pass pass(compute, weights, micro, 1.0, false, &grad);
    loss -= sum(pass.logprobs());
    packed += micro.batch.total();
    flops += pass_flops(weights, work_of(micro), true);
    pass.backward(grad);
  }
  LS_ASSIGN_OR_RETURN(const AdamW::Step step, optimizer.step(weights));
  Metrics metrics{{"train/loss", loss / static_cast<double>(tokens)},
                  {"train/grad_norm", step.grad_norm},
                  {"train/lr", step.lr},
                  {"train/tokens", static_cast<double>(tokens)},
                  {"train/skipped_steps", step.skipped ? 1.0 : 0.0},
                  {"perf/train_tokens_per_second", static_cast<double>(packed) / watch.seconds()}};
  report_cost({weights, optimizer, compute, peak_flops}, flops, watch.seconds(), metrics);
  return metrics;
}

Trainer::Trainer(model::Weights weights, OptimizerOptions optimizer, AlgorithmOptions algorithm,
                 int64_t total_steps) {
  weights.set_bf16_products(algorithm.compute.dtype == "bfloat16");
  AdamW adam(weights, optimizer, total_steps);
  Compute compute(weights, algorithm.compute);
  impl_ = std::make_unique<Impl>(Impl{std::move(weights), std::move(optimizer),
                                      std::move(algorithm), std::move(adam), std::move(compute)});
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
  for (const MicroBatch& micro : impl_->micro_batches(inputs, options.micro_batch_tokens)) {
    total -= sum(Pass(impl_->compute, impl_->weights, micro, 1.0, false).logprobs());
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
  for (const MicroBatch& micro :
       impl_->micro_batches(inputs, impl_->algorithm.micro_batch_tokens)) {
    const Pass pass(impl_->compute, impl_->weights, micro, temperature, false);
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      out[micro.rows[r]].assign(pass.logprobs().begin() + static_cast<long>(micro.begins[r]),
                                pass.logprobs().begin() + static_cast<long>(micro.begins[r + 1]));
    }
  }
  return out;
}

double Trainer::activation_bytes(int64_t tokens, int64_t targets) const {
  return impl_->compute.activation_bytes(tokens, targets, impl_->weights.lora().rank);
}

PassSize Trainer::pass_size() const {
  return impl_->compute.pass_size(impl_->algorithm.micro_batch_tokens);
}

void Trainer::set_peak_flops(double flops) {
  impl_->peak_flops = flops;
}

model::Weights& Trainer::weights() {
  return impl_->weights;
}

int64_t Trainer::optimizer_step() const {
  return impl_->optimizer.schedule_steps();
}

int64_t Trainer::state_bytes() const {
  const model::Weights& weights = impl_->weights;
  const int64_t saved = weights.lora().rank > 0 ? weights.trained_parameters()
                                                : model::parameter_count(weights.config());
  return saved * static_cast<int64_t>(sizeof(float)) + impl_->optimizer.moment_bytes();
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
