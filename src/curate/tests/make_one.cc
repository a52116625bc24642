#include "curate/tests/make_one.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text/text.h"
#include "curate/tests/wording.h"

namespace longshot::curate {
namespace {

constexpr size_t kMaxAnswer = 2000;  // bytes kept of an answer without code

// The reason why outputs cannot judge the problem; empty if there is none.
std::string special_judge(const Problem& problem) {
  if (problem.special_judge) return *problem.special_judge ? "the row says so" : "";
  const auto words = special_judge_words(problem.statement);
  return words ? "the statement says '" + *words + "'" : "";
}

std::vector<Submission> offered_submissions(const Problem& problem, size_t max_count,
                                            const Programs& programs) {
  std::vector<Submission> chosen;
  for (const Submission& submission : problem.submissions) {
    if (chosen.size() < max_count && programs.offers(submission.language))
      chosen.push_back(submission);
  }
  return chosen;
}

class Maker {
 public:
  Maker(const Problem& problem, const MakeOptions& options, Author* author, Programs& programs)
      : problem_(problem), options_(options), author_(author), programs_(programs) {
    record_.id = problem.id;
    record_.content_hash = problem.content_hash;
  }

  Result<Record> make() {
    if (const std::string why = special_judge(problem_); !why.empty())
      return dropped(Reason::special_judge, why);
    const int needed = options_.thresholds.submissions;
    submissions_ = offered_submissions(problem_, static_cast<size_t>(needed), programs_);
    if (static_cast<int>(submissions_.size()) < needed) {
      return dropped(Reason::too_few_submissions,
                     fmt::format("{} of {} in languages that the sandbox has; {} are needed",
                                 submissions_.size(), problem_.submissions.size(), needed));
    }
    const Status status = try_generators();
    if (status.ok()) return decided();
    if (ends_the_run_ || status.code() == StatusCode::cancelled) return status;
    record_.state = State::error;
    record_.reason = Reason::none;
    record_.message = status.message();
    return std::move(record_);
  }

 private:
  Record dropped(Reason reason, const std::string& message) {
    record_.state = State::dropped;
    record_.reason = reason;
    record_.message = message;
    return std::move(record_);
  }

  Record decided() {
    record_.reason = record_.best.reason;
    record_.message = record_.best.message;
    record_.state = record_.reason == Reason::none ? State::kept : State::dropped;
    return std::move(record_);
  }

  Status try_generators() {
    const int max_attempts = problem_.generator.empty() ? options_.attempts : 1;
    for (int i = 0; i < max_attempts; ++i) {
      Attempt attempt;
      LS_RETURN_IF_ERROR(write_generator(i, attempt));
      if (attempt.reason == Reason::none) LS_RETURN_IF_ERROR(try_generator(attempt));
      const bool decides =
          attempt.reason == Reason::none || attempt.reason == Reason::too_few_passing;
      if (i == 0 || decides || came_further(attempt, record_.best))
        record_.best = std::move(attempt);
      record_.attempts = i + 1;
      if (decides) break;
    }
    return ok_status();
  }

  static bool came_further(const Attempt& a, const Attempt& b) {
    const auto rank = [](const Attempt& attempt) {
      return std::make_tuple(attempt.reason, attempt.valid_cases.size(), attempt.cases);
    };
    return rank(a) > rank(b);
  }

  Status write_generator(int number, Attempt& attempt) {
    attempt.generator = problem_.generator;
    if (!attempt.generator.empty()) return ok_status();
    GeneratorRules rules = options_.rules;
    rules.cases = options_.thresholds.cases;
    const auto answer = author_->write(generator_request(problem_.statement, rules), number);
    ends_the_run_ = answer.status().code() == StatusCode::invalid_argument;
    if (!answer.ok()) return answer.status();
    if (auto code = python_code(*answer)) {
      attempt.generator = std::move(*code);
      return ok_status();
    }
    attempt.reason = Reason::no_code;
    attempt.message = "the answer has no complete fenced block of Python";
    attempt.answer = answer->substr(0, kMaxAnswer);
    return ok_status();
  }

  Status try_generator(Attempt& attempt) {
    LS_ASSIGN_OR_RETURN(const auto cases, make_cases(attempt));
    if (attempt.reason != Reason::none) return ok_status();
    return judge_cases(cases, attempt);
  }

