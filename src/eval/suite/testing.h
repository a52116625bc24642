#pragma once
// A task with rows on disk, a model without weights and a reward that fails when told, for tests.

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/os/fs.h"
#include "eval/suite/items.h"
#include "reward/reward.h"
#include "rollout/engine.h"
#include "rollout/fake_runner.h"

namespace longshot::eval {

inline std::string write_rows(const std::string& name, const std::vector<Json>& rows) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::string text;
  for (const Json& row : rows) text += dump_json(row) + "\n";
  LS_CHECK(write_file_atomic(path, text).ok(), "cannot write rows");
  return path.string();
}

inline std::unique_ptr<tokenizer::Tokenizer> letters() {
  return std::move(*tokenizer::make_character_tokenizer(
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .:?\n"));
}

inline Task choice_task(const std::string& file) {
  Task task;
  task.name = "quiz";
  task.kind = TaskKind::likelihood;
  task.files = {file};
  task.prompt = "Q: {q}\nA:";
  task.choices_column = "options_list";
  task.answer = "{answer}";
  return task;
}

constexpr int kVocab = 80;

struct Model {
  Model() : tokenizer(letters()) {
    engine = std::make_unique<rollout::Engine>(
        std::make_unique<rollout::FakeRunner>(kVocab, rollout::RunnerLimits{8, 200}),
        tokenizer.get());
  }
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  std::unique_ptr<rollout::Engine> engine;
};

// Finds every response right, but fails on questions with the ground truth `down_for`.
class Service : public reward::Reward {
 public:
  static inline std::string down_for;
  static inline std::atomic<int> calls = 0;
  std::string name() const override { return "service"; }
  Result<reward::Score> judge(const reward::Question& question, Deadline) override {
    ++calls;
    if (question.ground_truth == down_for) return internal_error("the service is down");
    return reward::Score{.value = 1, .correct = true, .answer = question.completion};
  }
};

inline Result<std::unique_ptr<reward::Reward>> make_service(const Json&) {
  return std::unique_ptr<reward::Reward>(std::make_unique<Service>());
}
inline constexpr reward::RewardType kService = {"service", make_service, true};

}  // namespace longshot::eval
