#include "reward/rules/choice_reader.h"

#include <algorithm>
#include <iterator>

#include "base/text/text.h"
#include "math/compare/equal.h"
#include "math/read/latex.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

std::string json_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

template <typename Table>
bool contains(const Table& table, std::string_view word) {
  return std::find(std::begin(table), std::end(table), word) != std::end(table);
}

constexpr std::string_view kLeads[] = {"option", "choice", "answer", "letter", "the", "correct",
                                       "final",  "is",     "best",   "would",  "be",  "must",
                                       "should", "so",     "thus",   "hence",  "my",  "therefore"};
constexpr std::string_view kReasons[] = {"because", "since", "as", "which", "for", "due"};
// After "is" these words make a letter the answer.
constexpr std::string_view kRight[] = {"correct", "right", "true", "the", "best", "my", "valid"};
constexpr std::string_view kWrong[] = {"wrong", "incorrect", "false", "not", "out", "invalid"};
// Words before a letter that make it the answer: kNaming before any letter, kLeading only before a
// letter that ends its clause or is followed by a reason.
constexpr std::string_view kNaming[] = {"option", "choice",   "choose", "chose",
                                        "select", "selected", "pick",   "picked",
                                        "answer", "letter",   "matches"};
constexpr std::string_view kLeading[] = {"is",   "be", "to",     "with",  "therefore",
                                         "thus", "so", "hence",  "match", "namely",
                                         "as",   "go", "leaves", "s"};
// The same in Chinese, where no space separates words.
constexpr std::string_view kNamingEnds[] = {"答案", "答案是", "答案为", "选", "选择", "选项"};
constexpr std::string_view kAgainst[] = {"not",    "neither", "nor",     "than", "eliminate",
                                         "reject", "exclude", "except",  "rule", "eliminates",
                                         "unlike", "without", "discard", "t",    "cannot"};

std::string_view leading_word(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && is_alpha(text[length])) ++length;
  return text.substr(0, length);
}

std::string_view without_leads(std::string_view text) {
  while (true) {
    const auto word = leading_word(text);
    if (word.size() < 2 || !contains(kLeads, to_lower(word))) return text;
    const size_t next = text.find_first_not_of(" :=*,-", word.size());
    if (next == kNone) return text;
    text = text.substr(next);
  }
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// The word before `i`, skipping spaces and marks.
std::string word_before(std::string_view text, size_t i) {
  while (i > 0 && (is_space(text[i - 1]) || std::string_view("*:(\"'$").find(text[i - 1]) != kNone))
    --i;
  const size_t end = i;
  while (i > 0 && is_alpha(text[i - 1])) --i;
  return to_lower(text.substr(i, end - i));
}

// The words in the 40 characters from `i` on.
std::vector<std::string_view> words_after(std::string_view text, size_t i) {
  return words_of(text.substr(i, 40));
}

bool named_in_chinese(std::string_view before) {
  while (!before.empty() && std::string_view(" *:(\"$").find(before.back()) != kNone)
    before.remove_suffix(1);
  return std::any_of(std::begin(kNamingEnds), std::end(kNamingEnds),
                     [&](std::string_view end) { return before.ends_with(end); });
}

// Removes quotation marks around a letter and arrows before it.
std::string_view without_marks(std::string_view text) {
  constexpr std::string_view kArrows[] = {
      "\\therefore", "\\to", "\\rightarrow", "\\Rightarrow", "\\implies", "∴",
      "→",           "⇒",    "=>",           "->",           ">"};
  for (const auto arrow : kArrows) {
    if (text.starts_with(arrow) && text.size() > arrow.size())
      text = trim(text.substr(arrow.size()));
  }
  for (const char quote : {'\'', '"', '`'}) {
    if (text.size() >= 3 && text[0] == quote && text[2] == quote) return text.substr(1, 1);
  }
  return text;
}

// True if one of the last four words before `i` in its clause rules out what follows.
bool ruled_out(std::string_view text, size_t i) {
  size_t start = i;
  while (start > 0 && i - start < 40 && std::string_view(".,;:!\n").find(text[start - 1]) == kNone)
    --start;
  const auto words = words_of(text.substr(start, i - start));
  for (size_t k = words.size(); k > 0 && words.size() - k < 4; --k) {
    const std::string word = to_lower(words[k - 1]);
    if (word == "but") return false;
    if (contains(kAgainst, word)) return true;
  }
  return false;
}

bool ends_clause(std::string_view text, size_t i) {
  while (i < text.size() && std::string_view("*)\"'$]").find(text[i]) != kNone) ++i;
  return i >= text.size() || std::string_view(".,;:!\n").find(text[i]) != kNone;
}

bool starts_as(std::string_view text, const std::string& prefix) {
  if (!text.starts_with(prefix) || prefix.empty()) return false;
  const size_t i = prefix.size();
  if (i == text.size()) return true;
  const bool inside = is_alpha(text[i]) || is_digit(text[i]) ||
                      (i + 1 < text.size() && is_digit(text[i + 1]) && !is_space(text[i])) ||
                      std::string_view("^_*/+-=").find(text[i]) != kNone;
  return !inside;
}

}  // namespace

