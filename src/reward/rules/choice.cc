// Multiple choice: one letter.

#include <algorithm>
#include <optional>

#include "base/text/text.h"
#include "math/read/latex.h"
#include "math/read/unicode.h"
#include "reward/answer/extract.h"
#include "reward/answer/phrases.h"
#include "reward/rules/choice_reader.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

// The rest of the line after the last "option", "choice" or "choose".
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

class ChoiceReward : public Reward {
 public:
  explicit ChoiceReward(std::string letters) : letters_(std::move(letters)) {}
  std::string name() const override { return "choice"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    const ChoiceReader reader(letters_, read_options(question.extra_info, letters_), deadline);
    LS_ASSIGN_OR_RETURN(const auto truth, reader.read(truth_value(question.ground_truth)));
    if (!truth) {
      return invalid_argument("choice: the ground truth '" + question.ground_truth.substr(0, 80) +
                              "' is neither a letter of " + letters_ + " nor an option's text");
    }
    LS_ASSIGN_OR_RETURN(const auto letter, find(math::half_width(question.completion), reader));
    const bool correct = letter && *letter == *truth;
    return Score{correct ? 1.0 : 0.0, correct, letter ? std::string(1, *letter) : ""};
  }

 private:
  using Letter = std::optional<char>;

  static Result<Letter> find(const std::string& completion, const ChoiceReader& reader) {
    const auto [text, tagged] = answer_region(completion);
    const auto boxes = find_boxes(text);
    const bool cut = boxes.unclosed != kNone &&
                     (boxes.boxes.empty() || boxes.boxes.back().begin < boxes.unclosed);
    if (!boxes.boxes.empty() && !cut) return of_boxes(text, boxes.boxes, reader);
    const auto found = extract_answer(completion);
    if (!found || !found->marked) return last_resort(text, reader);
    LS_ASSIGN_OR_RETURN(const Letter letter, reader.read(found->answer));
    if (found->answer.empty() || tagged) return letter;
    const auto line = announced_line(text);
    if (letter) return reader.offers_another(line, *letter) ? Letter() : letter;
    if (names_badly(found->answer, reader)) return Letter();
    return reader.mention("answer " + std::string(line));
  }

  // True for several letters, or for one with words that are not the text of its option.
  static bool names_badly(std::string_view text, const ChoiceReader& reader) {
    return reader.only_letters(text) || reader.begins_with_letter(text);
  }

  // The letter that a statement in `text` gives, "the answer is D".
  static Result<Letter> stated(std::string_view text, const ChoiceReader& reader) {
    const size_t at = stated_announcement(text);
    if (at == kNone) return Letter();
    return reader.read(phrase_answer(text, at));
  }

  // Returns the letter in the last box. If the box holds something else, such as a formula, returns
  // the letter that is stated next to it.
  static Result<Letter> of_boxes(std::string_view text, const std::vector<Box>& boxes,
                                 const ChoiceReader& reader) {
    const Box& last = boxes.back();
    if (math::plain_math(last.content).empty()) return Letter();
    const std::string answer = extract_answer(text)->answer;
    LS_ASSIGN_OR_RETURN(const Letter letter, reader.read(answer));
    const auto after = text.substr(last.end);
    LS_ASSIGN_OR_RETURN(const Letter later, stated(after, reader));
    if (letter) {
      const auto line = text.substr(last.begin, text.find('\n', last.end) - last.begin);
      const bool another = reader.offers_another(line, *letter) || (later && *later != *letter);
      return another ? Letter() : letter;
    }
    if (names_badly(answer, reader)) return Letter();
    if (later) return later;
    LS_ASSIGN_OR_RETURN(const Letter closing, reader.read(last_line(after)));
    if (closing) return closing;
    if (const Letter mentioned = reader.mention(after)) return mentioned;
    LS_ASSIGN_OR_RETURN(const Letter earlier, stated(text.substr(0, last.begin), reader));
    if (earlier) return earlier;
    return reader.mention(last_line(text.substr(0, last.end)));
  }

  // The letter on a first line that is followed by an explanation: "B\n\nParis is the capital."
  static Result<Letter> opening(std::string_view text, const ChoiceReader& reader) {
    text = trim(text);
    const size_t end = std::min(text.find('\n'), text.size());
    const auto rest = trim(text.substr(end));
    LS_ASSIGN_OR_RETURN(const Letter letter, reader.read(trim(text.substr(0, end))));
    if (!letter || rest.empty() || reader.retracts(rest)) return Letter();
    const Letter later = reader.mention(rest);
    return later && *later != *letter ? Letter() : letter;
  }

  static Result<Letter> last_resort(std::string_view text, const ChoiceReader& reader) {
    LS_ASSIGN_OR_RETURN(const Letter letter, reader.read(last_line(text)));
    if (letter) return letter;
    LS_ASSIGN_OR_RETURN(const Letter first, opening(text, reader));
    if (first) return first;
    if (names_badly(last_line(text), reader)) return Letter();
    if (const Letter mentioned = reader.mention(text)) return mentioned;
    if (reader.speaks_against(last_line(text))) return Letter();
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
