#include "tokenizer/chat_template.h"

#include <filesystem>

#include "base/fs.h"
#include "tokenizer/chat_format.h"

namespace longshot::tokenizer {
namespace {

constexpr const char* kFamilies =
    "chatml, smollm2, qwen2.5, qwen3, llama2, llama3, llama3.1, plain";
constexpr const char* kSmolLm =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
constexpr const char* kQwen =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

Status unknown_template(const std::string& why) {
  return invalid_argument("chat template not recognised (" + why +
                          "); supported families: " + kFamilies);
}

// Resolves the escapes of a Jinja string literal.
std::string unescape(const std::string& literal) {
  std::string out;
  for (size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      out += literal[i];
      continue;
    }
    const char c = literal[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
  }
  return out;
}

// The system message a ChatML template says when none is given: a literal "<|im_start|>system\n…<|im_end|>".
std::string default_system_of(const std::string& source) {
  for (const std::string start : {"<|im_start|>system\\n", "<|im_start|>system\n"}) {
    for (size_t at = source.find(start); at != std::string::npos; at = source.find(start, at + 1)) {
      const size_t begin = at + start.size();
      const size_t end = source.find("<|im_end|>", begin);
      if (end == std::string::npos) break;
      const std::string literal = source.substr(begin, end - begin);
      if (!literal.empty() && literal.find_first_of("'\"") == std::string::npos)
        return unescape(literal);
    }
  }
  return "";
}

// A special token of tokenizer_config.json: a string or an object with its content.
std::string token_of(const Json& config, const char* key, const std::string& fallback) {
  if (!config.is_object() || !config.contains(key)) return fallback;
  const Json& value = config[key];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return fallback;
}

// The `chat_template` of tokenizer_config.json: a string, or a list of named ones with a "default".
Result<std::string> template_of(const Json& config, const std::string& where) {
  if (!config.is_object() || !config.contains("chat_template") || config["chat_template"].is_null())
    return std::string();
  const Json& value = config["chat_template"];
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array())
    return invalid_argument(where + ": key 'chat_template' is neither a string nor a list");
  for (const Json& entry : value) {
    LS_ASSIGN_OR_RETURN(const std::string name,
                        json_get<std::string>(entry, "name", where + ": chat_template"));
    if (name == "default")
      return json_get<std::string>(entry, "template", where + ": chat_template");
  }
  return invalid_argument(where + ": key 'chat_template' has no entry named 'default'");
}

}  // namespace

Result<ChatTemplate> ChatTemplate::of_family(const std::string& family) {
  ChatTemplate result;
  result.family_ = family;
  if (family == "smollm2") result.default_system_ = kSmolLm;
  if (family == "qwen2.5") result.default_system_ = kQwen;
  if (family == "llama2") {
    result.bos_ = "<s>";
    result.eos_ = "</s>";
  }
  if (family == "llama3" || family == "llama3.1") result.bos_ = "<|begin_of_text|>";
  if (find_chat_format(family) == nullptr) {
    return invalid_argument("chat template family '" + family +
                            "' is unknown; supported: " + kFamilies);
  }
  return result;
}

Result<ChatTemplate> ChatTemplate::recognise_chatml(const std::string& source) {
  if (has(source, "</think>")) {
    if (!has(source, "enable_thinking") || !has(source, "last_query_index")) {
      return unknown_template("ChatML with <think> that is not Qwen3's");
    }
    return of_family("qwen3");
  }
  if (has(source, "bos_token")) return unknown_template("ChatML with a BOS token");
  if (has(source, "trim") || has(source, "strip()"))
    return unknown_template("ChatML that trims contents");
  if (!has(source, "<|im_end|>\\n") && !has(source, "<|im_end|>' + '\\n'") &&
      !has(source, "<|im_end|>\n")) {
    return unknown_template("ChatML without a newline after <|im_end|>");
  }
  const std::string system = default_system_of(source);
  if (system.empty() && has(source, "You are"))
    return unknown_template("ChatML with a computed system message");
  LS_ASSIGN_OR_RETURN(ChatTemplate result, of_family(system == kSmolLm ? "smollm2"
                                                     : system == kQwen ? "qwen2.5"
                                                                       : "chatml"));
  result.default_system_ = system;
  return result;
}

Result<ChatTemplate> ChatTemplate::recognise(const std::string& source) {
  if (source.empty()) return of_family("plain");
  if (has(source, "<|im_start|>")) return recognise_chatml(source);
  if (has(source, "<|start_header_id|>")) {
    LS_ASSIGN_OR_RETURN(ChatTemplate result,
                        of_family(has(source, "Cutting Knowledge Date") ? "llama3.1" : "llama3"));
    result.always_prompts_ = !has(source, "add_generation_prompt");
    return result;
  }
  if (has(source, "[INST]") && has(source, "<<SYS>>")) return of_family("llama2");
  return unknown_template("no characteristic string of a supported family");
}

Result<ChatTemplate> ChatTemplate::from_jinja(const std::string& source) {
  LS_ASSIGN_OR_RETURN(ChatTemplate result, recognise(source));
  result.source_ = source;
  return result;
}

Result<ChatTemplate> ChatTemplate::load(const std::string& directory) {
  const std::filesystem::path jinja = std::filesystem::path(directory) / "chat_template.jinja";
  const std::filesystem::path config_path =
      std::filesystem::path(directory) / "tokenizer_config.json";
  std::error_code ignored;  // an unreadable file shows in the read
  Json config;
  if (std::filesystem::exists(config_path, ignored)) {
    LS_ASSIGN_OR_RETURN(config, read_json_file(config_path.string()));
  }
  std::string source;
  if (std::filesystem::exists(jinja, ignored)) {
    LS_ASSIGN_OR_RETURN(source, read_file(jinja));
  } else {
    LS_ASSIGN_OR_RETURN(source, template_of(config, config_path.string()));
  }
  auto result = from_jinja(source);
  if (!result.ok()) return result.status().with_context(directory);
  result->bos_ = token_of(config, "bos_token", result->bos_);
  result->eos_ = token_of(config, "eos_token", result->eos_);
  return result;
}

Result<std::string> ChatTemplate::render(const std::vector<data::Message>& messages,
                                         bool add_generation_prompt) const {
  for (const data::Message& message : messages) {
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      return invalid_argument("message role '" + message.role +
                              "' is not supported (system, user, assistant are)");
    }
  }
  const ChatFormat* format = find_chat_format(family_);
  LS_CHECK(format != nullptr, family_);
  return format->render(
      {messages, add_generation_prompt || always_prompts_, default_system_, bos_, eos_});
}

Result<std::vector<TokenId>> ChatTemplate::encode(const Tokenizer& tokenizer,
                                                  const std::vector<data::Message>& messages,
                                                  bool add_generation_prompt) const {
  LS_ASSIGN_OR_RETURN(const std::string text, render(messages, add_generation_prompt));
  return tokenizer.encode(text);
}

}  // namespace longshot::tokenizer
