#include "curate/stages/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <set>

#include "base/os/fs.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "datasets/prompts.h"
#include "datasets/rows.h"

namespace longshot::curate {
namespace {

namespace fs = std::filesystem;

class Curate : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("curate_test.{}", ::getpid());
    fs::remove_all(folder_);
    ASSERT_TRUE(make_directories(folder_).ok());
    bind(settings_, options_, keys_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::vector<OrderedJson>& rows) {
    std::string text;
    for (const auto& row : rows) text += dump_json(row) + "\n";
    EXPECT_TRUE(write_file_atomic(folder_ / name, text).ok());
    return (folder_ / name).string();
  }
  void set(const std::string& assignment) {
    const Status status = settings_.override_with(assignment);
    EXPECT_TRUE(status.ok()) << status.to_string();
  }
  Result<OrderedJson> run(const CurateModel& model = {}) {
    LS_RETURN_IF_ERROR(complete(options_, keys_));
    return curate::curate(options_, settings_, model, folder_ / "out",
                          [](const std::string&, int64_t, int64_t) {});
  }
  OrderedJson run_ok(const CurateModel& model = {}) {
    auto funnel = run(model);
    EXPECT_TRUE(funnel.ok()) << funnel.status().to_string();
    return funnel.ok() ? *funnel : OrderedJson();
  }
  // Id -> reason of the dropped rows.
  std::map<std::string, std::string> dropped() const {
    std::map<std::string, std::string> out;
    const auto rows = datasets::read_rows({(folder_ / "out/dropped.jsonl").string()});
    for (const auto& row : *rows) out[row.json["id"]] = row.json["reason"];
    return out;
  }
  std::vector<data::Prompt> kept() const {
    return datasets::read_prompts({(folder_ / "out/prompts.jsonl").string()}, {}).value();
  }