Options read_options(const Json& extra, const std::string& letters) {
  Options out;
  if (!extra.is_object()) return out;
  const char* key = extra.contains("choices") ? "choices" : "options";
  if (!extra.contains(key)) return out;
  const Json& given = extra.at(key);
  const Json& list = given.is_object() && given.contains("text") ? given.at("text") : given;
  if (list.is_array()) {
    for (size_t i = 0; i < list.size() && i < letters.size(); ++i)
      out[letters[i]] = json_text(list[i]);
  } else if (list.is_object()) {
    for (const auto& [name, value] : list.items()) {
      if (name.size() == 1) out[upper(name[0])] = json_text(value);
    }
  }
  return out;
}

Result<std::optional<char>> ChoiceReader::read(std::string_view text) const {
  const std::string plain = math::plain_math(text);
  LS_ASSIGN_OR_RETURN(auto found,
                      leading_letter(without_marks(without_leads(without_marks(plain)))));
  if (found) return found;
  for (const auto& [letter, option] : options_) {
    LS_ASSIGN_OR_RETURN(const bool equal, math::equal_answers(text, option, {}, deadline_));
    if (!equal) continue;
    if (found) return std::optional<char>();
    found = letter;
  }
  return found;
}

Result<std::optional<char>> ChoiceReader::leading_letter(std::string_view text) const {
  constexpr std::optional<char> kNothing;
  const size_t open = text.empty() ? kNone : std::string_view("([{<").find(text[0]);
  const bool bracketed = open != kNone;
  if (bracketed) text = trim(text.substr(1));
  if (text.empty()) return kNothing;
  const char letter = is_alpha(text[0]) ? upper(text[0]) : text[0];
  const bool capital = letter == text[0];
  if (!is_letter(letter)) return kNothing;
  std::string_view rest = text.substr(1);
  if (rest.empty()) return bracketed ? kNothing : std::optional<char>(letter);
  if (bracketed) {
    rest = trim(rest);
    if (rest.empty() || rest.front() != std::string_view(")]}>")[open]) return kNothing;
    rest = rest.substr(1);
    if (rest.starts_with('/') || rest.starts_with('(')) return kNothing;
  } else if (std::string_view(").]:!").find(rest.front()) != kNone) {
    rest = rest.substr(1);
    if (!capital && !rest.empty() && !is_space(rest.front())) return kNothing;  // "i.e."
  } else {
    const auto behind = trim(rest);
    const auto words = words_of(behind.substr(0, 40));
    const std::string first = words.empty() ? "" : to_lower(words[0]);
    const bool right = first == "is" && words.size() > 1 && contains(kRight, to_lower(words[1]));
    const bool list = behind.front() == ',' && first.size() == 1 && is_letter(words[0][0]);
    if (list) return kNothing;
    const bool sign = std::string_view("-,=;").find(behind.front()) != kNone &&
                      (is_space(rest.front()) || behind.front() == ',' || behind.front() == ';');
    const bool text_behind =
        is_space(rest.front()) && options_.contains(letter) &&
        starts_as(to_lower(behind), to_lower(math::plain_math(options_.at(letter))));
    const bool reason = is_space(rest.front()) && (right || contains(kReasons, first));
    const bool bracket_behind = behind.front() == '(' && behind.ends_with(')') && letter != 'I';
    if (!capital && !sign) return kNothing;
    if (!sign && !text_behind && !reason && !bracket_behind) return kNothing;
    if (reason) return offers_another(behind, letter) ? kNothing : std::optional<char>(letter);
    rest = sign ? behind.substr(1) : behind;
    if (bracket_behind) rest = behind.substr(1, behind.size() - 2);
  }
  LS_ASSIGN_OR_RETURN(const bool belongs, describes(letter, trim(rest)));
  return belongs ? std::optional<char>(letter) : kNothing;
}

// True if the words are the text of the option, or if one of the two begins with the other.
Result<bool> ChoiceReader::is_option_text(std::string_view rest, const std::string& option) const {
  const std::string words = to_lower(rest), known = to_lower(math::plain_math(option));
  if (starts_as(words, known) || (words.size() > 3 && starts_as(known, words))) return true;
  return math::equal_answers(rest, option, {}, deadline_);
}

// True if the words after a letter belong to it: they are a reason or, where the option's text is
// known, that text. Where it is unknown, any words without a second letter belong to it.
Result<bool> ChoiceReader::describes(char letter, std::string_view rest) const {
  while (!rest.empty() && std::string_view(",;:.-) ").find(rest.front()) != kNone)
    rest.remove_prefix(1);
  if (rest.empty()) return true;
  const bool reason = contains(kReasons, to_lower(leading_word(rest)));
  if (reason) return !offers_another(rest, letter);
  const auto known = options_.find(letter);
  if (known != options_.end()) return is_option_text(rest, known->second);
  for (size_t i = 0; i < rest.size(); ++i) {
    const bool alone = is_letter(rest[i]) && (i == 0 || !is_alpha(rest[i - 1])) &&
                       (i + 1 == rest.size() ||
                        (!is_alpha(rest[i + 1]) && rest[i + 1] != ' ' && rest[i + 1] != '\''));
    const bool another = alone && rest[i] != letter;
    if (another) return false;
  }
  return !offers_another(rest, letter);
}

