#include "loop/run_folder/trained_model.h"

#include <ATen/ops/isfinite.h>

#include <filesystem>
#include <vector>

#include "base/log.h"
#include "base/os/fs.h"
#include "inference/open_model.h"
#include "model/format/adapters/adapter.h"
#include "model/torch/runtime.h"

namespace longshot::loop {
namespace {

std::string adapter_directory(const std::string& checkpoint) {
  return checkpoint + "/adapter";
}

// Returns the arguments as JSON text, "" for none. `arguments` is a table, a JSON text (which keeps
// the order of keys), or a list of one of them, as settings produce it.
std::string arguments_text(const Json& arguments) {
  if (arguments.is_array() && arguments.size() == 1) return arguments_text(arguments[0]);
  if (arguments.is_string()) return arguments.get<std::string>();
  return arguments.empty() ? "" : dump_json(arguments);
}

// The path of the whole model in the checkpoint if it has one, else of the configuration's model.
std::string model_of(const config::ModelOptions& options, const std::string& checkpoint) {
  const bool whole = !checkpoint.empty() && std::filesystem::exists(checkpoint + "/huggingface");
  return whole ? checkpoint + "/huggingface" : options.source();
}

// A rollout with non-finite weights would end at its first token.
Status check_finite(const model::Weights& weights) {
  for (const auto& [name, tensor] : weights.tensors()) {
    if (at::isfinite(tensor.detach()).all().item<bool>()) continue;
    return invalid_argument("the model's weight '" + name + "' has values that are not finite");
  }
  return ok_status();
}

inference::ModelChoice choice_of(const config::ModelOptions& options, const std::string& path) {
  return {path, options.chat_template, arguments_text(options.chat_template_args)};
}

Result<LoadedModel> to_device(model::ModelFiles files, const std::string& device) {
  inference::warn_of_date(files.chat_template);
  LS_ASSIGN_OR_RETURN(model::Weights weights,
                      model::Weights::from_host(files.config, files.weights, device));
  return LoadedModel{std::move(weights), std::move(files.tokenizer),
                     std::move(files.chat_template)};
}

Result<LoadedModel> load(const inference::ModelChoice& choice, const std::string& device) {
  LS_RETURN_IF_ERROR(model::check_device(device));
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, inference::open_model(choice));
  return to_device(std::move(files), device);
}

}  // namespace

Result<LoadedModel> load_model(const std::string& path, const std::string& device) {
  return load({.path = path}, device);
}

Status choose_what_learns(const config::ModelOptions& options, const std::string& checkpoint,
                          int64_t seed, model::Weights& weights) {
  const model::ModelConfig& config = weights.config();
  const bool saved =
      !checkpoint.empty() && model::is_adapter_directory(adapter_directory(checkpoint));
  if (saved || !options.lora_adapter_path.empty()) {
    const std::string from = saved ? adapter_directory(checkpoint) : options.lora_adapter_path;
    LS_ASSIGN_OR_RETURN(const model::Adapter adapter, model::read_adapter(from, config));
    weights.add_adapter(adapter);
  } else if (options.lora.rank > 0) {
    LS_ASSIGN_OR_RETURN(const auto modules, model::adapter_modules(config, options.lora_targets));
    weights.add_adapter(
        model::new_adapter(config, options.lora, modules, static_cast<uint64_t>(seed)));
  }
  LS_RETURN_IF_ERROR(weights.freeze(options.freeze).with_context("model.freeze"));
  LS_RETURN_IF_ERROR(check_finite(weights));
  if (weights.lora().rank == 0 && options.freeze.empty()) return ok_status();
  log::info("{} of {} parameters are trained", weights.trained_parameters(),
            model::parameter_count(config));
  return ok_status();
}

Result<LoadedModel> load_policy(const config::ModelOptions& options, const std::string& device,
                                const std::string& checkpoint, int64_t seed) {
  LS_ASSIGN_OR_RETURN(LoadedModel loaded,
                      load(choice_of(options, model_of(options, checkpoint)), device));
  LS_RETURN_IF_ERROR(choose_what_learns(options, checkpoint, seed, loaded.weights));
  return loaded;
}

Result<LoadedModel> load_reward_model(const config::ModelOptions& options,
                                      const std::string& device, const std::string& checkpoint,
                                      int64_t seed) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files,
                      inference::open_any_model(choice_of(options, model_of(options, checkpoint))));
  if (!files.config.score_head) model::add_score_head(files, static_cast<uint64_t>(seed));
  LS_ASSIGN_OR_RETURN(LoadedModel loaded, to_device(std::move(files), device));
  LS_RETURN_IF_ERROR(choose_what_learns(options, checkpoint, seed, loaded.weights));
  return loaded;
}

Result<std::string> write_policy(const std::string& directory, const model::Weights& weights,
                                 int64_t version, const config::ModelOptions& options,
                                 const tokenizer::Tokenizer* tokenizer,
                                 const tokenizer::ChatTemplate* chat_template) {
  if (weights.lora().rank > 0) {
    LS_RETURN_IF_ERROR(make_directories(directory));
    const std::string base = std::filesystem::absolute(options.path).lexically_normal().string();
    LS_RETURN_IF_ERROR(model::write_adapter(adapter_directory(directory), weights.adapter(base)));
    return adapter_directory(directory);
  }
  const std::string target = directory + "/huggingface";
  LS_RETURN_IF_ERROR(make_directories(target));
  LS_RETURN_IF_ERROR(
      model::write_model(target, weights.lazy_view(version), tokenizer, chat_template));
  return target;
}

std::string policy_directory(const std::string& directory) {
  const std::string adapter = adapter_directory(directory);
  return model::is_adapter_directory(adapter) ? adapter : directory + "/huggingface";
}

}  // namespace longshot::loop
