#include "base/text/text.h"

#include <algorithm>

namespace longshot {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Marks that begin and end a model's thoughts.
struct Marks {
  std::string_view open, close;
};
constexpr Marks kThoughts[] = {{"<think>", "</think>"},
                               {"<thinking>", "</thinking>"},
                               {"<thought>", "</thought>"},
                               {"<reasoning>", "</reasoning>"},
                               {"<|begin_of_thought|>", "<|end_of_thought|>"},
                               {"<|channel|>analysis", "<|channel|>final<|message|>"},
                               {"[THINK]", "[/THINK]"},
                               {"\u25c1think\u25b7", "\u25c1/think\u25b7"}};

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower_prefix) {
  return text.size() >= lower_prefix.size() &&
         std::equal(lower_prefix.begin(), lower_prefix.end(), text.begin(),
                    [](char a, char b) { return a == lower(b); });
}

size_t find_last_ignoring_case(std::string_view text, std::string_view lower_needle) {
  const auto it = std::find_end(text.begin(), text.end(), lower_needle.begin(), lower_needle.end(),
                                [](char a, char b) { return lower(a) == b; });
  return it == text.end() ? std::string_view::npos : static_cast<size_t>(it - text.begin());
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  size_t at = text.find(from);
  if (at == std::string::npos) return;
  std::string out;
  size_t copied = 0;
  for (; at != std::string::npos; at = text.find(from, copied)) {
    out.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  out.append(text, copied);
  text = std::move(out);
}

std::string_view last_line(std::string_view text) {
  text = trim(text);
  const size_t newline = text.rfind('\n');
  return trim(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

std::optional<std::string_view> last_tag(std::string_view text, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">";
  const std::string close = "</" + std::string(name) + ">";
  const size_t end = text.rfind(close);
  if (end == std::string_view::npos) return std::nullopt;
  const size_t begin = text.substr(0, end).rfind(open);
  if (begin == std::string_view::npos) return std::nullopt;
  return trim(text.substr(begin + open.size(), end - begin - open.size()));
}

std::string_view after_thinking(std::string_view text) {
  size_t opened = std::string_view::npos, closed = std::string_view::npos, rest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '<' && text[i] != '[' && text[i] != '\xe2') continue;
    for (const auto& [open, close] : kThoughts) {
      if (text.substr(i, open.size()) == open) opened = i;
      if (text.substr(i, close.size()) != close) continue;
      closed = i;
      rest = i + close.size();
    }
  }
  const bool cut =
      opened != std::string_view::npos && (closed == std::string_view::npos || opened > closed);
  if (cut) return text.substr(text.size());
  return trim(text.substr(rest)).empty() ? text : text.substr(rest);
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  size_t i = 0;
  while (i < text.size()) {
    size_t j = i;
    while (j < text.size() && (is_alpha(text[j]) || is_digit(text[j]))) ++j;
    if (j > i) words.push_back(text.substr(i, j - i));
    i = std::max(j, i + 1);
  }
  return words;
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace longshot
