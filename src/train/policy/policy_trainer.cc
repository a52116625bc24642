#include "train/policy/policy_trainer.h"

#include <fmt/core.h>

#include <utility>

#include "base/check.h"
#include "model/torch/exceptions.h"

namespace longshot::train {

PolicyTrainer::PolicyTrainer(model::Weights weights, OptimizerOptions optimizer,
                             AlgorithmOptions algorithm, int64_t total_steps, Lanes lanes)
    : model_(std::move(weights), std::move(optimizer), algorithm.compute, total_steps,
             std::move(lanes)),
      algorithm_(std::move(algorithm)) {}

Result<Metrics> PolicyTrainer::fit(const std::vector<data::Group>& groups, const UpdateKey& key) {
  return model::caught("policy update", [&]() -> Result<Metrics> {
    const auto update = [&] {
      return Update({model_, algorithm_, kl_model_ ? &*kl_model_ : nullptr}).run(groups, key);
    };
    const bool several_steps = algorithm_.mini_batches * algorithm_.epochs > 1;
    return several_steps ? model_.undoable(/*moments=*/!algorithm_.reset_optimizer, update)
                         : update();
  });
}

Status PolicyTrainer::set_kl_model(model::Weights weights) {
  const int policy = model_.weights().config().vocab_size, other = weights.config().vocab_size;
  if (other != policy) {
    return invalid_argument(fmt::format(
        "algorithm.kl_reference has a vocabulary of {} tokens, the policy has {}", other, policy));
  }
  kl_model_.emplace(std::move(weights), algorithm_.compute);
  return ok_status();
}

void PolicyTrainer::use_base_as_kl_model() {
  LS_CHECK(model_.weights().lora().rank > 0, "only an adapter has a base");
  const Status status = set_kl_model(model_.weights().base());
  LS_CHECK(status.ok(), status.message());
}

}  // namespace longshot::train
