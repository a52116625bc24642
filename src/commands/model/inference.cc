#include "commands/model/inference.h"

#include "commands/command.h"
#include "commands/key_flags.h"
#include "config/sections/data.h"
#include "config/sections/machine.h"
#include "config/sections/model.h"
#include "config/sections/rollout.h"

namespace longshot::commands {
namespace {

Settings keys_of(InferenceOptions& options) {
  Settings keys;
  config::bind_machine(keys, options.engine.device, options.engine.threads);
  config::bind_formats(keys, options.engine.dtype, options.engine.kv_dtype);
  config::bind_speculation(keys, options.speculation);
  config::bind_response_length(keys, options.sampling.max_response_length);
  config::bind_sampling(keys, options.sampling, config::Greedy::allowed);
  return keys;
}

}  // namespace

void add_chat_template_options(CLI::App& command, std::string& chat_template,
                               std::string& arguments) {
  Settings keys;
  config::bind_chat_template(keys, chat_template);
  add_key_flags(command, keys, {{"--chat-template", "model.chat_template"}});
  command.add_option("--chat-template-args", arguments,
                     "arguments of the chat template as JSON: {\"enable_thinking\": false}");
}

void add_model_options(CLI::App& command, InferenceOptions& options) {
  command.add_option("--model", options.model.path, kModelHelp)->required();
  add_chat_template_options(command, options.model.chat_template, options.model.chat_template_args);
  command.add_option("--system", options.system,
                     "system message put before each chat that has none");
  add_key_flags(command, keys_of(options),
                {{"--threads", "trainer.threads"},
                 {"--device", "trainer.device"},
                 {"--dtype", "rollout.dtype"},
                 {"--kv-dtype", "rollout.kv_dtype"}});
}

void add_inference_options(CLI::App& command, InferenceOptions& options) {
  add_model_options(command, options);
  add_key_flags(command, keys_of(options),
                {{"--max-tokens", "data.max_response_length"},
                 {"--temperature", "rollout.temperature"},
                 {"--top-p", "rollout.top_p"},
                 {"--top-k", "rollout.top_k"},
                 {"--min-p", "rollout.min_p"},
                 {"--stop", "rollout.stop"},
                 {"--speculation", "rollout.speculation"}});
  options.max_tokens = command.get_option("--max-tokens");
  command.add_option("--seed", options.seed, "same seed, same answer")->capture_default_str();
}

Result<model::ModelFiles> load_for_inference(InferenceOptions& options) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, inference::open_model(options.model));
  const auto& ends = files.config.eos_token_ids;
  options.sampling.stop_tokens.assign(ends.begin(), ends.end());
  return files;
}

}  // namespace longshot::commands
