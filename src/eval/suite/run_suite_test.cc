#include "eval/suite/run_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/suite/testing.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// The truths of a task's rows are its name.
Task small_task(const std::string& name) {
  Task task;
  task.name = name;
  task.files = {write_rows("suite_" + name + ".jsonl", {{{"q", "x"}}, {{"q", "y"}}})};
  task.prompt = "{q}";
  task.answer = name;
  task.reward = Json::array({"service"});
  task.max_tokens = 4;
  return task;
}

Suite small_suite() {
  return {"small", {small_task("first"), small_task("second")}, "text"};
}

fs::path fresh(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / name;
  fs::remove_all(path);
  return path;
}

Status run(const std::vector<std::string>& only, const fs::path& output) {
  Model model;
  const Suite suite = small_suite();
  LS_ASSIGN_OR_RETURN(const auto tasks, load_suite(suite, only, *model.tokenizer, {}, 200, 0));
  SuiteRun how;
  how.output = output;
  how.model = "model";
  how.reward_types = {&kService, 1};
  return run_suite(*model.engine, suite, tasks, how).status();
}

Json tasks_of(const fs::path& output) {
  return (*read_json_file((output / "results.json").string()))["tasks"];
}

TEST(RunSuite, ATaskWithoutAVerdictIsAnErrorAndTheNextRunJudgesIt) {
  const fs::path output = fresh("suite_down");
  Service::down_for = "first";
  EXPECT_THAT(run({}, output).message(),
              AllOf(HasSubstr("task 'first'"), HasSubstr("none of the 2 samples"),
                    HasSubstr("the service is down")));
  Json tasks = tasks_of(output);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0]["errors"], 2);
  EXPECT_FALSE(tasks[0].contains("accuracy") || tasks[0].contains("accuracy_95"));
  EXPECT_THAT(tasks[0]["frequent_error"].get<std::string>(), HasSubstr("the service is down"));
  EXPECT_EQ(tasks[1]["accuracy"], 1);
  Service::down_for = "";
  EXPECT_EQ(run({}, output).message(), "");
  tasks = tasks_of(output);
  EXPECT_EQ(tasks[0]["errors"], 0);
  EXPECT_EQ(tasks[0]["accuracy"], 1);
}

TEST(RunSuite, FiguresOfTasksThatAreNotRunStay) {
  const fs::path output = fresh("suite_only");
  Service::down_for = "";
  ASSERT_TRUE(run({"second"}, output).ok());
  ASSERT_TRUE(run({"first"}, output).ok());
  const Json tasks = tasks_of(output);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0]["task"], "first");
  EXPECT_EQ(tasks[1]["task"], "second");
  // Without suite.json nobody knows which model the other figures are of.
  ASSERT_TRUE(fs::remove(output / "suite.json"));
  ASSERT_TRUE(run({"first"}, output).ok());
  ASSERT_EQ(tasks_of(output).size(), 1u);
}

}  // namespace
}  // namespace longshot::eval
