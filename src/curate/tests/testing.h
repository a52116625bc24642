#pragma once
// Scripted programs and authors for tests.

#include <functional>
#include <string>

#include "curate/tests/author.h"
#include "curate/tests/programs.h"

namespace longshot::curate {

// Runs the functions in place of generators and submissions. By default a generator prints its case
// number and submissions repeat the input.
class FakePrograms : public Programs {
 public:
  bool offers(const std::string& language) const override { return language != "cobol"; }
  Result<ProgramRun> generate(const std::string& code, uint64_t, int number) override {
    return on_generate(code, number);
  }
  Result<ProgramRun> run(const Submission& submission, const std::string& input) override {
    return on_run(submission.code, input);
  }

  std::function<Result<ProgramRun>(const std::string& code, int number)> on_generate =
      [](const std::string&, int number) {
        return ProgramRun{true, std::to_string(number), ""};
      };
  std::function<Result<ProgramRun>(const std::string& code, const std::string& input)> on_run =
      [](const std::string&, const std::string& input) {
        return ProgramRun{true, input, ""};
      };
};

class FakeAuthor : public Author {
 public:
  explicit FakeAuthor(std::function<Result<std::string>(int attempt)> answer)
      : answer_(std::move(answer)) {}
  Result<std::string> write(const std::vector<data::Message>&, int attempt) override {
    ++asked;
    return answer_(attempt);
  }
  int asked = 0;

 private:
  std::function<Result<std::string>(int attempt)> answer_;
};

inline Problem fake_problem(const std::string& id, int submissions) {
  Problem problem;
  problem.id = id;
  problem.statement = "Print the number.";
  problem.content_hash = "h" + id;
  for (int i = 0; i < submissions; ++i)
    problem.submissions.push_back({"python", std::to_string(i)});
  return problem;
}

}  // namespace longshot::curate
