// Multiple choice: one letter.

#include <algorithm>
#include <map>
#include <optional>

#include "reward/equal.h"
#include "reward/extract.h"
#include "reward/latex.h"
#include "reward/phrases.h"
#include "reward/rules.h"
#include "reward/text.h"

namespace longshot::reward {
namespace {

using Options = std::map<char, std::string>;  // letter -> text

std::string json_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

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
      if (name.size() == 1) out[name[0]] = json_text(value);
    }
  }
  return out;
}

class Reader {
 public:
  Reader(const std::string& letters, Options options, Deadline deadline)
      : letters_(letters), options_(std::move(options)), deadline_(deadline) {}

  // "C", "(C)", "**C**", "C. Paris", "C) Paris", "\text{C}", or the text of an option. nullopt for
  // anything that names more than one.
  Result<std::optional<char>> read(std::string_view text) const {
    const std::string plain = plain_math(text);
    LS_ASSIGN_OR_RETURN(auto found, leading_letter(plain));
    if (found) return found;
    for (const auto& [letter, option] : options_) {
      LS_ASSIGN_OR_RETURN(const bool equal, equal_answers(text, option, {}, deadline_));
      if (!equal) continue;
      if (found) return std::optional<char>();
      found = letter;
    }
    return found;
  }

  bool is_letter(char c) const { return letters_.find(c) != std::string::npos; }

 private:
  Result<std::optional<char>> leading_letter(std::string_view text) const {
    constexpr std::optional<char> kNone;
    for (const std::string_view word : {"option ", "choice ", "option", "choice"}) {
      if (starts_with_ignoring_case(text, word)) text = trim(text.substr(word.size()));
    }
    const bool bracketed = text.starts_with("(") || text.starts_with("[");
    if (bracketed) text.remove_prefix(1);
    if (text.empty()) return kNone;
    const char letter = is_alpha(text[0]) ? static_cast<char>(text[0] & ~0x20) : text[0];
    if (!is_letter(letter)) return kNone;
    std::string_view rest = text.substr(1);
    const bool closed =
        !rest.empty() && std::string_view(").]:").find(rest.front()) != std::string_view::npos;
    if (rest.empty()) return std::optional<char>(letter);
    if (!closed || (bracketed && rest.front() != ')' && rest.front() != ']')) return kNone;
    if (letter != text[0] && !bracketed && rest.size() > 1) return kNone;
    LS_ASSIGN_OR_RETURN(const bool belongs, describes(letter, trim(rest.substr(1))));
    return belongs ? std::optional<char>(letter) : kNone;
  }

  // Whether the words behind a letter belong to it: no second letter, and where the option's text
  // is known, that text.
  Result<bool> describes(char letter, std::string_view rest) const {
    if (rest.empty()) return true;
    const auto known = options_.find(letter);
    if (known != options_.end()) return equal_answers(rest, known->second, {}, deadline_);
    for (size_t i = 0; i < rest.size(); ++i) {
      const bool alone = is_letter(rest[i]) && (i == 0 || !is_alpha(rest[i - 1])) &&
                         (i + 1 == rest.size() ||
                          (!is_alpha(rest[i + 1]) && rest[i + 1] != ' ' && rest[i + 1] != '\''));
      if (alone) return false;
    }
    return true;
  }

  const std::string& letters_;
  Options options_;
  Deadline deadline_;
};

// The letter after the last "option", "choice" or "choose".
std::string after_choice_word(std::string_view text) {
  size_t best = std::string_view::npos;
  size_t length = 0;
  for (const std::string_view word :
       {"option ", "choice ", "choose ", "option is ", "choice is "}) {
    const size_t at = find_last_ignoring_case(text, word);
    if (at == std::string_view::npos ||
        (best != std::string_view::npos && at + word.size() < best + length))
      continue;
    best = at;
    length = word.size();
  }
  if (best == std::string_view::npos) return "";
  std::string_view rest = text.substr(best + length);
  rest = rest.substr(0, rest.find('\n'));
  while (!rest.empty() && (rest.back() == '.' || is_space(rest.back()))) rest.remove_suffix(1);
  return std::string(rest);
}

// "C. Rome or B. London": a second letter offered behind the first one's sentence.
bool offers_another(std::string_view line, char letter, const Reader& reader) {
  const auto words = words_of(line);
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string joint = to_lower(words[i - 1]);
    const bool other =
        words[i].size() == 1 && words[i][0] != letter && reader.is_letter(words[i][0]);
    if (other && (joint == "or" || joint == "either")) return true;
  }
  return false;
}

class ChoiceReward : public Reward {
 public:
  explicit ChoiceReward(std::string letters) : letters_(std::move(letters)) {}
  std::string name() const override { return "choice"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    const Reader reader(letters_, read_options(question.extra_info, letters_), deadline);
    LS_ASSIGN_OR_RETURN(const auto truth, reader.read(truth_value(question.ground_truth)));
    if (!truth) {
      return invalid_argument("choice: the ground truth '" + question.ground_truth.substr(0, 80) +
                              "' is neither a letter of " + letters_ + " nor an option's text");
    }
    LS_ASSIGN_OR_RETURN(const auto letter, find(question.completion, reader));
    const bool correct = letter && *letter == *truth;
    return Score{correct ? 1.0 : 0.0, correct, letter ? std::string(1, *letter) : ""};
  }

 private:
  static Result<std::optional<char>> find(std::string_view completion, const Reader& reader) {
    const auto text = after_thinking(completion);
    const auto found = extract_answer(text);
    if (found && found->marked) {
      LS_ASSIGN_OR_RETURN(const auto letter, reader.read(found->answer));
      if (letter && offers_another(announced_line(text), *letter, reader))
        return std::optional<char>();
      return letter;
    }
    LS_ASSIGN_OR_RETURN(const auto letter, reader.read(last_line(text)));
    if (letter) return letter;
    return reader.read(after_choice_word(text));
  }

  std::string letters_;
};

}  // namespace

Result<std::unique_ptr<Reward>> make_choice(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("choice", options, {"letters"}));
  LS_ASSIGN_OR_RETURN(std::string letters,
                      json_get_or<std::string>(options, "letters", "ABCDEFGHIJ", "reward choice"));
  if (letters.empty() ||
      !std::all_of(letters.begin(), letters.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return invalid_argument("reward choice: letters must be capital letters");
  }
  return std::unique_ptr<Reward>(std::make_unique<ChoiceReward>(std::move(letters)));
}

}  // namespace longshot::reward
