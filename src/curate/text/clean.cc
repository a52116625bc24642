#include "curate/text/clean.h"

#include <array>
#include <optional>

#include "base/text/text.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::curate {
namespace {

using tokenizer::append_utf8;
using tokenizer::code_point_at;

constexpr std::array<std::string_view, 5> kEnvironments = {"document", "problem", "question",
                                                           "exercise", "prob"};

std::string in_form(std::string_view text, TextForm form) {
  std::string valid =
      tokenizer::is_valid_utf8(text) ? std::string(text) : tokenizer::repair_utf8(text);
  if (form == TextForm::none) return valid;
  return tokenizer::normalize(
      valid, form == TextForm::nfc ? tokenizer::NormalForm::nfc : tokenizer::NormalForm::nfkc);
}

bool is_invisible(char32_t c) {
  return c == 0xFEFF || c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x2064) || c == 0x7F || (c < 0x20 && c != '\n' && c != '\t');
}

// Whether the character is a zero-width joiner or non-joiner between two characters beyond ASCII.
// It belongs to the spelling there, as in Persian words and in symbols of several characters.
bool joins(char32_t c, char32_t before, std::string_view after) {
  return (c == 0x200C || c == 0x200D) && before >= 0x80 && !after.empty() &&
         static_cast<unsigned char>(after[0]) >= 0x80;
}

std::string plain_characters(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  char32_t before = 0;
  for (size_t at = 0; at < text.size();) {
    const auto point = code_point_at(text, at);
    char32_t c = point.value;
    at += static_cast<size_t>(point.length);
    if (c == '\r') {
      if (at < text.size() && text[at] == '\n') continue;
      c = '\n';
    }
    if (c == 0x2028 || c == 0x2029 || c == 0x85) c = '\n';
    if (is_invisible(c) && !joins(c, before, text.substr(at))) continue;
    if (c >= 0x80 && tokenizer::is_white_space(c)) c = ' ';
    append_utf8(c, out);
    before = c;
  }
  return out;
}

std::string_view without_end_spaces(std::string_view line) {
  const size_t end = line.find_last_not_of(" \t");
  return end == std::string_view::npos ? std::string_view() : line.substr(0, end + 1);
}

std::string tidy_lines(std::string_view text) {
  std::string out;
  bool blank = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = without_end_spaces(text.substr(at, end - at));
    at = end + 1;
    if (line.empty()) {
      blank = true;
      continue;
    }
    if (!out.empty()) out += blank ? "\n\n" : "\n";
    out += line;
    blank = false;
  }
  return out;
}

// The content if the whole text is between the two marks.
std::optional<std::string_view> between(std::string_view text, std::string_view open,
                                        std::string_view close) {
  if (text.size() < open.size() + close.size() || !text.starts_with(open) || !text.ends_with(close))
    return std::nullopt;
  const auto inner = text.substr(open.size(), text.size() - open.size() - close.size());
  if (inner.find(close) != std::string_view::npos) return std::nullopt;
  return trim(inner);
}

std::string_view without_environment(std::string_view text) {
  for (const std::string_view name : kEnvironments) {
    const std::string braces = "{" + std::string(name) + "}";
    if (const auto inner = between(text, "\\begin" + braces, "\\end" + braces)) return *inner;
  }
  return text;
}

// The content of the last \boxed{...}, whose braces must match.
std::optional<std::string_view> last_boxed(std::string_view text) {
  constexpr std::string_view kMark = "\\boxed{";
  const size_t mark = text.rfind(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  int depth = 1;
  for (size_t i = mark + kMark.size(); i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return trim(text.substr(mark + kMark.size(), i - mark - kMark.size()));
  }
  return std::nullopt;
}

std::string_view unwrapped(std::string_view text) {
  constexpr auto kPairs = std::to_array<std::pair<std::string_view, std::string_view>>(
      {{"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}, {"\\text{", "}"}});
  for (const auto& [open, close] : kPairs) {
    const auto inner = between(text, open, close);
    if (inner && !inner->empty()) return unwrapped(*inner);
  }
  return text;
}

}  // namespace

std::string clean_text(std::string_view text, TextForm form) {
  const std::string tidy = tidy_lines(plain_characters(in_form(text, form)));
  return std::string(without_environment(trim(tidy)));
}

std::string clean_answer(std::string_view text, TextForm form) {
  const std::string cleaned = clean_text(text, form);
  std::string_view answer = cleaned;
  constexpr std::string_view kGsm8k = "####";
  const size_t mark = answer.rfind(kGsm8k);
  if (mark != std::string_view::npos && (mark == 0 || answer[mark - 1] == '\n')) {
    answer = trim(answer.substr(mark + kGsm8k.size()));
  } else if (const auto boxed = last_boxed(answer)) {
    answer = *boxed;
  }
  return std::string(unwrapped(answer));
}

}  // namespace longshot::curate
