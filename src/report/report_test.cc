#include "report/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <map>

#include "base/os/run_limits.h"
#include "report/findings.h"
#include "report/points.h"
#include "report/run_reader.h"
#include "report/sample_reader.h"

namespace longshot::report {
namespace {

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ =
        std::filesystem::temp_directory_path() / ("report_" + std::to_string(::getpid()) + name);
    std::filesystem::create_directories(folder_ / "samples");
  }
  ~ReportTest() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
  }
  void warn(int step, const std::string& text) const {
    std::ofstream(folder_ / "warnings.jsonl", std::ios::app)
        << dump_json(Json{{"step", step}, {"time", 1.5}, {"text", text}}) << "\n";
  }
  void write_long_run() const {
    std::string text;
    for (int step = 1; step <= 4001; ++step) {
      Json line = {
          {"step", step}, {"a", step}, {"a/max", step}, {"a/min", step}, {"timing_s/step", 2}};
      if (step % 10 == 0) line["rare"] = 7;
      text += dump_json(line) + "\n";
    }
    write("metrics.jsonl", text);
  }
  RunData read(const SampleLimits& limits = {}) const { return read_run(folder_, limits).value(); }

  std::filesystem::path folder_;
};

TEST_F(ReportTest, MetricsBecomeColumnsWithGaps) {
  write("metrics.jsonl",
        "{\"step\":1,\"a\":0.5}\n{\"step\":2,\"b\":2}\n{\"step\":4,\"a\":\"NaN\",\"b\":3}\n");
  const RunData run = read();
  EXPECT_EQ(run.steps, (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(run.metrics.at("a")[0], 0.5);
  EXPECT_TRUE(std::isnan(run.metrics.at("a")[1]));
  EXPECT_TRUE(std::isnan(run.metrics.at("a")[2]));
  EXPECT_TRUE(std::isnan(run.metrics.at("b")[0]));
  EXPECT_EQ(run.metrics.at("b")[2], 3);
  EXPECT_TRUE(run.notes.empty());
}

TEST_F(ReportTest, DamagedLinesAreNotedAndLeftOut) {
  write("metrics.jsonl", "{\"step\":1,\"a\":1}\n[]\n{\"step\":2,\"a\":2}\n{\"step\":3,\"a\"");
  const RunData run = read();
  EXPECT_EQ(run.steps, (std::vector<int64_t>{1, 2}));
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_NE(run.notes[0].find("2 damaged lines were left out, the first is line 2"),
            std::string::npos);
}

TEST_F(ReportTest, ALaterLineAboutAStepReplacesTheEarlierOne) {
  write("metrics.jsonl", "{\"step\":1,\"a\":1}\n{\"step\":1,\"a\":5}\n");
  const RunData run = read();
  EXPECT_EQ(run.metrics.at("a"), std::vector<double>{5});
}

TEST_F(ReportTest, ALongRunIsAveragedDown) {
  write_long_run();
  const RunData run = averaged(read());
  ASSERT_EQ(run.steps.size(), 1334u);  // three steps together
  EXPECT_EQ(run.steps.front(), 3);
  EXPECT_EQ(run.steps.back(), 4001);
  EXPECT_EQ(run.metrics.at("a").front(), 2);
  EXPECT_EQ(run.metrics.at("a").back(), 4000.5);  // what is left over
  EXPECT_EQ(run.metrics.at("rare")[3], 7);        // steps 10 to 12
  EXPECT_TRUE(std::isnan(run.metrics.at("rare")[4]));
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_NE(run.notes[0].find("mean of 3 steps"), std::string::npos);
  EXPECT_EQ(run.metrics.at("a/max").front(), 3);
  EXPECT_EQ(run.metrics.at("a/min").front(), 1);
}

TEST_F(ReportTest, IterationsAndSumsAreThoseOfAllSteps) {
  write_long_run();
  const Json run = Json::parse(page_data({read()}))["runs"][0];
  EXPECT_EQ(run["iterations"], (Json{1, 4001}));
  EXPECT_EQ(run["steps"].size(), 1334u);
  EXPECT_EQ(run["sums"]["timing_s/step"].front(), 6);
  EXPECT_EQ(run["sums"]["timing_s/step"].back(), 8002);
  write("metrics.jsonl", "{\"step\":0,\"val/accuracy\":0.5}\n{\"step\":1}\n{\"step\":2}\n");
  EXPECT_EQ(Json::parse(page_data({read()}))["runs"][0]["iterations"], (Json{1, 2}));
  write("metrics.jsonl", "{\"step\":0,\"val/accuracy\":0.5}\n");
  EXPECT_TRUE(Json::parse(page_data({read()}))["runs"][0]["iterations"].is_null());
}

TEST_F(ReportTest, SamplesAreBoundedAndSpreadOverTheIterations) {
  for (int step = 1; step <= 10; ++step) {
    std::string text;
    for (int i = 0; i < 7; ++i)
      text += "{\"step\":" + std::to_string(step) + ",\"response\":\"r\"}\n";
    write("samples/samples_" + std::to_string(100000 + step) + ".jsonl", text);
  }
  const RunData some = read({.count = 20});
  EXPECT_EQ(some.samples.size(), 20u);
  EXPECT_EQ(some.sample_count, 70);
  EXPECT_EQ(some.samples.front()["step"], 1);
  EXPECT_EQ(some.samples.back()["step"], 10);
  const RunData few = read({.count = 3});
  ASSERT_EQ(few.samples.size(), 3u);
  EXPECT_EQ(few.samples.back()["step"], 10);
  EXPECT_EQ(read({.count = 0}).samples.size(), 0u);
}

TEST_F(ReportTest, GroupsOfSamplesAreWhole) {
  for (int step = 1; step <= 40; ++step) {
    std::string text;
    for (int i = 0; i < 24; ++i)
      text += "{\"step\":" + std::to_string(step) + ",\"prompt_id\":\"p" + std::to_string(i / 8) +
              "\"}\n";
    write("samples/samples_" + std::to_string(100000 + step) + ".jsonl", text);
  }
  for (const int count : {80, 400, 2000}) {
    std::map<std::pair<int64_t, std::string>, int> sizes;
    const RunData run = read({.count = count});
    for (const Json& sample : run.samples)
      ++sizes[{sample["step"].get<int64_t>(), sample["prompt_id"].get<std::string>()}];
    for (const auto& [group, size] : sizes) EXPECT_EQ(size, 8);
    EXPECT_LE(run.samples.size(), static_cast<size_t>(count));
    EXPECT_GT(run.samples.size() + 8, std::min(static_cast<size_t>(count), size_t{960}));
    EXPECT_EQ(run.samples.back()["step"], 40);
    EXPECT_LE(run.samples.front()["step"], count < 400 ? 4 : 1);
    EXPECT_EQ(run.sample_count, 960);
  }
}

TEST_F(ReportTest, WrongTypesInASampleDoNotReachThePage) {
  write("samples/a.jsonl",
        "{\"step\":1,\"response\":5,\"score\":\"high\",\"correct\":1,\"components\":[]}\n");
  const Json sample = read().samples.at(0);
  EXPECT_EQ(sample["response"], "");
  EXPECT_TRUE(sample["score"].is_null());
  EXPECT_EQ(sample["correct"], false);
  EXPECT_TRUE(sample["components"].is_object());
}

TEST_F(ReportTest, NoTextCanEndTheScriptElement) {
  write("samples/a.jsonl",
        "{\"step\":1,\"response\":\"</script><script>alert(1)</script><!--\"}\n");
  const std::string data = page_data({read()});
  EXPECT_EQ(data.find('<'), std::string::npos);
  EXPECT_EQ(Json::parse(data)["samples"][0]["response"], "</script><script>alert(1)</script><!--");
}

TEST_F(ReportTest, PageIsCompleteAndItsTitleEscaped) {
  write("metrics.jsonl", "{\"step\":1,\"critic/rewards/mean\":0.25}\n");
  const std::string page =
      make_report({folder_, folder_}, {.title = "a <b> & {{data}}", .samples = {}}).value();
  EXPECT_NE(page.find("<title>a &lt;b&gt; &amp; {{data}}</title>"), std::string::npos);
  EXPECT_NE(page.find("\"critic/rewards/mean\":[0.25]"), std::string::npos);
  EXPECT_EQ(page.find("{{style}}"), std::string::npos);
  EXPECT_NE(page.find("</html>"), std::string::npos);
  EXPECT_EQ(page.find("http://"), page.find("http://www.w3.org/2000/svg"))
      << "the page must load nothing";
  EXPECT_EQ(page.find("https://"), std::string::npos);
}

TEST_F(ReportTest, AFolderOfRunsIsAnErrorThatNamesTheRuns) {
  std::filesystem::remove(folder_ / "samples");
  std::filesystem::create_directory(folder_ / "first");
  write("first/metrics.jsonl", "");
  const auto run = read_run(folder_, {});
  ASSERT_FALSE(run.ok());
  EXPECT_NE(run.status().message().find((folder_ / "first").string()), std::string::npos);
}

TEST_F(ReportTest, AnEmptyRunStillMakesAPage) {
  write("metrics.jsonl", "");
  EXPECT_TRUE(make_report({folder_}, {}).ok());
}

TEST_F(ReportTest, FindingsNameWhatWentWrongAndWhen) {
  std::string lines = "{\"step\":0,\"val/accuracy\":0.5}\n";
  for (int step = 1; step <= 4; ++step) {
    Json line = {{"step", step},
                 {"response_length/clip_ratio", step == 3 ? 0.72 : 0.1},
                 {"critic/groups_without_variance", 1.0},
                 {"reward/error_share", step > 2 ? 0.969 : 0.0},
                 {"critic/score/min", 0.0},
                 {"critic/score/max", step == 4 ? 1.0 : 0.0}};
    lines += dump_json(line) + "\n";
  }
  write("metrics.jsonl", lines);
  write("samples/samples_000003.jsonl",
        "{\"step\":3,\"error\":\"python: KeyError\"}\n{\"step\":3,\"error\":\"\"}\n");
  const std::vector<Trouble> found = find_trouble(read());
  ASSERT_EQ(found.size(), 4u);
  EXPECT_NE(found[0].text.find("96.9 % of them in iteration 3: python: KeyError"),
            std::string::npos)
      << found[0].text;
  EXPECT_EQ(found[0].when, "in 2 of 4 iterations, first at 3");
  EXPECT_NE(found[1].text.find("for 3 iterations one after another, up to 3"), std::string::npos);
  EXPECT_NE(found[2].text.find("72 % in iteration 3"), std::string::npos);
  EXPECT_EQ(found[2].when, "in 1 of 4 iterations, first at 3");
  EXPECT_EQ(found[3].when, "in 4 of 4 iterations, first at 1");
  EXPECT_EQ(Json::parse(page_data({read()}))["findings"].size(), 4u);
  write("metrics.jsonl", "{\"step\":1,\"reward/error_share\":0,\"critic/score/max\":0}\n");
  EXPECT_TRUE(find_trouble(read()).empty());
}

TEST_F(ReportTest, FindingsCountTheIterationsOfALongRun) {
  std::string lines;
  for (int step = 1; step <= 5000; ++step)
    lines += dump_json(Json{{"step", step}, {"response_length/clip_ratio", 0.5}}) + "\n";
  write("metrics.jsonl", lines);
  ASSERT_EQ(find_trouble(read()).size(), 1u);
  EXPECT_EQ(find_trouble(read())[0].when, "in 5000 of 5000 iterations, first at 1");
}

TEST_F(ReportTest, AGapThatAFilterOfTheSamplingExplainsIsNoFinding) {
  write("metrics.jsonl", "{\"step\":1,\"training/rollout_probs_diff_mean\":0.2}\n");
  EXPECT_EQ(find_trouble(read()).size(), 1u);
  for (const char* settings :
       {"[rollout]\ntop_p = 0.9\n", "[rollout]\ntop_k = 20\n", "[rollout]\nmin_p = 0.05\n",
        "[[phase]]\nafter = 3\nrollout.top_p = 0.95\n"}) {
    write("config.toml", settings);
    EXPECT_TRUE(find_trouble(read()).empty()) << settings;
  }
  write("config.toml", "[rollout]\ntop_p = 1.0\ntop_k = 0\nmin_p = 0.0\n");
  EXPECT_EQ(find_trouble(read()).size(), 1u);
}

TEST_F(ReportTest, WarningsAreFindingsWithTheirIterationsAndTheirNumber) {
  write("metrics.jsonl", "{\"step\":1,\"a\":1}\n");
  warn(0, "optim.lr has no effect");
  for (int step = 3; step <= 5; ++step)
    warn(step, std::to_string(step) + ".5 groups were missing after 10 rounds");
  warn(4, "no held-out response could be judged: timeout");
  warn(4, "no held-out response could be judged: timeout");
  const std::vector<Trouble> found = find_trouble(read());
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].text, "optim.lr has no effect");
  EXPECT_EQ(found[0].when, "at the start");
  EXPECT_EQ(found[1].text, "5.5 groups were missing after 10 rounds");
  EXPECT_EQ(found[1].when, "3 times, in iterations 3 to 5");
  EXPECT_EQ(found[2].when, "2 times, in iteration 4");
  EXPECT_EQ(Json::parse(page_data({read()}))["findings"][2]["when"], found[2].when);
}

