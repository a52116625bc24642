#include "inference/open_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "model/torch/runtime.h"
#include "model/weights.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/torch/torch_runner.h"

namespace longshot::inference {

namespace {

Result<model::ModelFiles> with_template(const ModelChoice& choice, model::ModelFiles files) {
  if (files.tokenizer == nullptr) {
    return invalid_argument(choice.path +
                            ": the model has no tokenizer, so it can neither read nor write text");
  }
  if (!choice.chat_template.empty())
    LS_RETURN_IF_ERROR(files.chat_template.choose(choice.chat_template));
  LS_RETURN_IF_ERROR(files.chat_template.set_arguments(choice.chat_template_args)
                         .with_context("the chat template's arguments"));
  return files;
}

}  // namespace

Result<model::ModelFiles> open_model(const ModelChoice& choice) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, model::read_model(choice.path));
  return with_template(choice, std::move(files));
}

Result<model::ModelFiles> open_any_model(const ModelChoice& choice) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, model::read_any_model(choice.path));
  return with_template(choice, std::move(files));
}

void warn_of_date(const tokenizer::ChatTemplate& chat_template) {
  if (chat_template.depends_on_the_day())
    log::warn(
        "the chat template writes today's date into prompts, so they change from day to day; its "
        "argument strftime_now fixes the day: {{\"strftime_now\": \"2024-07-26\"}}");
}

Result<std::unique_ptr<rollout::Runner>> make_runner(const EngineChoice& choice,
                                                     rollout::RunnerLimits limits, int threads) {
  limits.weights = choice.dtype;
  limits.kv = choice.kv_dtype;
  if (rollout::uses_cpu_kernels(choice.runner, choice.device))
    return rollout::make_cpu_runner(limits, threads);
  if (limits.weights != NumberFormat::f32 || limits.kv != NumberFormat::f32)
    return invalid_argument(
        "--dtype and --kv-dtype (rollout.dtype, rollout.kv_dtype) other than float32 need the "
        "device cpu and its kernels");
  LS_RETURN_IF_ERROR(model::check_device(choice.device));
  return rollout::make_torch_runner(limits, choice.device);
}

Result<std::unique_ptr<rollout::Engine>> open_engine(const ModelChoice& model,
                                                     const EngineChoice& choice,
                                                     model::ModelFiles& files,
                                                     const rollout::RunnerLimits& limits) {
  const int threads = model::configure_compute(choice.threads);
  LS_ASSIGN_OR_RETURN(auto runner, make_runner(choice, limits, threads));
  model::WeightsView view;
  view.config = files.config;
  for (const auto& tensor : files.weights)
    view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  LS_RETURN_IF_ERROR(runner->load_weights(view).with_context(model.path));
  files.weights = {};
  return std::make_unique<rollout::Engine>(std::move(runner), files.tokenizer.get(), threads);
}

Result<rollout::RunnerLimits> limits_for(const model::ModelConfig& config, int max_running,
                                         int max_prompt_length, int max_response_length) {
  const int longest = max_prompt_length + max_response_length;
  LS_RETURN_IF_ERROR(model::check_rope_length(config, longest));
  const int positions = model::context_length(config);
  if (longest <= positions) return rollout::RunnerLimits{max_running, longest};
  return invalid_argument(fmt::format(
      "prompt length {} + response length {} is more than the model's {} positions; make "
      "them shorter (data.max_prompt_length, data.max_response_length; --max-tokens)",
      max_prompt_length, max_response_length, positions));
}

int prompt_room(const model::ModelConfig& config, int response, bool is_default) {
  const int positions = model::context_length(config);
  return std::max(positions - response, is_default ? positions / 2 : 0);
}

void fit_default_response(const model::ModelConfig& config, int longest_prompt, int& response) {
  const int positions = model::context_length(config);
  const int room = positions - longest_prompt;
  if (room < 1 || room >= response) return;
  log::warn(
      "responses have at most {} tokens, not the default of {}: the model has {} positions and the "
      "longest prompt has {} tokens; --max-tokens sets another length",
      room, response, positions, longest_prompt);
  response = room;
}

void warn_of_positions(const model::ModelConfig& config, int max_sequence,
                       const std::string& what) {
  const int positions = model::context_length(config);
  if (positions > 0 && max_sequence > positions)
    log::warn("{} may reach {} tokens, but the model was made for {}", what, max_sequence,
              positions);
}

}  // namespace longshot::inference
