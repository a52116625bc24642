#include "loop/offline/dpo_reference.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "loop/run_folder/resume.h"
#include "loop/run_folder/trained_model.h"
#include "model/format/adapters/adapter.h"
#include "model/format/model_path.h"

namespace longshot::loop {
namespace {

bool same_path(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || std::filesystem::equivalent(a, b, error);
}

// True if the reference is the base of the policy's adapter.
bool is_base(const config::DpoConfig& config) {
  const config::ModelOptions& model = config.offline.model;
  if (!model.has_adapter()) return false;
  return config.reference_model.empty() ? model.lora_adapter_path.empty()
                                        : same_path(config.reference_model, model.path);
}

Result<model::Weights> load_other(const config::DpoConfig& config, int vocabulary) {
  const auto path = model::find_model(config.reference_model);
  if (!path.ok()) return path.status().with_context("dpo.reference_model");
  auto loaded = load_model(*path, config.offline.machine.device);
  if (!loaded.ok()) return loaded.status().with_context("dpo.reference_model");
  const int other = loaded->weights.config().vocab_size;
  if (other == vocabulary) return std::move(loaded->weights);
  return invalid_argument(fmt::format(
      "dpo.reference_model has a vocabulary of {} tokens, the policy has {}", other, vocabulary));
}

}  // namespace

bool ReferenceModel::needs_copy(const config::DpoConfig& config) {
  return !is_base(config) &&
         !(config.reference_model.empty() && config.offline.model.has_adapter());
}

Json ReferenceModel::identity() const {
  const config::ModelOptions& model = config_.offline.model;
  Json identity = fingerprints({{"model.path", {model.path}},
                                {"model.lora_adapter_path", {model.lora_adapter_path}},
                                {"dpo.reference_model", {config_.reference_model}}});
  identity["trainer.dtype"] = name_of(config_.offline.batch.compute.dtype);
  return identity;
}

// The model before training is read from where the run got it, never from a checkpoint.
Result<model::Weights> ReferenceModel::weights() const {
  const model::Weights& policy = policy_.model().weights();
  if (is_base(config_)) return policy.base();
  if (!config_.reference_model.empty()) return load_other(config_, policy.config().vocab_size);
  config::ModelOptions options = config_.offline.model;
  if (options.has_adapter()) {
    model::Weights weights = policy.base();
    LS_ASSIGN_OR_RETURN(const model::Adapter adapter,
                        model::read_adapter(options.lora_adapter_path, weights.config()));
    weights.add_adapter(adapter);
    return weights;
  }
  options.stand_in.clear();
  options.freeze.clear();
  auto loaded = load_policy(options, config_.offline.machine.device, "", 0);
  if (!loaded.ok()) return loaded.status().with_context("the reference model, model.path");
  return std::move(loaded->weights);
}

Status ReferenceModel::load() {
  if (model_) return ok_status();
  LS_ASSIGN_OR_RETURN(model::Weights loaded, weights());
  model_ = std::make_unique<train::FrozenModel>(std::move(loaded), config_.offline.batch.compute);
  return ok_status();
}

Result<std::vector<train::PairLogprobs>> ReferenceModel::logprobs(
    const std::vector<train::PairSequences>& pairs) {
  if (model_ == nullptr && policy_is_reference_) return policy_.logprobs(pairs);
  LS_RETURN_IF_ERROR(load());
  train::PassTotals totals;
  return train::pair_logprobs(model_->compute(), pairs, config_.offline.batch.micro_batch_tokens,
                              totals);
}

}  // namespace longshot::loop