TEST_F(ReportTest, AWarningIsLeftOutWhereTheMetricsSayTheSame) {
  const std::string words = std::string("72 % ") + run_limits::kCutWords;
  warn(1, words);
  warn(1, std::string("optimizer step 7 ") + run_limits::kStepWords + " w is not finite");
  write("metrics.jsonl",
        "{\"step\":1,\"response_length/clip_ratio\":0.72,\"actor/skipped_steps\":1}\n");
  EXPECT_EQ(find_trouble(read()).size(), 2u);
  write("metrics.jsonl", "{\"step\":1,\"response_length/clip_ratio\":0.1}\n");
  ASSERT_EQ(find_trouble(read()).size(), 2u);
  EXPECT_EQ(find_trouble(read())[0].text, words);
}

TEST_F(ReportTest, ManyKindsOfWarningsAreCounted) {
  write("metrics.jsonl", "");
  for (size_t i = 1; i <= 40; ++i) warn(1, std::string(i, 'a'));
  const std::vector<Trouble> found = find_trouble(read());
  ASSERT_EQ(found.size(), 31u);
  EXPECT_EQ(found.back().text, "10 more kinds of warnings are in warnings.jsonl");
}

TEST_F(ReportTest, DamagedWarningsAreNoted) {
  write("metrics.jsonl", "");
  write("warnings.jsonl", "{\"step\":1,\"text\":\"whole\"}\n{\"step\":2}\n{\"step\":3,\"te");
  const RunData run = read();
  ASSERT_EQ(run.warnings.size(), 1u);
  EXPECT_EQ(run.notes.size(), 1u);
}

