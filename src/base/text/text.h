#pragma once
// Small text helpers. ASCII case rules; bytes >= 0x80 pass through. All
// functions are pure and linear in the length of their input.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot {

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
bool starts_with_ignoring_case(std::string_view text, std::string_view lower_prefix);
// Position of the last occurrence of `lower_needle`, ignoring the case of `text`; npos if there is
// none.
size_t find_last_ignoring_case(std::string_view text, std::string_view lower_needle);
void replace_all(std::string& text, std::string_view from, std::string_view to);

// The last line that is not blank, trimmed; "" if there is none.
std::string_view last_line(std::string_view text);
// Content of the last complete <name>...</name>, trimmed.
std::optional<std::string_view> last_tag(std::string_view text, std::string_view name);
// The text after the last thoughts, which every reader of a response searches. Thoughts are between
// <think> and </think> or the marks of other models (the table in text.cc); the opening mark may be
// missing, because chat templates put it into the prompt. Returns the whole text if there are no
// thoughts or only white space follows them, and "" if the last thoughts do not end, as in a
// truncated response.
std::string_view after_thinking(std::string_view text);
// Splits the text into runs of ASCII letters and digits.
std::vector<std::string_view> words_of(std::string_view text);
// The parts between commas, of which an empty text has one.
std::vector<std::string> split_at_commas(std::string_view text);

// Compares secrets in a time that does not depend on where the first difference is.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace longshot