bool ChoiceReader::offers_another(std::string_view line, char letter) const {
  const auto words = words_of(line);
  const auto another = [&](std::string_view word) {
    return word.size() == 1 && word[0] != letter && is_letter(word[0]);
  };
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string joint = to_lower(words[i - 1]);
    if (joint != "or" && joint != "either") continue;
    if (another(words[i]) || (i > 1 && another(words[i - 2]))) return true;
  }
  return false;
}

bool ChoiceReader::speaks_against(std::string_view text) {
  const auto words = words_of(text);
  return std::any_of(words.begin(), words.end(), [](std::string_view word) {
    const std::string lower = to_lower(word);
    return contains(kAgainst, lower) || contains(kWrong, lower);
  });
}

bool ChoiceReader::retracts(std::string_view text) const {
  constexpr std::string_view kDoubts[] = {"wait",    "actually", "correction", "instead",
                                          "mistake", "sorry",    "hmm",        "either"};
  const auto words = words_of(text);
  if (std::any_of(words.begin(), words.end(),
                  [&](std::string_view word) { return contains(kDoubts, to_lower(word)); }))
    return true;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const auto line = trim(text.substr(0, end));
    if (begins_with_letter(line) || only_letters(line)) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

bool ChoiceReader::begins_with_letter(std::string_view text) const {
  const std::string plain = math::plain_math(text);
  const auto form = without_leads(plain);
  const bool bracketed = form.starts_with('(') || form.starts_with('[');
  const size_t at = bracketed ? 1 : 0;
  if (form.size() < at + 2 || !is_letter(form[at])) return false;
  return std::string_view(bracketed ? ")]" : ").:").find(form[at + 1]) != kNone;
}

bool ChoiceReader::only_letters(std::string_view text) const {
  const std::string plain = math::plain_math(text);
  const auto words = words_of(plain);
  const bool ascii = std::all_of(plain.begin(), plain.end(), [](char c) { return c >= 0; });
  if (words.empty() || !ascii || plain.find_first_of("\\^_+=<>*") != kNone) return false;
  return std::all_of(words.begin(), words.end(), [&](std::string_view word) {
    const std::string lower = to_lower(word);
    if (lower == "or" || lower == "and" || lower == "both") return true;
    if (word.size() == 1) return word[0] >= 'A' && word[0] <= 'Z';
    return std::all_of(word.begin(), word.end(), [&](char c) { return is_letter(c); });
  });
}

// True if the letter at `i` is named as the answer.
bool ChoiceReader::speaks_for(std::string_view text, size_t i) const {
  const bool apart = (i == 0 || !(is_alpha(text[i - 1]) || is_digit(text[i - 1]))) &&
                     (i + 1 == text.size() || !(is_alpha(text[i + 1]) || is_digit(text[i + 1]) ||
                                                text[i + 1] == '\'' || text[i + 1] == '_'));
  if (!apart) return false;
  const std::string before = word_before(text, i);
  if (ruled_out(text, i)) return false;
  const auto after = words_after(text, i + 1);
  const bool is_follows = after.size() > 1 && to_lower(after[0]) == "is";
  if (is_follows && contains(kWrong, to_lower(after[1]))) return false;
  const bool it_is = after.size() > 1 && to_lower(after[0]) == "it" && to_lower(after[1]) == "is";
  const bool right = it_is || (is_follows && contains(kRight, to_lower(after[1])));
  const bool bracketed =
      i > 0 && i + 1 < text.size() &&
      ((text[i - 1] == '(' && text[i + 1] == ')') || (text[i - 1] == '*' && text[i + 1] == '*'));
  const bool article = (text[i] == 'A' || text[i] == 'I') && !ends_clause(text, i + 1);
  const bool reason = !after.empty() && contains(kReasons, to_lower(after[0])) && text[i] != 'I';
  if (bracketed || right || named_in_chinese(text.substr(0, i))) return true;
  if (contains(kNaming, before)) return !article || is_follows || reason;
  return contains(kLeading, before) && (ends_clause(text, i + 1) || reason);
}

std::optional<char> ChoiceReader::mention(std::string_view text) const {
  std::optional<char> found;
  bool several = false, ended = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stop = text[i] == '\n' || ((text[i] == '.' || text[i] == '!' || text[i] == '?') &&
                                          (i + 1 == text.size() || is_space(text[i + 1])));
    ended |= stop;
    if (stop || !is_letter(text[i])) continue;
    const std::string joint = word_before(text, i);
    const bool offered = found && !ended && (joint == "or" || joint == "and");
    if (!offered && !speaks_for(text, i)) continue;
    if (ended) several = false;
    several |= found && !ended && *found != text[i];
    found = text[i];
    ended = false;
  }
  return several ? std::nullopt : found;
}

}  // namespace longshot::reward
