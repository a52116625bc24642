#include "curate/text/words.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text/text.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::curate {
namespace {

using tokenizer::append_utf8;
using tokenizer::code_point_at;

constexpr std::string_view kSigns = "+-*/=<>%^|";

// LaTeX commands and what they become; empty: left out.
constexpr auto kCommands = std::to_array<std::pair<std::string_view, std::string_view>>(
    {{"left", ""},   {"right", ""},     {"displaystyle", ""}, {"text", ""},
     {"textbf", ""}, {"textit", ""},    {"emph", ""},         {"mathrm", ""},
     {"mathbf", ""}, {"mbox", ""},      {"operatorname", ""}, {"quad", ""},
     {"qquad", ""},  {"dfrac", "frac"}, {"tfrac", "frac"},    {"times", "*"},
     {"cdot", "*"},  {"div", "/"},      {"leq", "≤"},         {"le", "≤"},
     {"geq", "≥"},   {"ge", "≥"},       {"neq", "≠"},         {"ne", "≠"}});

bool is_ideograph(char32_t c) {
  return (c >= 0x2E80 && c <= 0x9FFF && !(c >= 0x3000 && c <= 0x3004)) ||
         (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x3FFFF);
}

// Mathematical symbols beyond ASCII; other characters that are not letters separate words.
bool is_symbol(char32_t c) {
  return c == 0xB1 || c == 0xD7 || c == 0xF7 || c == 0xB0 || (c >= 0x2190 && c <= 0x22FF) ||
         (c >= 0x25A0 && c <= 0x25FF) || (c >= 0x27C0 && c <= 0x2AFF);
}

char32_t plain_sign(char32_t c) {
  switch (c) {
    case 0x2212:
      return '-';
    case 0xD7:
    case 0x22C5:
      return '*';
    case 0xF7:
    case 0x2215:
      return '/';
    default:
      return c;
  }
}

// Collects the words of one text.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string take() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) >= 0x80) return step_unicode();
    if (c == '\\') return step_command();
    if (is_word(c)) return take_word();
    if (kSigns.find(c) != std::string_view::npos) return step_sign();
    ++at_;
  }

  static bool is_word(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }
  bool digit_at(size_t i) const { return i < text_.size() && is_digit(text_[i]); }

  void begin_word() {
    if (!out_.empty()) out_ += ' ';
  }

  void add_word(std::string_view word) {
    begin_word();
    out_ += word;
  }

  // A word of ASCII and other letters, up to the first character that does not belong to it.
  void take_word() {
    begin_word();
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_word(c)) {
        out_ += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        ++at_;
      } else if (c == '.' && digit_at(at_ + 1) && is_digit(out_.back())) {
        out_ += c;
        ++at_;
      } else if (static_cast<unsigned char>(c) < 0x80 || !take_letter()) {
        return;
      }
    }
  }

  bool take_letter() {
    const auto point = code_point_at(text_, at_);
    if (!tokenizer::is_word_character(point.value) || is_ideograph(point.value)) return false;
    append_utf8(tokenizer::lower_case(point.value), out_);
    at_ += static_cast<size_t>(point.length);
    return true;
  }

  void step_unicode() {
    const auto point = code_point_at(text_, at_);
    const bool word = tokenizer::is_word_character(point.value);
    if (word && !is_ideograph(point.value)) return take_word();
    if (word || is_symbol(point.value)) {
      begin_word();
      append_utf8(plain_sign(point.value), out_);
    }
    at_ += static_cast<size_t>(point.length);
  }

  void step_command() {
    size_t end = at_ + 1;
    while (end < text_.size() && is_alpha(text_[end])) ++end;
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    const auto* found = std::find_if(kCommands.begin(), kCommands.end(),
                                     [&](const auto& entry) { return entry.first == name; });
    if (found == kCommands.end()) {
      ++at_;  // the name is the next word
      return;
    }
    if (!found->second.empty()) add_word(found->second);
    at_ = end;
  }

  void step_sign() {
    const char c = text_[at_];
    size_t end = at_;
    while (end < text_.size() && text_[end] == c) ++end;
    const bool hyphen = c == '-' && at_ > 0 && is_alpha(text_[at_ - 1]) && end < text_.size() &&
                        is_alpha(text_[end]) && at_ > 1 && is_alpha(text_[at_ - 2]);
    if (end == at_ + 1 && !hyphen) add_word(text_.substr(at_, 1));
    at_ = end;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string out_;
};

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string comparison_words(std::string_view text) {
  if (is_ascii(text)) return Words(text).take();
  const std::string valid =
      tokenizer::is_valid_utf8(text) ? std::string(text) : tokenizer::repair_utf8(text);
  const std::string normal = tokenizer::normalize(valid, tokenizer::NormalForm::nfkc);
  return Words(normal).take();
}

size_t count_words(std::string_view words) {
  if (words.empty()) return 0;
  return 1 + static_cast<size_t>(std::count(words.begin(), words.end(), ' '));
}

}  // namespace longshot::curate
