#include "reward/judge/votes.h"

#include <algorithm>

#include "base/json.h"
#include "base/text/text.h"

namespace longshot::reward {
namespace {

constexpr size_t kLongestVerdict = 4096;
constexpr std::string_view kMember = "\"correct\"";

Status malformed(const std::string& what) {
  return corrupt("malformed verdict: " + what);
}

size_t count_of(std::string_view text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + word.size()))
    ++count;
  return count;
}

// The longest suffix of the text that is a JSON object.
std::optional<Json> last_object(std::string_view text) {
  const size_t first = text.size() - std::min(text.size(), kLongestVerdict);
  for (size_t open = text.find('{', first); open != text.npos; open = text.find('{', open + 1)) {
    auto json = parse_json(text.substr(open), "verdict");
    if (json.ok() && json->is_object()) return std::move(*json);
  }
  return std::nullopt;
}

Status read_member(const std::string& key, const Json& value, Vote& vote) {
  if (key == "correct" && value.is_boolean()) {
    vote.correct = value.get<bool>();
  } else if (key == "reason" && value.is_string()) {
    vote.reason = value.get<std::string>();
  } else if (key == "score" && value.is_number() && value.get<double>() >= 0 &&
             value.get<double>() <= 1) {
    vote.score = value.get<double>();
  } else {
    return malformed("'" + key + "' is " + dump_json(value).substr(0, 80));
  }
  return ok_status();
}

}  // namespace

const char kJudgePrompt[] =
    "Judge whether a response answers a question correctly.\n"
    "\n"
    "Question:\n{question}\n"
    "\n"
    "Reference answer:\n{reference}\n"
    "\n"
    "Response:\n{response}\n"
    "\n"
    "Work out step by step whether the response's final answer is right; where a reference answer "
    "is given, whether it "
    "means the same, in whatever form it is written. Then end with a line that holds nothing but a "
    "JSON object: "
    "{\"correct\": true} if it is right, {\"correct\": false} if not.";

std::string question_text(const std::vector<data::Message>& chat) {
  if (chat.size() == 1) return chat[0].content.text();
  std::string text;
  for (const data::Message& message : chat) {
    if (!text.empty()) text += "\n\n";
    text += message.role + ":\n" + message.content.text();
  }
  return text;
}

std::string judge_prompt(const std::string& form, const JudgedAnswer& answer) {
  const std::string reference = answer.reference.empty() ? "(not given)" : answer.reference;
  const struct {
    std::string_view name;
    const std::string& value;
  } places[] = {
      {"{question}", answer.question}, {"{reference}", reference}, {"{response}", answer.response}};
  std::string out;
  for (size_t at = 0; at < form.size();) {
    const std::string_view rest = std::string_view(form).substr(at);
    size_t step = 0;
    for (const auto& place : places) {
      if (!rest.starts_with(place.name)) continue;
      out += place.value;
      step = place.name.size();
    }
    if (step == 0) out += form[at], step = 1;
    at += step;
  }
  return out;
}

Status check_judge_prompt(const std::string& form) {
  if (form.find("{response}") != std::string::npos) return ok_status();
  return invalid_argument("the judge's prompt does not show {response}");
}

Result<Vote> parse_vote(std::string_view text) {
  text = trim(after_thinking(text));
  const auto object = last_object(text);
  if (!object) return malformed("the answer does not end with a JSON object");
  if (!object->contains("correct")) return malformed("the object at the end has no 'correct'");
  if (count_of(text, kMember) != 1) return malformed("'correct' is named more than once");
  Vote vote;
  for (const auto& [key, value] : object->items())
    LS_RETURN_IF_ERROR(read_member(key, value, vote));
  return vote;
}

void Votes::add(const Vote& vote) {
  ++(vote.correct ? yes : no);
  if (!vote.score) return;
  score_sum += *vote.score;
  ++scores;
}

double Votes::value() const {
  if (scores > 0 && scores == count()) return score_sum / scores;
  return correct() ? 1 : 0;
}

double Votes::probability() const {
  if (scores > 0 && scores == count()) return score_sum / scores;
  return static_cast<double>(yes) / count();
}

}  // namespace longshot::reward
