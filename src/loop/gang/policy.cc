#include "loop/gang/policy.h"

#include <fmt/format.h>

#include <filesystem>

#include "config/validate.h"
#include "loop/run_folder/trained_model.h"

namespace longshot::loop {
namespace {

bool same_path(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || std::filesystem::equivalent(a, b, error);
}

// Sets the fixed reference model of the KL penalty, if the configuration uses one.
Status set_kl_model(const config::TrainConfig& config, train::PolicyTrainer& trainer) {
  if (!config::has_kl_model(config.algorithm)) return ok_status();
  const std::string& path = config.algorithm.kl_reference;
  if (trainer.model().weights().lora().rank > 0 && same_path(path, config.model.path)) {
    trainer.use_base_as_kl_model();
    return ok_status();
  }
  auto model = load_model(path, config.machine.device);
  if (!model.ok()) return model.status().with_context("algorithm.kl_reference");
  return trainer.set_kl_model(std::move(model->weights));
}

train::AlgorithmOptions algorithm_options(const config::TrainConfig& config) {
  train::AlgorithmOptions algorithm = config.algorithm;
  algorithm.temperature = config.rollout.engine.sampling.temperature;
  algorithm.max_response_length = config.rollout.engine.sampling.max_response_length;
  if (algorithm.reference == train::Reference::automatic && !config::rollout_is_exact(config))
    algorithm.reference = train::Reference::trainer;
  return algorithm;
}

void begin_schedule(const config::TrainConfig& config, const PhaseState& phase,
                    train::PolicyTrainer& trainer) {
  trainer.model().optimizer().begin_schedule(config.optimizer, phase.schedule_step,
                                             schedule_steps(config, phase));
}

}  // namespace

Result<std::unique_ptr<train::PolicyTrainer>> make_trainer(const config::TrainConfig& config,
                                                           const PhaseState& phase,
                                                           model::Weights weights,
                                                           std::shared_ptr<train::Gang> gang) {
  if (config.trainer.lanes % gang->size() != 0) {
    return invalid_argument(
        fmt::format("trainer.lanes = {} cannot be shared by {} trainers: the number of trainers "
                    "must be a power of two, and trainer.lanes at least that number",
                    config.trainer.lanes, gang->size()));
  }
  auto trainer = std::make_unique<train::PolicyTrainer>(
      std::move(weights), config.optimizer, algorithm_options(config),
      schedule_steps(config, phase),
      train::Lanes{.count = config.trainer.lanes, .gang = std::move(gang)});
  begin_schedule(config, phase, *trainer);
  LS_RETURN_IF_ERROR(set_kl_model(config, *trainer));
  trainer->model().measure_peak();
  return trainer;
}

void begin_phase(const config::TrainConfig& config, const PhaseState& phase,
                 train::PolicyTrainer& trainer) {
  trainer.set_algorithm(algorithm_options(config));
  begin_schedule(config, phase, trainer);
}

}  // namespace longshot::loop