  fs::path folder_;
  CurateOptions options_;
  CurateKeys keys_;
  Settings settings_;
};

OrderedJson row(const std::string& id, const std::string& problem,
                const std::string& answer = "1") {
  return {{"id", id}, {"problem", problem}, {"answer", answer}};
}

std::string random_problem(CounterRng& rng, int words = 30) {
  std::string text;
  for (int i = 0; i < words; ++i)
    text += fmt::format("{}w{}", i ? " " : "", rng.next_below(100000));
  return text;
}

JudgedPrompt judged(const std::string& id, int correct, int wrong) {
  JudgedPrompt prompt;
  prompt.id = id;
  prompt.text = "q";
  for (int i = 0; i < correct + wrong; ++i) {
    JudgedSample& sample = prompt.samples.emplace_back();
    sample.index = static_cast<uint32_t>(i);
    sample.finish = "stop";
    sample.correct = i >= wrong;
    sample.score = sample.correct ? 1 : 0;
  }
  return prompt;
}

TEST_F(Curate, RunsEveryStage) {
  CounterRng rng(1);
  const std::string one = random_problem(rng), two = random_problem(rng);
  options_.files = {
      write("raw.jsonl", {row("a", one), row("b", one), row("c", "Prove that 2 is even."),
                          row("d", two), row("e", ""), row("f", "What is 2 + 2?", ""),
                          row("g", "Solve the triangle ABC."), row("h", "A circle of radius 3"),
                          row("i", "Another circle of radius 4"), row("j", "circle three")})};
  options_.evaluation_files = {write("eval.jsonl", {row("x", "intro " + two)})};
  options_.hack_samples = {
      write("hack.jsonl", {to_json(judged("g", 1, 7)), to_json(judged("h", 0, 8))})};
  options_.difficulty_samples = {
      write("difficulty.jsonl", {to_json(judged("a", 10, 0)), to_json(judged("h", 4, 6)),
                                 to_json(judged("i", 0, 10)), to_json(judged("j", 5, 5))})};
  set(R"(tags.rules=[{tag = "circle", pattern = "circle"}])");
  set("balance.cap=2");
  const OrderedJson funnel = run_ok();
  const std::map<std::string, std::string> expected = {
      {"e", "empty"},        {"f", "no_answer"}, {"c", "proof"},  {"b", "exact_duplicate"},
      {"d", "shared_ngram"}, {"g", "guessed"},   {"a", "trivial"}};
  auto found = dropped();
  std::string balanced;
  for (const auto& [id, reason] : found) balanced += reason == "group" ? id : "";
  EXPECT_EQ(balanced.size(), 1U);
  found.erase(balanced);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(funnel["input_rows"], 10);
  EXPECT_EQ(funnel["kept_rows"], 2);
  for (const data::Prompt& prompt : kept()) {
    EXPECT_EQ(prompt.difficulty, prompt.id == "h" ? 0.6 : prompt.id == "i" ? 1.0 : 0.5);
    EXPECT_EQ(prompt.extra_info["tags"], Json::array({"circle"}));
    EXPECT_EQ(prompt.extra_info.contains("never_solved"), prompt.id == "i");
  }
  int64_t input = 10;
  for (const auto& stage : funnel["stages"]) {
    EXPECT_EQ(stage["input"], input);
    input = stage["kept"];
  }
  const auto page = read_file(folder_ / "out/report.html").value();
  EXPECT_EQ(page.find("{{"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos) << "the page loads nothing";
}

TEST_F(Curate, DropsPlantedDuplicatesAcrossFiles) {
  CounterRng rng(2);
  std::vector<OrderedJson> first, second;
  std::set<std::string> planted;
  for (int i = 0; i < 3000; ++i) {
    const std::string problem = random_problem(rng, 60);
    first.push_back(row(fmt::format("a{}", i), problem));
    if (i % 10 > 1) continue;
    const std::string id = fmt::format("b{}", i);
    second.push_back(row(id, i % 10 == 0 ? problem + "!" : problem + " end"));
    planted.insert(id);
  }
  options_.files = {write("a.jsonl", first), write("b.jsonl", second)};
  run_ok();
  std::set<std::string> found;
  for (const auto& [id, reason] : dropped()) found.insert(id);
  EXPECT_EQ(found, planted);
}

TEST_F(Curate, AsksAModelIfThereAreNoFiles) {
  options_.files = {write("raw.jsonl", {row("a", "problem one"), row("b", "problem two")})};
  std::vector<TryOptions> asked;
  CurateModel model;
  model.settings = {{"model", "fake"}};
  model.ask = [&](const std::vector<data::Prompt>& prompts,
                  const TryOptions& ask) -> Result<std::vector<JudgedPrompt>> {
    asked.push_back(ask);
    std::vector<JudgedPrompt> out;
    for (const auto& prompt : prompts)
      out.push_back(ask.chain_of_thought ? judged(prompt.id, 3, 7)
                                         : judged(prompt.id, prompt.id == "a" ? 1 : 0, 7));
    return out;
  };
  run_ok(model);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_FALSE(asked[0].chain_of_thought);
  EXPECT_EQ(asked[0].samples, 8);
  EXPECT_EQ(asked[1].samples, 10);
  EXPECT_EQ(dropped(), (std::map<std::string, std::string>{{"a", "guessed"}}));
  EXPECT_DOUBLE_EQ(kept()[0].difficulty, 0.7);
  run_ok(model);
  EXPECT_EQ(asked.size(), 2U) << "finished stages are not computed again";
}

TEST_F(Curate, ComputesAgainWhatOtherSettingsChange) {
  CounterRng rng(3);
  const std::string one = random_problem(rng);
  options_.files = {
      write("raw.jsonl", {row("a", one), row("b", one), row("c", "Prove it is so.")})};
  run_ok();
  EXPECT_EQ(dropped().size(), 2U);
  set("duplicates.enabled=false");
  run_ok();
  EXPECT_EQ(dropped(), (std::map<std::string, std::string>{{"c", "proof"}}));
  write("raw.jsonl", {row("a", one), row("z", "Prove it is so.")});
  run_ok();
  EXPECT_EQ(dropped(), (std::map<std::string, std::string>{{"z", "proof"}})) << "the input changed";
}

TEST_F(Curate, KeepsTheTagsThatARowHadBefore) {
  OrderedJson tagged = row("a", "x");
  tagged["tags"] = {"algebra"};
  tagged["subject"] = "sets";
  options_.files = {write("raw.jsonl", {tagged})};
  set("tags.columns=[\"subject\"]");
  run_ok();
  EXPECT_EQ(kept()[0].extra_info["tags"], Json({"subject:sets"}));
  EXPECT_EQ(kept()[0].extra_info["given_tags"], Json({"algebra"}));
}

TEST_F(Curate, KeepsTheFiguresThatARowHadBefore) {
  OrderedJson measured = row("a", "x");
  measured["difficulty"] = 0.25;
  measured["pass_samples"] = 64;
  measured["never_solved"] = "no";
  options_.files = {write("raw.jsonl", {measured})};
  options_.difficulty_samples = {write("samples.jsonl", {to_json(judged("a", 0, 10))})};
  run_ok();
  const Json extra = kept()[0].extra_info;
  EXPECT_EQ(extra["difficulty"], 1.0);
  EXPECT_EQ(extra["pass_samples"], 10);
  EXPECT_EQ(extra["never_solved"], true);
  EXPECT_EQ(extra["given_difficulty"], 0.25);
  EXPECT_EQ(extra["given_pass_samples"], 64);
  EXPECT_EQ(extra["given_never_solved"], "no");
}

TEST_F(Curate, DropsARowWithoutAProblem) {
  options_.files = {
      write("raw.jsonl", {row("a", "x"),
                          {{"id", "b"}, {"problem", nullptr}, {"answer", "4"}},
                          {{"id", "c"}, {"prompt", OrderedJson::array()}, {"answer", "4"}}})};
  run_ok();
  EXPECT_EQ(dropped(), (std::map<std::string, std::string>{{"b", "empty"}, {"c", "empty"}}));
  EXPECT_EQ(kept().size(), 1U);
}

TEST_F(Curate, KeepsDuplicatesWithOtherAnswersIfTold) {
  CounterRng rng(4);
  const std::string one = random_problem(rng);
  options_.files = {
      write("raw.jsonl", {row("a", one, "1"), row("b", one, "2"), row("c", one, "1")})};
  const OrderedJson funnel = run_ok();
  EXPECT_EQ(dropped().size(), 2U);
  EXPECT_EQ(funnel["stages"][2]["summary"]["duplicates_with_other_answers"], 1);
  set("duplicates.keep_other_answers=true");
  run_ok();
  EXPECT_EQ(dropped(), (std::map<std::string, std::string>{{"c", "exact_duplicate"}}));
}

TEST_F(Curate, NumbersRepeatedIds) {
  options_.files = {
      write("raw.jsonl", {row("a", "x"), row("a", "y"), row("a", "z"), row("b", "q")})};
  run_ok();
  std::vector<std::string> ids;
  for (const auto& prompt : kept()) ids.push_back(prompt.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "a#2", "a#3", "b"}));
}

