#include "commands/model/inference.h"

namespace longshot::commands {

void add_speculation_option(CLI::App& command, std::string& speculation) {
  command
      .add_option("--speculation", speculation,
                  "ngram: feed guesses of the next tokens where that is faster; same answers")
      ->check(CLI::IsMember({"off", "ngram"}))
      ->capture_default_str();
}

void add_model_options(CLI::App& command, InferenceOptions& options) {
  command.add_option("--model", options.model.path, "Hugging Face directory or .gguf file")
      ->required();
  command.add_option("--chat-template", options.model.chat_template,
                     "used instead of the model's own: a .jinja file, a named template, a family");
  command.add_option("--chat-template-args", options.model.chat_template_args,
                     "arguments of the chat template as JSON: {\"enable_thinking\": false}");
  command.add_option("--system", options.system,
                     "system message put before each chat that has none");
  command.add_option("--threads", options.engine.threads, "CPU threads; 0 = all usable cores")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--device", options.engine.device, "cpu, cuda, cuda:1, ...")
      ->capture_default_str();
  command
      .add_option("--dtype", options.engine.dtype,
                  "numbers of the weights: float32, bfloat16, int8, int4 (device cpu)")
      ->capture_default_str();
  command
      .add_option("--kv-dtype", options.engine.kv_dtype,
                  "numbers of the KV cache: float32, bfloat16, int8 (device cpu)")
      ->capture_default_str();
}

void add_inference_options(CLI::App& command, InferenceOptions& options) {
  rollout::SamplingOptions& sampling = options.sampling;
  add_model_options(command, options);
  command.add_option("--max-tokens", sampling.max_response_length, "longest answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--temperature", sampling.temperature, "0 = the most probable token always")
      ->capture_default_str();
  command.add_option("--top-p", sampling.top_p, "smallest set of tokens with this probability")
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "this many most probable tokens; 0 = all")
      ->capture_default_str();
  command
      .add_option("--min-p", sampling.min_p,
                  "tokens of at least this share of the largest probability")
      ->capture_default_str();
  command
      .add_option("--stop", sampling.stop_strings,
                  "text that ends an answer; may be given several times")
      ->expected(1)
      ->take_all();
  command.add_option("--seed", options.seed, "same seed, same answer")->capture_default_str();
  add_speculation_option(command, options.speculation);
}

Result<model::ModelFiles> load_for_inference(InferenceOptions& options) {
  LS_RETURN_IF_ERROR(rollout::check_sampling(options.sampling));
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, inference::open_model(options.model));
  const auto& ends = files.config.eos_token_ids;
  options.sampling.stop_tokens.assign(ends.begin(), ends.end());
  return files;
}

}  // namespace longshot::commands
