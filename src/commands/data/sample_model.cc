#include "commands/data/sample_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/log.h"
#include "base/os/fs.h"
#include "base/os/sampled_checksum.h"
#include "base/progress_line.h"
#include "commands/key_flags.h"
#include "commands/model/text_files.h"
#include "config/sections/rollout.h"
#include "curate/samples/model_source.h"
#include "datasets/encode.h"
#include "datasets/tokenize.h"
#include "model/format/model_path.h"
#include "model/format/rope.h"

namespace longshot::commands {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChecksumBlocks = 16;

bool is_weights(const std::string& name) {
  return name.ends_with(".safetensors") || name.ends_with(".gguf");
}

Result<data::TokenId> stop_token(const tokenizer::Tokenizer& tokenizer, const std::string& text) {
  if (const auto id = tokenizer.token_to_id(text)) return *id;
  data::TokenId id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc() && end == text.data() + text.size() && id >= 0) return id;
  return invalid_argument("--stop-token: the tokenizer has no token '" + text + "'");
}

// Tokenizes the asked prompts; those longer than `longest` are removed.
Status tokenize(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatTemplate& chat_template,
                int longest, const curate::AskOptions& ask, std::vector<curate::Ask>& asks) {
  std::vector<data::Prompt> prompts;
  size_t texts = 0;  // before a system message turns them into chats
  for (const auto& one : asks) {
    prompts.push_back(one.asked);
    texts += one.prompt.messages.empty() ? 1 : 0;
  }
  datasets::warn_of_texts(chat_template, ask.columns.apply_chat_template, texts, asks.size());
  int dropped = 0;
  LS_RETURN_IF_ERROR(datasets::tokenize_prompts(prompts, tokenizer, chat_template, longest,
                                                &dropped, ask.columns.apply_chat_template));
  if (dropped > 0)
    log::warn("{} of {} prompts are longer than {} tokens and left out", dropped, asks.size(),
              longest);
  std::vector<curate::Ask> kept;
  size_t next = 0;
  for (auto& one : asks) {
    if (next == prompts.size() || prompts[next].id != one.prompt.id) continue;
    one.asked = std::move(prompts[next++]);
    kept.push_back(std::move(one));
  }
  asks = std::move(kept);
  return ok_status();
}

double gib(double bytes) {
  return bytes / (1 << 30);
}

double bytes_of(NumberFormat format) {
  return format == NumberFormat::f32 ? 4 : format == NumberFormat::bf16 ? 2 : 1;
}

}  // namespace

void add_local_options(CLI::App& command, LocalModelOptions& options) {
  Settings keys;
  config::bind_concurrency(keys, options.max_concurrent);
  add_key_flags(command, keys, {{"--max-concurrent", "rollout.max_concurrent"}});
  command
      .add_option("--stop-token", options.stop_tokens,
                  "a token that ends a response, by text or id; may be repeated")
      ->expected(1)
      ->take_all();
}

Status add_model_settings(const InferenceOptions& inference, const LocalModelOptions& options,
                          OrderedJson& settings) {
  settings["stop_tokens"] = options.stop_tokens;
  settings["chat_template"] = inference.model.chat_template;
  settings["chat_template_args"] = inference.model.chat_template_args;
  settings["device"] = inference.engine.device;
  settings["dtype"] = name_of(inference.engine.dtype);
  settings["kv_dtype"] = name_of(inference.engine.kv_dtype);
  LS_ASSIGN_OR_RETURN(const fs::path path, model::find_model(inference.model.path));
  std::vector<std::string> names = {""};
  if (fs::is_directory(path)) {
    LS_ASSIGN_OR_RETURN(names, list_files(path));
    names.erase(std::remove_if(names.begin(), names.end(),
                               [](const std::string& name) { return !is_weights(name); }),
                names.end());
  }
  for (const std::string& name : names) {
    LS_ASSIGN_OR_RETURN(const uint64_t sum,
                        sampled_checksum(name.empty() ? path : path / name, kChecksumBlocks));
    settings["weights"][name.empty() ? path.filename().string() : name] =
        fmt::format("{:016x}", sum);
  }
  return ok_status();
}

Result<LocalModel> read_local_model(InferenceOptions& inference, const LocalModelOptions& options,
                                    const curate::AskOptions& ask, std::vector<curate::Ask>& asks) {
  LocalModel model;
  LS_ASSIGN_OR_RETURN(model.files, load_for_inference(inference));
  inference::warn_of_date(model.files.chat_template);
  auto& sampling = inference.sampling;
  for (const std::string& text : options.stop_tokens) {
    LS_ASSIGN_OR_RETURN(const data::TokenId id, stop_token(*model.files.tokenizer, text));
    sampling.stop_tokens.push_back(id);
  }
  const bool is_default = inference.has_default_length();
  const int room =
      inference::prompt_room(model.files.config, sampling.max_response_length, is_default);
  if (room <= 0)
    return invalid_argument(
        fmt::format("--max-tokens {} leaves no room for a prompt: the model has "
                    "{} positions",
                    sampling.max_response_length, model::context_length(model.files.config)));
  LS_RETURN_IF_ERROR(tokenize(*model.files.tokenizer, model.files.chat_template, room, ask, asks));
  size_t longest = 0;
  for (const auto& one : asks) {
    longest = std::max(longest, one.asked.tokens.size());
    model.prompt_tokens += static_cast<int64_t>(one.asked.tokens.size());
  }
  if (is_default) {
    inference::fit_default_response(model.files.config, static_cast<int>(longest),
                                    sampling.max_response_length);
  }
  LS_ASSIGN_OR_RETURN(
      model.limits, inference::limits_for(model.files.config, options.max_concurrent,
                                          static_cast<int>(longest), sampling.max_response_length));
  return model;
}

std::string describe(const LocalModel& model, const InferenceOptions& inference) {
  const auto& c = model.files.config;
  const double weights =
      static_cast<double>(model::parameter_count(c)) * bytes_of(inference.engine.dtype);
  const double kv = 2.0 * c.num_layers * c.num_kv_heads * c.head_dim *
                    bytes_of(inference.engine.kv_dtype) * model.limits.max_running *
                    model.limits.max_sequence;
  return fmt::format(
      "prompt tokens    {}\nmemory           {:.2f} GiB of weights, at most {:.2f} GiB of KV cache",
      with_commas(model.prompt_tokens), gib(weights), gib(kv));
}

Result<std::unique_ptr<curate::SampleSource>> open_local_source(const InferenceOptions& inference,
                                                                LocalModel& model,
                                                                int max_waiting) {
  LS_ASSIGN_OR_RETURN(auto engine, inference::open_engine(inference.model, inference.engine,
                                                          model.files, model.limits));
  auto thread = std::make_unique<rollout::EngineThread>(
      std::move(engine), rollout::EngineThreadOptions{.max_waiting = max_waiting});
  return curate::make_model_source(std::move(thread),
                                   {.sampling = inference.sampling, .seed = inference.seed});
}

Status tokenize_asks(const std::string& model, const curate::AskOptions& ask,
                     std::vector<curate::Ask>& asks) {
  LS_ASSIGN_OR_RETURN(const TextFiles files, read_text_files(model));
  return tokenize(*files.tokenizer, files.chat_template, std::numeric_limits<int>::max(), ask,
                  asks);
}

}  // namespace longshot::commands
