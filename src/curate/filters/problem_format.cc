#include "curate/filters/problem_format.h"

#include <array>
#include <utility>

#include "base/text/text.h"
#include "curate/filters/wordings.h"

namespace longshot::curate {
namespace {

using enum ProblemFormat;

// The lines of the embedded table: name and pattern.
std::vector<std::pair<std::string, std::string>> wordings() {
  std::vector<std::pair<std::string, std::string>> table;
  std::string clause, statement;
  for (size_t at = 0; at < kWordingsTsv.size();) {
    const size_t end = kWordingsTsv.find('\n', at);
    const std::string_view line = kWordingsTsv.substr(at, end - at);
    at = end + 1;
    if (line.starts_with('#')) continue;
    const size_t tab = line.find('\t');
    std::string pattern(line.substr(tab + 1));
    replace_all(pattern, "{clause}", clause);
    replace_all(pattern, "{statement}", statement);
    if (line.starts_with("clause\t")) clause = pattern;
    if (line.starts_with("statement\t")) statement = pattern;
    table.emplace_back(line.substr(0, tab), std::move(pattern));
  }
  return table;
}

reward::Regex compiled(const std::string& pattern) {
  auto regex = reward::Regex::compile(pattern, false);
  LS_CHECK(regex.ok(), regex.status().to_string());
  return std::move(*regex);
}

// The styles of option marks. The mark of A must follow the end of a sentence or begin a line if
// the style does not have two parentheses: "A. Smith" and "point A: B" are not options.
struct MarkStyle {
  std::string_view before, after;
};
constexpr auto kStyles = std::to_array<MarkStyle>({{"(", ")"},
                                                   {"（", "）"},
                                                   {"[", "]"},
                                                   {"", "."},
                                                   {"", ")"},
                                                   {"", ":"},
                                                   {"", "、"},
                                                   {"", "．"},
                                                   {"", "："}});

bool ends_a_sentence(std::string_view before) {
  const size_t end = before.find_last_not_of(" \t*");
  if (end == std::string_view::npos || before[end] == '\n') return true;
  for (const std::string_view mark :
       {"?", ":", ".", ")", "_", "$", "。", "？", "：", "）", "，", "\u3000", "}"}) {
    if (before.substr(0, end + 1).ends_with(mark)) return true;
  }
  return false;
}

bool begins_a_word(std::string_view text, size_t at) {
  if (at == 0) return true;
  const char c = text[at - 1];
  return !is_alpha(c) && !is_digit(c) && c != '\'' && c != '-' && c != '\\';
}

// Position of the mark of a letter at or after `from`.
size_t find_mark(std::string_view text, char letter, const MarkStyle& style, size_t from) {
  const std::string mark = std::string(style.before) + letter + std::string(style.after);
  for (size_t at = text.find(mark, from); at != std::string_view::npos;
       at = text.find(mark, at + 1)) {
    const bool open_end = at + mark.size() >= text.size();
    const char next = open_end ? ' ' : text[at + mark.size()];
    const bool spaced = !style.before.empty() || style.after.size() > 1 || is_space(next) ||
                        next == '$' || is_digit(next) || next == '-' || next == '\\';
    if (!spaced || (style.before.empty() && !begins_a_word(text, at))) continue;
    if (letter == 'A' && style.before.empty() && !ends_a_sentence(text.substr(0, at))) continue;
    return at;
  }
  return std::string_view::npos;
}

}  // namespace

std::string_view find_options(std::string_view problem) {
  for (const MarkStyle& style : kStyles) {
    const size_t a = find_mark(problem, 'A', style, 0);
    if (a == std::string_view::npos) continue;
    const size_t b = find_mark(problem, 'B', style, a + 1);
    if (b == std::string_view::npos) continue;
    const size_t c = find_mark(problem, 'C', style, b + 1);
    if (c == std::string_view::npos) continue;
    return problem.substr(a, c + 1 + style.before.size() + style.after.size() - a);
  }
  return {};
}

FormatFinder::FormatFinder() {
  for (const auto& [name, pattern] : wordings()) {
    if (const auto format = value_of<ProblemFormat>(name))
      rules_.push_back({*format, compiled(pattern)});
    if (name == "asks_for_value") asks_for_value_ = compiled(pattern);
    if (name == "truth_answer") truth_answer_ = compiled(pattern);
    if (name == "letter_answer") letter_answer_ = compiled(pattern);
    if (name == "small_options") small_options_ = compiled(pattern);
  }
}

Result<FoundFormat> FormatFinder::first_match(std::string_view text, ProblemFormat format) const {
  for (const Rule& rule : rules_) {
    if (rule.format != format) continue;
    LS_ASSIGN_OR_RETURN(const auto match, rule.pattern.search(text));
    if (!match) continue;
    return FoundFormat{format,
                       std::string(trim(text.substr(match->begin, match->end - match->begin)))};
  }
  return FoundFormat{};
}

Result<FoundFormat> FormatFinder::find(std::string_view problem, std::string_view answer) const {
  if (const auto options = find_options(problem); !options.empty())
    return FoundFormat{multiple_choice, std::string(options)};
  LS_ASSIGN_OR_RETURN(const auto letter, letter_answer_.search(answer));
  if (letter && !answer.empty()) {
    LS_ASSIGN_OR_RETURN(const auto options, small_options_.search(problem));
    if (options) return FoundFormat{multiple_choice, std::string(trim(answer))};
  }
  for (const ProblemFormat format : {multiple_choice, true_false}) {
    LS_ASSIGN_OR_RETURN(FoundFormat found, first_match(problem, format));
    if (found.format != open) return found;
  }
  LS_ASSIGN_OR_RETURN(const auto truth, truth_answer_.search(answer));
  if (truth && !answer.empty()) return FoundFormat{true_false, std::string(trim(answer))};
  LS_ASSIGN_OR_RETURN(FoundFormat found, first_match(problem, proof));
  if (found.format == open) return found;
  LS_ASSIGN_OR_RETURN(const auto value, asks_for_value_.search(problem));
  return value ? FoundFormat{} : found;
}

}  // namespace longshot::curate