TEST_F(Curate, NamesTheBadRowAndWritesNoResult) {
  options_.files = {write("raw.jsonl", {row("a", "x"), {{"wrong", 1}}})};
  const auto funnel = run();
  EXPECT_EQ(funnel.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(funnel.status().message().find("raw.jsonl:2"), std::string::npos)
      << funnel.status().message();
  EXPECT_FALSE(fs::exists(folder_ / "out/prompts.jsonl"));
}

TEST_F(Curate, RefusesSamplesOfOtherProblems) {
  options_.files = {write("raw.jsonl", {row("a", "x")})};
  options_.difficulty_samples = {write("d.jsonl", {to_json(judged("other", 1, 1))})};
  EXPECT_NE(run().status().message().find("difficulty.samples"), std::string::npos);
}

TEST_F(Curate, StopsOnRequest) {
  options_.files = {write("raw.jsonl", {row("a", "x")})};
  request_stop();
  const auto funnel = run();
  clear_stop_request();
  EXPECT_EQ(funnel.status().code(), StatusCode::cancelled);
  run_ok();
}

TEST_F(Curate, PlansWithoutChangingAnything) {
  options_.files = {write("raw.jsonl", {row("a", "x"), row("b", "y")})};
  ASSERT_TRUE(complete(options_, keys_).ok());
  const auto plan = make_plan(options_, settings_, {}, folder_ / "out");
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_NE(plan->find("2 rows"), std::string::npos) << *plan;
  EXPECT_NE(plan->find("stage format: to do"), std::string::npos) << *plan;
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace longshot::curate
