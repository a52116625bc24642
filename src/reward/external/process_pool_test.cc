#include "reward/external/process_pool.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/os/fs.h"
#include "reward/external/external.h"

namespace longshot::reward {
namespace {

namespace fs = std::filesystem;

// A Python reward in a folder of its own. Each start of an interpreter adds a line to `starts`.
class PythonStarts : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/worker_test.XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<Reward> make(const std::string& code, Json options = Json::object()) {
    const fs::path file = folder_ / "reward.py";
    std::ofstream(file) << "import os\nopen(" << (folder_ / "starts") << ", 'a').write('x\\n')\n"
                        << code;
    options["path"] = file.string();
    return make_python(options).value();
  }
  long starts() const {
    const auto text = read_file(folder_ / "starts");
    return text.ok() ? std::count(text->begin(), text->end(), '\n') : 0;
  }
  Status judge(Reward& reward) {
    return reward.judge({.completion = "x"}, Deadline::after_seconds(60)).status();
  }

  fs::path folder_;
};

TEST_F(PythonStarts, AFileThatCannotBeLoadedIsStartedOnceForAllCalls) {
  const char* kFirst = "def compute_score(data_source, solution_str, ground_truth, extra_info):\n";
  const std::pair<std::string, const char*> cases[] = {
      {"def compute_score(:\n", "SyntaxError"},
      {"import no_such_module_anywhere\n", "no_such_module_anywhere"},
      {"def score(data_source, solution_str, ground_truth, extra_info): return 1\n",
       "no function compute_score; it has score"},
      {"def compute_score(a, b, c): return 1\n", "compute_score(a, b, c) cannot be called"},
      {std::string(kFirst) + "    return 1\nraise ValueError('at import')\n", "at import"},
  };
  for (const auto& [code, reason] : cases) {
    fs::remove(folder_ / "starts");
    const auto reward = make(code);
    const Status prepared = reward->prepare();
    EXPECT_EQ(prepared.code(), StatusCode::invalid_argument) << code;
    EXPECT_NE(prepared.message().find(reason), std::string::npos) << prepared.message();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 8; ++i) EXPECT_EQ(judge(*reward).message(), prepared.message());
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(starts(), 1) << code;
  }
}

TEST_F(PythonStarts, OneThatEndsTheInterpreterIsGivenUpUnlessACallWasAnswered) {
  const auto exits = make("def compute_score(**kwargs): os._exit(5)\n");
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(judge(*exits).ok());
  EXPECT_EQ(starts(), 3);
  EXPECT_EQ(judge(*exits).code(), StatusCode::invalid_argument);  // not worth a retry
  EXPECT_NE(judge(*exits).message().find("exit code 5"), std::string::npos)
      << judge(*exits).message();
  fs::remove(folder_ / "starts");
  const auto sometimes = make(
      "calls = 0\ndef compute_score(**kwargs):\n    global calls\n    calls += 1\n"
      "    if calls > 1: os._exit(5)\n    return 1\n");
  for (int i = 0; i < 6; ++i) EXPECT_EQ(judge(*sometimes).ok(), i % 2 == 0);
  EXPECT_EQ(starts(), 4 - 1);
  const auto at_import = make("os._exit(6)\n");
  EXPECT_EQ(at_import->prepare().code(), StatusCode::invalid_argument);
}

TEST_F(PythonStarts, WhatTheCodePrintsIsLoggedWithItsName) {
  testing::internal::CaptureStderr();
  const auto reward = make(
      "import sys\nprint('while loading')\ndef compute_score(solution_str, **kwargs):\n"
      "    print('judging', solution_str)\n    sys.stderr.write('and stderr\\n')\n    return 1\n");
  EXPECT_TRUE(judge(*reward).ok());
  const std::string log = testing::internal::GetCapturedStderr();
  for (const char* text : {"while loading", "judging x", "and stderr"})
    EXPECT_NE(log.find("reward.py: " + std::string(text)), std::string::npos) << log;
}

TEST_F(PythonStarts, AScoreIsRightWhenAccSaysSoOrTheThresholdIsReached) {
  const auto right = [&](const std::string& value, Json options = Json::object()) {
    const auto reward = make("def compute_score(**kwargs): return " + value + "\n", options);
    return reward->judge({.completion = "x"}, Deadline::after_seconds(60))->correct;
  };
  EXPECT_TRUE(right("1.0"));
  EXPECT_TRUE(right("sum([0.1] * 10)"));  // 0.9999999999999999
  EXPECT_FALSE(right("0.5"));
  EXPECT_TRUE(right("0.5", {{"threshold", 0.5}}));
  EXPECT_TRUE(right("{'score': 0.2, 'acc': True}"));
  EXPECT_FALSE(right("{'score': 1.0, 'acc': False}"));
  EXPECT_FALSE(right("{'score': 1.0, 'acc': 0.25}"));
  EXPECT_TRUE(right("{'score': -1.0, 'acc': 1}"));
  EXPECT_TRUE(right("{'score': 1.0, 'acc': None}"));
}

}  // namespace
}  // namespace longshot::reward
