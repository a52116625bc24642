#pragma once
// The fixed model that the policy of preference optimization is compared with.

#include <memory>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "config/config.h"
#include "train/frozen_model.h"
#include "train/preference/dpo_trainer.h"

namespace longshot::loop {

// dpo.reference_model, or the model before training if that is empty. Not thread-safe.
class ReferenceModel {
 public:
  // `continued`: the policy may have been trained already. Config and policy must outlive this.
  ReferenceModel(const config::DpoConfig& config, train::DpoTrainer& policy, bool continued)
      : config_(config), policy_(policy), policy_is_reference_(!continued && is_start(config)) {}

  // What identifies it, for LogprobKey::model.
  Json identity() const;
  // Log-probabilities under the reference. As long as the policy is the reference, and load() has
  // not been called, the policy computes them; otherwise the reference is loaded first.
  Result<std::vector<train::PairLogprobs>> logprobs(const std::vector<train::PairSequences>& pairs);
  // Brings the reference into memory, where it shares the base of an adapter with the policy.
  Status load();

  // True if a loaded reference is a second copy of the weights.
  static bool needs_copy(const config::DpoConfig& config);

 private:
  static bool is_start(const config::DpoConfig& config) { return config.reference_model.empty(); }
  Result<model::Weights> weights() const;

  const config::DpoConfig& config_;
  train::DpoTrainer& policy_;
  bool policy_is_reference_;
  std::unique_ptr<train::FrozenModel> model_;
};

}  // namespace longshot::loop
