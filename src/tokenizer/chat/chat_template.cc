#include "tokenizer/chat/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <deque>

#include "base/os/fs.h"
#include "tokenizer/chat/chat_format.h"
#include "tokenizer/chat/chat_template_files.h"

namespace longshot::tokenizer {
namespace {

constexpr const char* kFamilies =
    "chatml, smollm2, qwen2.5, qwen3, llama2, llama3, llama3.1, plain";
constexpr const char* kSmolLm =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
constexpr const char* kQwen =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
constexpr const char* kClock = "strftime_now";
// The text with which transformers marks the end of a message to continue.
constexpr const char* kContinueMark = "CONTINUE_FINAL_MESSAGE_TAG ";

std::string token_of(const std::vector<std::pair<std::string, std::string>>& tokens,
                     const std::string& name) {
  for (const auto& [key, text] : tokens)
    if (key == name) return text;
  return "";
}

// "2024-07-26" at noon, local time.
Result<std::time_t> day_of(const OrderedJson& json) {
  const std::string text = json.is_string() ? json.get<std::string>() : dump_json(json);
  std::tm day{};
  const char* end = strptime(text.c_str(), "%Y-%m-%d", &day);
  if (end == nullptr || *end != '\0')
    return invalid_argument(fmt::format(
        "the template argument '{}' must be a day such as 2024-07-26, not '{}'", kClock, text));
  day.tm_hour = 12;
  day.tm_isdst = -1;
  return std::mktime(&day);
}

// The text before the mark of the message to continue. If the mark's final space is missing, the
// template has trimmed the message, so the text is trimmed too.
Result<std::string> before_mark(const std::string& text) {
  const std::string mark = kContinueMark, trimmed = mark.substr(0, mark.size() - 1);
  const size_t at = text.rfind(trimmed);
  if (at == std::string::npos)
    return invalid_argument("the chat template drops the final message, so it cannot be continued");
  std::string out = text.substr(0, at);
  if (text.compare(at, mark.size(), mark) == 0) return out;
  out.erase(out.find_last_not_of(" \t\r\n") + 1);
  return out;
}

}  // namespace

struct ChatTemplate::Fixed {
  std::deque<jinja::Frozen> values;
  jinja::Variables variables;
  std::time_t now = 0;  // for strftime_now; 0 = the clock
  bool tools = false;
};

Result<ChatTemplate> ChatTemplate::of_family(const std::string& family) {
  ChatTemplate result;
  result.family_ = family;
  if (family == "smollm2") result.default_system_ = kSmolLm;
  if (family == "qwen2.5") result.default_system_ = kQwen;
  if (family == "llama2") result.tokens_ = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  if (family == "llama3" || family == "llama3.1")
    result.tokens_ = {{"bos_token", "<|begin_of_text|>"}};
  if (find_chat_format(family) == nullptr) {
    return invalid_argument("chat template family '" + family +
                            "' is unknown; supported: " + kFamilies);
  }
  return result;
}

void ChatTemplate::set_source(const std::string& source) {
  source_ = source;
  family_ = "jinja";
  auto parsed = jinja::Template::parse(source);
  problem_ = parsed.status();
  template_.reset();
  if (parsed.ok()) template_ = std::move(*parsed);
  if (fixed_ == nullptr) LS_CHECK(fix_variables().ok(), "special tokens are texts");
}

ChatTemplate ChatTemplate::from_jinja(const std::string& source,
                                      std::vector<std::pair<std::string, std::string>> tokens) {
  ChatTemplate result;
  result.tokens_ = std::move(tokens);
  result.set_source(source);
  return result;
}

Result<ChatTemplate> ChatTemplate::load(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(ChatTemplateFiles files, read_chat_template_files(directory));
  if (files.templates.empty()) {
    ChatTemplate plain;
    plain.tokens_ = std::move(files.tokens);
    return plain;
  }
  const auto fallback = files.templates.find("default");
  if (fallback == files.templates.end())
    return invalid_argument(directory + ": the chat templates have none named 'default'");
  ChatTemplate result = from_jinja(fallback->second, std::move(files.tokens));
  files.templates.erase(fallback);
  result.named_ = std::move(files.templates);
  if (const auto tool = result.named_.find("tool_use"); tool != result.named_.end()) {
    auto parsed = jinja::Template::parse(tool->second);
    if (!parsed.ok()) return parsed.status().with_context(directory + ": template 'tool_use'");
    result.tool_template_ = std::move(*parsed);
  }
  return result;
}

ChatTemplate ChatTemplate::of_gguf(const GgufVocabulary& vocabulary) {
  std::vector<std::pair<std::string, std::string>> tokens;
  const auto add = [&](const char* name, std::optional<TokenId> id) {
    if (id) tokens.emplace_back(name, vocabulary.tokens[static_cast<size_t>(*id)]);
  };
  add("bos_token", vocabulary.bos);
  add("eos_token", vocabulary.eos);
  add("unk_token", vocabulary.unknown);
  add("pad_token", vocabulary.pad);
  if (!vocabulary.chat_template.empty())
    return from_jinja(vocabulary.chat_template, std::move(tokens));
  ChatTemplate plain;
  plain.tokens_ = std::move(tokens);
  return plain;
}

Status ChatTemplate::choose(const std::string& choice) {
  if (const auto named = named_.find(choice); named != named_.end()) {
    set_source(std::string(named->second));
    tool_template_.reset();
    return problem_;
  }
  if (choice.ends_with(".jinja")) {
    LS_ASSIGN_OR_RETURN(const std::string source, read_file(choice));
    set_source(source);
    tool_template_.reset();
    return problem_.with_context(choice);
  }
  LS_ASSIGN_OR_RETURN(ChatTemplate family, of_family(choice));
  family.arguments_ = arguments_;
  *this = std::move(family);
  return ok_status();
}

Status ChatTemplate::set_arguments(const std::string& arguments) {
  if (arguments.empty()) return ok_status();
  LS_ASSIGN_OR_RETURN(const OrderedJson json, parse_arguments(arguments));
  if (!json.empty() && family_ != "jinja")
    return invalid_argument(fmt::format(
        "template arguments have no effect: the chat template is the built-in '{}'", family_));
  const std::string before = std::exchange(arguments_, arguments);
  const Status status = fix_variables();
  if (!status.ok()) arguments_ = before;
  return status;
}

bool ChatTemplate::depends_on_the_day() const {
  return template_ && template_->mentions(kClock) && fixed_->now == 0;
}

bool ChatTemplate::reads(const std::string& argument) const {
  if (argument == "tools" && tool_template_) return true;
  if (!problem_.ok()) return true;  // not known
  return template_ && template_->mentions(argument);
}

Result<const jinja::Template*> ChatTemplate::template_for(bool tools) const {
  if (tools && tool_template_) return &*tool_template_;
  if (!problem_.ok()) return problem_;
  return &*template_;
}

// Prepares the variables of every rendering: the special tokens and the template's own arguments.
Status ChatTemplate::fix_variables() {
  const auto fixed = std::make_shared<Fixed>();
  const auto add = [&](const std::string& name, jinja::Value value) {
    set_variable(fixed->variables, name, fixed->values.emplace_back(std::move(value)).value());
  };
  add("tools", jinja::Value::none());
  add("documents", jinja::Value::none());
  for (const auto& [name, text] : tokens_) add(name, jinja::Value::string(text));
  LS_ASSIGN_OR_RETURN(const OrderedJson json, parse_arguments(arguments_));
  for (const auto& item : json.items()) {
    if (item.key() == kClock) {
      LS_ASSIGN_OR_RETURN(fixed->now, day_of(item.value()));
      continue;
    }
    fixed->tools = fixed->tools || (item.key() == "tools" && !item.value().is_null());
    try {
      add(item.key(), jinja::value_of(item.value()));
    } catch (const jinja::Error& error) {
      return invalid_argument(
          fmt::format("the template argument '{}': {}", item.key(), error.message));
    }
  }
  fixed_ = fixed;
  return ok_status();
}

Result<jinja::Rendered> ChatTemplate::render_jinja(const Chat& messages, const ChatOptions& options,
                                                   bool marked) const {
  try {
    jinja::Variables variables;
    variables.reserve(2);
    jinja::RenderOptions limits;
    limits.fixed = &fixed_->variables;
    limits.now = fixed_->now;
    bool tools = fixed_->tools;
    if (!options.arguments.empty()) {
      LS_ASSIGN_OR_RETURN(const OrderedJson json, parse_arguments(options.arguments));
      for (const auto& item : json.items()) {
        if (item.key() == kClock) {
          LS_ASSIGN_OR_RETURN(limits.now, day_of(item.value()));
          continue;
        }
        if (item.key() == "tools") tools = !item.value().is_null();
        variables.emplace_back(item.key(), jinja::value_of(item.value()));
      }
    }
    for (const ChatMessage& message : messages) {
      const std::string* text = message.content.plain();
      limits.expected_size += (text == nullptr ? 0 : text->size()) + message.json.size() + 100;
    }
    const auto mark = options.continue_final_message ? kContinueMark : "";
    LS_ASSIGN_OR_RETURN(jinja::Value list, values_of(messages, mark));
    variables.emplace_back("messages", std::move(list));
    variables.emplace_back("add_generation_prompt",
                           jinja::Value::boolean(options.add_generation_prompt));
    LS_ASSIGN_OR_RETURN(const jinja::Template* chosen, template_for(tools));
    return chosen->render(variables, limits, marked);
  } catch (const jinja::Error& error) {
    return invalid_argument("a chat: " + error.message);
  }
}

Result<std::string> ChatTemplate::render_family(const Chat& chat,
                                                const ChatOptions& options) const {
  if (!options.arguments.empty() && options.arguments != "{}")
    return invalid_argument(
        fmt::format("the built-in chat template '{}' takes no tools or other arguments", family_));
  if (options.continue_final_message)
    return invalid_argument(
        fmt::format("the built-in chat template '{}' cannot continue a message", family_));
  std::vector<TextMessage> messages;
  for (const ChatMessage& message : chat) {
    const bool known =
        message.role == "system" || message.role == "user" || message.role == "assistant";
    if (!known)
      return invalid_argument("message role '" + message.role +
                              "' is not supported (system, user, assistant are)");
    if (has_more_than_text(message))
      return invalid_argument(fmt::format(
          "the built-in chat template '{}' knows no tool calls and no reasoning", family_));
    messages.push_back({message.role, message.content.text()});
  }
  const ChatFormat* format = find_chat_format(family_);
  LS_CHECK(format != nullptr, family_);
  return format->render({messages, options.add_generation_prompt, default_system_,
                         token_of(tokens_, "bos_token"), token_of(tokens_, "eos_token")});
}

Result<std::string> ChatTemplate::render_chat(const Chat& messages,
                                              const ChatOptions& options) const {
  if (options.continue_final_message && options.add_generation_prompt)
    return invalid_argument("continue_final_message and add_generation_prompt exclude each other");
  if (family_ != "jinja") return render_family(messages, options);
  LS_ASSIGN_OR_RETURN(jinja::Rendered rendered, render_jinja(messages, options, false));
  if (options.continue_final_message) return before_mark(rendered.text);
  return std::move(rendered.text);
}

Result<jinja::Rendered> ChatTemplate::render_marked(const Chat& messages,
                                                    const ChatOptions& options) const {
  LS_CHECK(marks_generations(), "the template has no {% generation %}");
  return render_jinja(messages, options, true);
}

Result<std::vector<TokenId>> ChatTemplate::encode_chat(const Tokenizer& tokenizer, const Chat& chat,
                                                       const ChatOptions& options) const {
  LS_ASSIGN_OR_RETURN(const std::string text, render_chat(chat, options));
  return tokenizer.encode(text);
}

}  // namespace longshot::tokenizer
