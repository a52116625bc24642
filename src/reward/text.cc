#include "reward/text.h"

#include <algorithm>

namespace longshot::reward {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

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
  constexpr std::string_view kEnd = "</think>";
  const size_t end = text.rfind(kEnd);
  if (end == std::string_view::npos) return text;
  const std::string_view rest = text.substr(end + kEnd.size());
  return trim(rest).empty() ? text : rest;
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

}  // namespace longshot::reward