TEST_F(ReportTest, EventsAreOnThePageWithTheTypesThatItExpects) {
  write("metrics.jsonl", "{\"step\":1}\n");
  write("events.jsonl",
        "{\"step\":1,\"time\":2.5,\"event\":\"left\",\"worker\":\"w\",\"host\":\"h\",\"samples\":4,"
        "\"cause\":\"</script>\",\"other\":1}\n"
        "{\"step\":1,\"time\":\"now\",\"event\":7}\n{\"event\":\"left\"}\n{\"step\":2,\"ev");
  const RunData run = read();
  ASSERT_EQ(run.events.size(), 2u);
  EXPECT_EQ(run.notes.size(), 1u);
  const Json whole = {{"step", 1},   {"time", 2.5},  {"event", "left"}, {"worker", "w"},
                      {"host", "h"}, {"samples", 4}, {"address", ""},   {"cause", "</script>"}};
  EXPECT_EQ(run.events[0], whole);
  EXPECT_EQ(run.events[1]["event"], "");
  EXPECT_TRUE(run.events[1]["time"].is_null());
  EXPECT_EQ(Json::parse(page_data({run}))["runs"][0]["events"][0], whole);
}

TEST_F(ReportTest, OfManyEventsTheNewestAreOnThePage) {
  write("metrics.jsonl", "");
  std::string text;
  for (size_t i = 1; i <= kMostEvents + 3; ++i) text += dump_json(Json{{"step", i}}) + "\n";
  write("events.jsonl", text);
  const RunData run = read();
  ASSERT_EQ(run.events.size(), kMostEvents);
  EXPECT_EQ(run.events.front()["step"], 4);
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_NE(run.notes[0].find("the last 500 of 503 events"), std::string::npos);
}

TEST(EvenlySpread, EndsWithTheLastAndNeverRepeats) {
  EXPECT_EQ(evenly_spread(3, 5), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(evenly_spread(10, 5), (std::vector<size_t>{1, 3, 5, 7, 9}));
  EXPECT_EQ(evenly_spread(0, 5), std::vector<size_t>{});
  EXPECT_EQ(evenly_spread(7, 0), std::vector<size_t>{});
}

TEST(Shortened, KeepsBothEndsAndWholeCharacters) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "é";
  EXPECT_EQ(shortened(text, 200), text);
  const std::string cut = shortened(text, 31);
  EXPECT_LT(cut.size(), 80u);
  EXPECT_EQ(cut.substr(0, 2), "é");
  EXPECT_EQ(cut.substr(cut.size() - 2), "é");
  EXPECT_NO_THROW(Json(cut).dump()) << "valid UTF-8";
}

}  // namespace
}  // namespace longshot::report
