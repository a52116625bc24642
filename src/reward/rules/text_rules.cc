// Rules on the text only: exact match, format, repetition.

#include <algorithm>
#include <unordered_set>

#include "base/rng.h"
#include "base/spelling.h"
#include "base/text/text.h"
#include "reward/rules/regex.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

// The part of a response that is the answer.
enum class Take { all, last_line, answer_tag };

constexpr auto spellings(Take) {
  using enum Take;
  return std::to_array<Spelling<Take>>(
      {{all, "all"}, {last_line, "last_line"}, {answer_tag, "answer_tag"}});
}

class ExactReward : public Reward {
 public:
  ExactReward(Take take, bool ignore_case, std::optional<Regex> pattern)
      : take_(take), ignore_case_(ignore_case), pattern_(std::move(pattern)) {}
  std::string name() const override { return "exact"; }

  Result<Score> judge(const Question& question, Deadline) override {
    LS_ASSIGN_OR_RETURN(const std::string answer, taken(question.completion));
    // A list of strings holds several accepted answers; a list of numbers is one answer.
    std::vector<std::string> accepted;
    if (trim(question.ground_truth).starts_with("[\""))
      accepted = accepted_answers(question.ground_truth);
    accepted.push_back(question.ground_truth);  // the answer may be that list itself
    const bool same = std::any_of(accepted.begin(), accepted.end(), [&](const std::string& truth) {
      return ignore_case_ ? to_lower(answer) == to_lower(trim(truth)) : answer == trim(truth);
    });
    return Score{same ? 1.0 : 0.0, same, answer};
  }

 private:
  Result<std::string> taken(std::string_view completion) const {
    std::string_view text = trim(completion);
    if (take_ == Take::last_line) text = last_line(text);
    if (take_ == Take::answer_tag) text = last_tag(text, "answer").value_or("");
    if (pattern_) {
      LS_ASSIGN_OR_RETURN(text, last_match(text));
    }
    return std::string(trim(text));
  }

  Result<std::string_view> last_match(std::string_view text) const {
    std::string_view found;
    for (size_t from = 0; from <= text.size();) {
      LS_ASSIGN_OR_RETURN(const auto match, pattern_->search(text, from));
      if (!match) break;
      found = match->group;
      from = match->end > from ? match->end : from + 1;
    }
    return found;
  }

  Take take_;
  bool ignore_case_;
  std::optional<Regex> pattern_;
};

class FormatReward : public Reward {
 public:
  explicit FormatReward(Regex pattern) : pattern_(std::move(pattern)) {}
  std::string name() const override { return "format"; }

  Result<Score> judge(const Question& question, Deadline) override {
    LS_ASSIGN_OR_RETURN(const auto match, pattern_.search(question.completion));
    return Score{match ? 1.0 : 0.0, match.has_value(), match ? std::string(match->group) : ""};
  }

 private:
  Regex pattern_;
};

// Share of n-grams of whitespace-separated words that occurred before; 0 for fewer than n words.
double repeated_share(std::string_view text, size_t n) {
  std::vector<uint64_t> words;
  for (size_t i = 0; i < text.size();) {
    while (i < text.size() && is_space(text[i])) ++i;
    const size_t start = i;
    while (i < text.size() && !is_space(text[i])) ++i;
    if (i > start) words.push_back(hash64(text.substr(start, i - start)));
  }
  if (words.size() < n) return 0;
  std::unordered_set<uint64_t> seen;
  const size_t count = words.size() - n + 1;
  for (size_t i = 0; i < count; ++i) {
    uint64_t key = n;
    for (size_t j = i; j < i + n; ++j) key = hash_combine(key, words[j]);
    seen.insert(key);
  }
  return static_cast<double>(count - seen.size()) / static_cast<double>(count);
}

class RepetitionReward : public Reward {
 public:
  RepetitionReward(int n, double max_penalty) : n_(n), max_penalty_(max_penalty) {}
  std::string name() const override { return "repetition"; }

  Result<Score> judge(const Question& question, Deadline) override {
    const double share = repeated_share(question.completion, static_cast<size_t>(n_));
    return Score{share == 0 ? 0.0 : -max_penalty_ * share, share == 0, ""};
  }

 private:
  int n_;
  double max_penalty_;
};

}  // namespace

// Cut by hand, so that a number keeps all its digits and nothing nested is ever parsed.
std::vector<std::string> accepted_answers(std::string_view ground_truth) {
  auto text = trim(ground_truth);
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return {};
  text = text.substr(1, text.size() - 2);
  std::vector<std::string> out;
  while (!text.empty()) {
    text = trim(text);
    const bool quoted = text.starts_with('"');
    size_t end = quoted ? 1 : std::min(text.find(','), text.size());
    while (quoted && end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (quoted) ++end;
    if (end > text.size()) return {};
    const auto item = parse_json(trim(text.substr(0, end)), "ground_truth");
    if (!item.ok() || !(item->is_string() || item->is_number())) return {};
    out.push_back(quoted ? item->get<std::string>() : std::string(trim(text.substr(0, end))));
    text = trim(text.substr(end));
    if (!text.empty() && (text.front() != ',' || text.size() == 1)) return {};
    if (!text.empty()) text.remove_prefix(1);
  }
  return out;
}

Result<std::unique_ptr<Reward>> make_exact(const Json& options) {
  const std::string where = "reward exact";
  LS_RETURN_IF_ERROR(check_options("exact", options, {"take", "ignore_case", "pattern"}));
  LS_ASSIGN_OR_RETURN(const std::string name,
                      json_get_or<std::string>(options, "take", "all", where));
  LS_ASSIGN_OR_RETURN(const bool ignore_case, json_get_or(options, "ignore_case", false, where));
  LS_ASSIGN_OR_RETURN(const std::string pattern,
                      json_get_or<std::string>(options, "pattern", "", where));
  const auto take = value_of<Take>(name);
  if (!take) {
    return invalid_argument(where + ": take must be all, last_line or answer_tag, not '" + name +
                            "'");
  }
  std::optional<Regex> regex;
  if (!pattern.empty()) {
    LS_ASSIGN_OR_RETURN(regex, Regex::compile(pattern, false));
  }
  return std::unique_ptr<Reward>(
      std::make_unique<ExactReward>(*take, ignore_case, std::move(regex)));
}

Result<std::unique_ptr<Reward>> make_format(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("format", options, {"pattern", "full"}));
  LS_ASSIGN_OR_RETURN(const std::string pattern,
                      json_get<std::string>(options, "pattern", "reward format"));
  LS_ASSIGN_OR_RETURN(const bool full, json_get_or(options, "full", false, "reward format"));
  LS_ASSIGN_OR_RETURN(Regex regex, Regex::compile(pattern, full));
  return std::unique_ptr<Reward>(std::make_unique<FormatReward>(std::move(regex)));
}

Result<std::unique_ptr<Reward>> make_repetition(const Json& options) {
  const std::string where = "reward repetition";
  LS_RETURN_IF_ERROR(check_options("repetition", options, {"ngram", "max_penalty"}));
  LS_ASSIGN_OR_RETURN(const int n, json_get_or(options, "ngram", 8, where));
  LS_ASSIGN_OR_RETURN(const double max_penalty, json_get_or(options, "max_penalty", 1.0, where));
  if (n < 1 || n > 1000) return invalid_argument(where + ": ngram must be between 1 and 1000");
  if (!(max_penalty >= 0)) return invalid_argument(where + ": max_penalty must not be negative");
  return std::unique_ptr<Reward>(std::make_unique<RepetitionReward>(n, max_penalty));
}

}  // namespace longshot::reward
