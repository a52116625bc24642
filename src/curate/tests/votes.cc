#include "curate/tests/votes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text/text.h"
#include "sandbox/compare.h"

namespace longshot::curate {
namespace {

bool has_vote(const Answer& answer) {
  return answer.ran && !trim(answer.output).empty();
}

bool is_same(const Answer& a, const Answer& b) {
  return has_vote(b) && sandbox::same_output(a.output, b.output, sandbox::Comparison::lines, {});
}

Status check_part(const char* part, int value, const char* whole, int max) {
  if (value >= 1 && value <= max) return ok_status();
  return invalid_argument(
      fmt::format("--{} {} must be between 1 and --{} ({})", part, value, whole, max));
}

}  // namespace

Status check_thresholds(const Thresholds& t) {
  if (t.cases < 1 || t.submissions < 1)
    return invalid_argument("--cases and --submissions must be at least 1");
  LS_RETURN_IF_ERROR(check_part("min-agree", t.min_agree, "submissions", t.submissions));
  LS_RETURN_IF_ERROR(check_part("min-passing", t.min_passing, "submissions", t.submissions));
  LS_RETURN_IF_ERROR(check_part("min-valid", t.min_valid, "cases", t.cases));
  if (2 * t.min_agree > t.submissions) return ok_status();
  return invalid_argument(
      fmt::format("--min-agree {} must be more than half of --submissions {}: otherwise two "
                  "different outputs can both be the agreed one",
                  t.min_agree, t.submissions));
}

Agreement find_agreement(const std::vector<Answer>& answers) {
  Agreement best;
  best.same.assign(answers.size(), false);
  std::vector<bool> counted(answers.size(), false);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (counted[i] || !has_vote(answers[i])) continue;
    Agreement group{.votes = 0, .first = i, .same = std::vector<bool>(answers.size(), false)};
    for (size_t j = i; j < answers.size(); ++j) {
      if (counted[j] || !is_same(answers[i], answers[j])) continue;
      counted[j] = group.same[j] = true;
      ++group.votes;
    }
    if (group.votes > best.votes) best = std::move(group);
  }
  return best;
}

bool Votes::add(const Agreement& agreement) {
  agreements_.push_back(agreement.votes);
  if (agreement.votes < thresholds_.min_agree) return false;
  if (valid_ == 0) passed_.assign(agreement.same.size(), true);
  for (size_t i = 0; i < passed_.size(); ++i) passed_[i] = passed_[i] && agreement.same[i];
  ++valid_;
  return true;
}

int Votes::passing() const {
  return static_cast<int>(std::count(passed_.begin(), passed_.end(), true));
}

}  // namespace longshot::curate
