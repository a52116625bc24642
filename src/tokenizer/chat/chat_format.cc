#include "tokenizer/chat/chat_format.h"

#include <algorithm>
#include <string_view>

#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

// Python's str.strip(): Unicode white space and the four ASCII separators.
std::string_view strip(std::string_view text) {
  const auto is_space = [](char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); };
  while (!text.empty() && is_space(code_point_at(text, 0).value))
    text.remove_prefix(code_point_at(text, 0).length);
  while (!text.empty()) {
    const CodePoint last = code_point_before(text, text.size());
    if (!is_space(last.value)) break;
    text.remove_suffix(last.length);
  }
  return text;
}

std::string_view lstrip_newlines(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

std::string_view rstrip_newlines(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

std::string chatml_message(std::string_view role, std::string_view content) {
  std::string out = "<|im_start|>";
  out.append(role).append("\n").append(content).append("<|im_end|>\n");
  return out;
}

Result<std::string> render_plain(const ChatRequest& request) {
  std::string out;
  for (const TextMessage& message : request.messages) out += message.content;
  return out;
}

Result<std::string> render_chatml(const ChatRequest& request) {
  std::string out;
  const bool has_system = !request.messages.empty() && request.messages[0].role == "system";
  if (!has_system && !request.messages.empty() && !request.default_system.empty()) {
    out += chatml_message("system", request.default_system);
  }
  for (const TextMessage& message : request.messages)
    out += chatml_message(message.role, message.content);
  if (request.add_generation_prompt) out += "<|im_start|>assistant\n";
  return out;
}

// Qwen3 keeps thoughts only after the last user message; there the last turn always has a think
// block.
std::string qwen3_answer(std::string_view content, bool after_last_query, bool last) {
  const size_t first_close = content.find("</think>");
  std::string_view reasoning;
  if (first_close != std::string_view::npos) {
    reasoning = rstrip_newlines(content.substr(0, first_close));
    const size_t open = reasoning.rfind("<think>");
    if (open != std::string_view::npos) reasoning.remove_prefix(open + 7);
    reasoning = lstrip_newlines(reasoning);
    content = lstrip_newlines(content.substr(content.rfind("</think>") + 8));
  }
  std::string out;
  if (after_last_query && (last || !reasoning.empty())) {
    out.append("<think>\n")
        .append(rstrip_newlines(lstrip_newlines(reasoning)))
        .append("\n</think>\n\n");
    content = lstrip_newlines(content);
  }
  return out.append(content);
}

bool is_query(const TextMessage& message) {
  return message.role == "user" && !(message.content.starts_with("<tool_response>") &&
                                     message.content.ends_with("</tool_response>"));
}

Result<std::string> render_qwen3(const ChatRequest& request) {
  const auto& messages = request.messages;
  const auto query = std::find_if(messages.rbegin(), messages.rend(), is_query);
  const ptrdiff_t count = static_cast<ptrdiff_t>(messages.size());
  const ptrdiff_t last_query = query == messages.rend() ? count - 1 : messages.rend() - query - 1;
  std::string out;
  for (ptrdiff_t i = 0; i < count; ++i) {
    const TextMessage& message = messages[i];
    out += chatml_message(message.role,
                          message.role == "assistant"
                              ? qwen3_answer(message.content, i > last_query, i + 1 == count)
                              : message.content);
  }
  if (request.add_generation_prompt) out += "<|im_start|>assistant\n";
  return out;
}

Result<std::string> render_llama2(const ChatRequest& request) {
  const auto& messages = request.messages;
  const size_t first = !messages.empty() && messages[0].role == "system" ? 1 : 0;
  std::string out;
  for (size_t i = first; i < messages.size(); ++i) {
    const bool user = messages[i].role == "user";
    if (user != ((i - first) % 2 == 0)) {
      return invalid_argument(
          "llama2 chat template: roles must alternate user/assistant/user/assistant/...");
    }
    std::string content = messages[i].content;
    if (i == first && first == 1)
      content = "<<SYS>>\n" + messages[0].content + "\n<</SYS>>\n\n" + content;
    if (user) {
      out.append(request.bos).append("[INST] ").append(strip(content)).append(" [/INST]");
    } else if (messages[i].role == "assistant") {
      out.append(" ").append(strip(content)).append(" ").append(request.eos);
    }
  }
  return out;
}

std::string llama3_message(std::string_view role, std::string_view content) {
  std::string out = "<|start_header_id|>";
  out.append(role).append("<|end_header_id|>\n\n").append(strip(content)).append("<|eot_id|>");
  return out;
}

std::string llama3_messages(const ChatRequest& request, size_t first) {
  std::string out;
  for (size_t i = first; i < request.messages.size(); ++i) {
    out += llama3_message(request.messages[i].role, request.messages[i].content);
  }
  if (request.add_generation_prompt) out += "<|start_header_id|>assistant<|end_header_id|>\n\n";
  return out;
}

Result<std::string> render_llama3(const ChatRequest& request) {
  return (request.messages.empty() ? "" : request.bos) + llama3_messages(request, 0);
}

Result<std::string> render_llama31(const ChatRequest& request) {
  const bool has_system = !request.messages.empty() && request.messages[0].role == "system";
  std::string out = request.bos;
  out += "<|start_header_id|>system<|end_header_id|>\n\n";
  out += "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
  if (has_system) out += strip(request.messages[0].content);
  out += "<|eot_id|>";
  return out + llama3_messages(request, has_system ? 1 : 0);
}

constexpr ChatFormat kFormats[] = {
    {"plain", render_plain},    {"chatml", render_chatml},    {"smollm2", render_chatml},
    {"qwen2.5", render_chatml}, {"qwen3", render_qwen3},      {"llama2", render_llama2},
    {"llama3", render_llama3},  {"llama3.1", render_llama31},
};

}  // namespace

const ChatFormat* find_chat_format(const std::string& family) {
  for (const ChatFormat& format : kFormats) {
    if (family == format.family) return &format;
  }
  return nullptr;
}

}  // namespace longshot::tokenizer
