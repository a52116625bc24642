#include "reward/rules/ifeval/ifeval.h"

#include <algorithm>

#include "base/spelling.h"
#include "base/text/text.h"
#include "reward/rules/ifeval/characters.h"
#include "reward/rules/ifeval/instructions.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

// What the score is. Strict: the response as it is. Loose: the response, or it without its first or
// last line and without asterisks. Prompt: 1 if all instructions are followed. Instruction: the
// share of instructions that are followed.
enum class Measure { prompt_strict, prompt_loose, instruction_strict, instruction_loose };

constexpr auto spellings(Measure) {
  using enum Measure;
  return std::to_array<Spelling<Measure>>({{prompt_strict, "prompt_strict"},
                                           {prompt_loose, "prompt_loose"},
                                           {instruction_strict, "instruction_strict"},
                                           {instruction_loose, "instruction_loose"}});
}

// The forms of a response of which one must follow an instruction loosely; the first is the
// response itself.
std::vector<std::string> loose_forms(const std::string& response) {
  const size_t first = response.find('\n'), last = response.rfind('\n');
  const auto part = [&](size_t begin, size_t end) {
    return begin < end ? std::string(strip(std::string_view(response).substr(begin, end - begin)))
                       : std::string();
  };
  const bool lines = first != std::string::npos;
  const size_t after_first = lines ? first + 1 : response.size();
  const size_t before_last = lines ? last : 0;
  std::vector<std::string> forms = {response, part(after_first, response.size()),
                                    part(0, before_last), part(after_first, before_last)};
  for (size_t i = 0; i < 4; ++i) {
    std::string plain = forms[i];
    std::erase(plain, '*');
    forms.push_back(std::move(plain));
  }
  return forms;
}

struct Followed {
  int strict = 0, loose = 0, all = 0;
  std::string broken;  // ids of the instructions that are not followed strictly
};

class IfevalReward : public Reward {
 public:
  explicit IfevalReward(Measure measure) : measure_(measure) {}
  std::string name() const override { return "ifeval"; }

  Result<Score> judge(const Question& question, Deadline) override {
    const Json& truth = question.ground_truth_json;
    const Json& row =
        truth.is_object() && truth.contains("instruction_id_list") ? truth : question.extra_info;
    LS_ASSIGN_OR_RETURN(const Followed followed, check(row, response_of(question.completion)));
    const bool strict = followed.strict == followed.all, loose = followed.loose == followed.all;
    Score score;
    score.value = value(followed);
    score.correct = measure_ == Measure::prompt_strict || measure_ == Measure::instruction_strict
                        ? strict
                        : loose;
    score.answer = followed.broken.empty() ? "follows all" : "breaks " + followed.broken;
    score.figures = {{"ifeval/prompt_strict", strict ? 1 : 0},
                     {"ifeval/prompt_loose", loose ? 1 : 0},
                     {"ifeval/followed_strict", followed.strict},
                     {"ifeval/followed_loose", followed.loose},
                     {"ifeval/instructions", followed.all}};
    return score;
  }

 private:
  double value(const Followed& f) const {
    switch (measure_) {
      case Measure::prompt_strict:
        return f.strict == f.all ? 1 : 0;
      case Measure::prompt_loose:
        return f.loose == f.all ? 1 : 0;
      case Measure::instruction_strict:
        return static_cast<double>(f.strict) / f.all;
      case Measure::instruction_loose:
        return static_cast<double>(f.loose) / f.all;
    }
    return 0;
  }

  static Result<Followed> check(const Json& row, const std::string& response) {
    const std::string where = "reward ifeval";
    LS_ASSIGN_OR_RETURN(const Json ids, json_get_or(row, "instruction_id_list", Json(), where));
    LS_ASSIGN_OR_RETURN(const Json kwargs, json_get_or(row, "kwargs", Json(), where));
    if (!ids.is_array() || !kwargs.is_array() || ids.empty() || ids.size() != kwargs.size())
      return invalid_argument(
          where + ": the row needs the lists instruction_id_list and kwargs of the same length");
    const std::vector<std::string> forms = loose_forms(response);
    Followed out;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!ids[i].is_string())
        return invalid_argument(where + ": instruction_id_list must hold texts");
      const std::string id = ids[i].get<std::string>();
      LS_ASSIGN_OR_RETURN(
          const FollowsInstruction follows,
          make_instruction(id, kwargs[i], where + ": kwargs[" + std::to_string(i) + "]"));
      LS_RETURN_IF_ERROR(add(id, follows, forms, out));
    }
    return out;
  }

  // The instructions are about the response that a reader sees.
  static std::string response_of(const std::string& completion) {
    const std::string_view response = after_thinking(completion);
    if (response.size() == completion.size()) return completion;
    return std::string(
        response.substr(std::min(response.find_first_not_of(" \t\r\n"), response.size())));
  }

  // An empty form follows nothing.
  static Status add(const std::string& id, const FollowsInstruction& follows,
                    const std::vector<std::string>& forms, Followed& out) {
    ++out.all;
    for (size_t i = 0; i < forms.size(); ++i) {
      if (is_blank(forms[i])) continue;
      LS_ASSIGN_OR_RETURN(const bool yes, follows(forms[i]));
      if (!yes) continue;
      ++out.loose;
      if (i == 0) ++out.strict;
      if (i == 0) return ok_status();
      break;
    }
    out.broken += (out.broken.empty() ? "" : ", ") + id;
    return ok_status();
  }

  Measure measure_;
};

}  // namespace

Result<std::unique_ptr<Reward>> make_ifeval(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("ifeval", options, {"measure"}));
  LS_ASSIGN_OR_RETURN(
      const std::string name,
      json_get_or<std::string>(options, "measure", "prompt_strict", "reward ifeval"));
  const auto measure = value_of<Measure>(name);
  if (!measure) {
    return invalid_argument(
        "reward ifeval: measure must be prompt_strict, prompt_loose, instruction_strict or "
        "instruction_loose, not '" +
        name + "'");
  }
  return std::unique_ptr<Reward>(std::make_unique<IfevalReward>(*measure));
}

}  // namespace longshot::reward