  // The different non-empty inputs, in the order of the cases.
  Result<std::vector<std::string>> make_cases(Attempt& attempt) {
    std::vector<std::string> cases;
    std::set<std::string> seen;
    std::string failure;
    int ran = 0;
    for (int number = 1; number <= options_.thresholds.cases; ++number) {
      LS_ASSIGN_OR_RETURN(ProgramRun run,
                          programs_.generate(attempt.generator, options_.seed, number));
      if (!run.ok && failure.empty()) failure = fmt::format("; case {}: {}", number, run.why);
      ran += run.ok;
      if (run.ok && !trim(run.output).empty() && seen.insert(run.output).second)
        cases.push_back(std::move(run.output));
    }
    attempt.cases = static_cast<int>(cases.size());
    if (attempt.cases >= options_.thresholds.min_valid) return cases;
    attempt.reason = ran == 0 ? Reason::generator_fails : Reason::too_few_cases;
    attempt.message = fmt::format("{} of {} runs ended well, {} different inputs; {} are needed{}",
                                  ran, options_.thresholds.cases, attempt.cases,
                                  options_.thresholds.min_valid, failure);
    return cases;
  }

  Status judge_cases(const std::vector<std::string>& cases, Attempt& attempt) {
    Votes votes(options_.thresholds);
    for (const Submission& submission : submissions_)
      attempt.submissions.push_back({submission.language, false, ""});
    for (size_t i = 0; i < cases.size(); ++i) {
      if (!votes.can_be_enough(static_cast<int>(cases.size() - i))) break;
      LS_RETURN_IF_ERROR(judge_case(static_cast<int>(i), cases[i], votes, attempt));
    }
    attempt.agreements = votes.agreements();
    attempt.passing = votes.passing();
    for (size_t i = 0; i < votes.passed().size(); ++i)
      attempt.submissions[i].passed = votes.passed()[i];
    conclude(votes, attempt);
    return ok_status();
  }

  Status judge_case(int number, const std::string& input, Votes& votes, Attempt& attempt) {
    std::vector<Answer> answers;
    std::vector<std::string> failures;
    for (const Submission& submission : submissions_) {
      LS_ASSIGN_OR_RETURN(ProgramRun run, programs_.run(submission, input));
      failures.push_back(run.ok ? "another output than the others'" : run.why);
      answers.push_back({run.ok, std::move(run.output)});
    }
    const Agreement agreement = find_agreement(answers);
    if (!votes.add(agreement)) return ok_status();
    attempt.valid_cases.push_back(number);
    attempt.inputs.push_back(input);
    attempt.outputs.push_back(answers[agreement.first].output);
    for (size_t i = 0; i < answers.size(); ++i) {
      std::string& message = attempt.submissions[i].message;
      if (!agreement.same[i] && message.empty())
        message = fmt::format("case {}: {}", number, failures[i]);
    }
    return ok_status();
  }

  void conclude(const Votes& votes, Attempt& attempt) const {
    const Thresholds& t = options_.thresholds;
    if (!votes.enough_valid()) {
      attempt.reason = Reason::too_few_valid;
      attempt.message = fmt::format("{} of {} cases judged are valid; {} are needed", votes.valid(),
                                    votes.agreements().size(), t.min_valid);
    } else if (!votes.enough_passing()) {
      attempt.reason = Reason::too_few_passing;
      attempt.message = fmt::format("{} of {} submissions pass all valid cases; {} are needed",
                                    votes.passing(), t.submissions, t.min_passing);
    }
  }

  const Problem& problem_;
  const MakeOptions& options_;
  Author* const author_;
  Programs& programs_;
  std::vector<Submission> submissions_;
  Record record_;
  bool ends_the_run_ = false;
};

}  // namespace

Result<Record> make_one(const Problem& problem, const MakeOptions& options, Author* author,
                        Programs& programs) {
  return Maker(problem, options, author, programs).make();
}

OrderedJson make_row(const Problem& problem, const Attempt& attempt,
                     const std::string& instruction) {
  const std::string text =
      instruction.empty() ? problem.statement : problem.statement + "\n\n" + instruction;
  OrderedJson row;
  row["id"] = problem.id;
  row["data_source"] = problem.data_source;
  row["prompt"] = OrderedJson::array({OrderedJson{{"role", "user"}, {"content", text}}});
  row["ability"] = "code";
  row["reward_model"]["style"] = "rule";
  row["reward_model"]["ground_truth"]["inputs"] = attempt.inputs;
  row["reward_model"]["ground_truth"]["outputs"] = attempt.outputs;
  row["extra_info"] = problem.extra_info;
  row["extra_info"]["passing_submissions"] = attempt.passing;
  return row;
}

}  // namespace longshot::curate
