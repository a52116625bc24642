#include "train/policy/policy_trainer.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/os/clock.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/schedule.h"
#include "train/optimizer/undo.h"
#include "train/pass/cost_metrics.h"
#include "train/pass/packing.h"
#include "train/pass/pass.h"
#include "train/policy/update.h"

namespace longshot::train {
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
  std::optional<FrozenModel> kl_model = std::nullopt;
  double peak_flops = 0;
  Undo undo = {};

  Status check_options() const;
  std::vector<MicroBatch> micro_batches(const std::vector<PassRow>& rows, int64_t wanted) {
    return make_micro_batches(rows, compute.pass_size(wanted));
  }
  Result<Metrics> fit(const std::vector<data::Group>& groups, const FitKey& key);
  Result<Metrics> supervised_step(const std::vector<PassRow>& rows, int64_t micro_batch_tokens);
};

Status Trainer::Impl::check_options() const {
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

Result<Metrics> Trainer::Impl::fit(const std::vector<data::Group>& groups, const FitKey& key) {
  LS_RETURN_IF_ERROR(check_options());
  const bool several_steps = algorithm.mini_batches * algorithm.epochs > 1;
  if (several_steps) undo.take(weights, optimizer, /*moments=*/!algorithm.reset_optimizer);
  const auto take_back = [&] {
    if (several_steps) undo.restore(weights, optimizer);
  };
  Update update({weights, optimizer, compute, algorithm,
                 kl_model.has_value() ? &*kl_model : nullptr, peak_flops});
  try {
    auto metrics = update.run(groups, key);
    if (!metrics.ok()) take_back();
    return metrics;
  } catch (...) {
    take_back();
    throw;
  }
}

Result<Metrics> Trainer::Impl::supervised_step(const std::vector<PassRow>& rows,
                                               int64_t micro_batch_tokens) {
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
    flops += pass_flops(weights, work_of(micro, weights.config()), true);
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
  weights.set_bf16_products(algorithm.compute.dtype == NumberFormat::bf16);
  AdamW adam(weights, optimizer, total_steps);
  Compute compute(weights, algorithm.compute);
  impl_ = std::make_unique<Impl>(Impl{std::move(weights), std::move(optimizer),
                                      std::move(algorithm), std::move(adam), std::move(compute)});
}

Trainer::~Trainer() = default;

Result<Metrics> Trainer::fit(const std::vector<data::Group>& groups, const FitKey& key) {
  return at_border("policy update", [&]() -> Result<Metrics> { return impl_->fit(groups, key); });
}

Status Trainer::set_kl_model(model::Weights weights) {
  const int policy = impl_->weights.config().vocab_size, other = weights.config().vocab_size;
  if (other != policy) {
    return invalid_argument(fmt::format(
        "algorithm.kl_reference has a vocabulary of {} tokens, the policy has {}", other, policy));
  }
  weights.set_bf16_products(impl_->weights.bf16_products());
  Compute compute(weights, impl_->algorithm.compute);
  impl_->kl_model.emplace(FrozenModel{std::move(weights), std::move(compute)});
  return ok_status();
}

void Trainer::use_base_as_kl_model() {
  LS_CHECK(impl_->weights.lora().rank > 0, "only an adapter has a base");
  const Status status = set_kl_model(impl_->weights.base());
  LS_CHECK(status.ok(), status.message());
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

}  // namespace longshot::train
