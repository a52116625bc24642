#include "base/run_log/run_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "base/json.h"
#include "base/log.h"
#include "base/log_reader.h"
#include "base/os/fs.h"
#include "base/run_log/step_lines.h"

namespace longshot {
namespace {

class RunLogTest : public testing::Test {
 protected:
  RunLogTest() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ =
        std::filesystem::temp_directory_path() / ("run_log_" + std::to_string(::getpid()) + name);
    std::filesystem::create_directories(folder_);
    (void)log::read_warnings([](const log::Warning&) {});  // forgets those of other tests
  }
  ~RunLogTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path metrics_path() const { return folder_ / "metrics.jsonl"; }
  std::string metrics_text() const { return read_file(metrics_path()).value(); }
  std::filesystem::path warnings_path() const { return folder_ / "warnings.jsonl"; }
  std::filesystem::path events_path() const { return folder_ / "events.jsonl"; }
  // "STEP TEXT" of each line.
  std::vector<std::string> warnings() const {
    std::vector<std::string> texts;
    std::ifstream file(warnings_path());
    for (std::string line; std::getline(file, line);) {
      const Json json = Json::parse(line);
      EXPECT_GT(json["time"], 1.7e9);
      texts.push_back(json["step"].dump() + " " + json["text"].get<std::string>());
    }
    return texts;
  }
  void write_metrics(const std::string& text) const { std::ofstream(metrics_path()) << text; }

  std::filesystem::path folder_;
};

TEST(MetricsLine, StartsWithTheStepAndKeepsEveryBitOfADouble) {
  EXPECT_EQ(metrics_line(7, {{"b", 0.1}, {"a", 2}}), R"({"step":7,"a":2.0,"b":0.1})");
}

TEST(MetricsLine, WritesWhatJsonCannotSayAsStrings) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(metrics_line(0, {{"a", std::nan("")}, {"b", inf}, {"c", -inf}}),
            R"({"step":0,"a":"NaN","b":"Infinity","c":"-Infinity"})");
}

TEST_F(RunLogTest, AppendedLinesAreInTheFileAtOnce) {
  auto log = MetricsLog::open(metrics_path()).value();
  ASSERT_TRUE(log.append(1, {{"a", 1}}).ok());
  EXPECT_EQ(metrics_text(), "{\"step\":1,\"a\":1.0}\n");
  ASSERT_TRUE(log.append(2, {}).ok());
  EXPECT_EQ(metrics_text(), "{\"step\":1,\"a\":1.0}\n{\"step\":2}\n");
}

TEST_F(RunLogTest, OpeningCutsAnUnfinishedLastLine) {
  write_metrics("{\"step\":1}\n{\"step\":2,\"a\":0.");
  auto log = MetricsLog::open(metrics_path()).value();
  ASSERT_TRUE(log.append(2, {}).ok());
  EXPECT_EQ(metrics_text(), "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(RunLogTest, TruncatingDropsLaterLinesAndDamagedOnesAmongThem) {
  const std::string kept = "{\"step\":1}\n{\"step\":2,\nnull\n{\"step\":3}\n";
  write_metrics(kept + "{\"step\":4}\nnull\n{\"step\":5}\n{\"st");
  ASSERT_TRUE(drop_lines_after(metrics_path(), 3).ok());
  EXPECT_EQ(metrics_text(), kept);  // earlier lines are not read
  ASSERT_TRUE(drop_lines_after(metrics_path(), 3).ok());
  EXPECT_EQ(metrics_text(), kept);
  ASSERT_TRUE(drop_lines_after(metrics_path(), 0).ok());
  EXPECT_EQ(metrics_text(), "");
}

TEST_F(RunLogTest, TruncatingAMissingFileIsFine) {
  EXPECT_TRUE(drop_lines_after(metrics_path(), 3).ok());
  EXPECT_FALSE(std::filesystem::exists(metrics_path()));
}

TEST_F(RunLogTest, ResumingForgetsStepsAfterTheCheckpoint) {
  {
    auto log = RunLog::open(folder_, -1).value();
    for (int step = 1; step <= 3; ++step) {
      log.log(step, {{"a", step}});
      log.write_samples(step, {SampleRecord{}});
      SampleRecord held_out;
      held_out.held_out = true;
      log.write_samples(step, {held_out});
    }
  }
  ASSERT_TRUE(RunLog::open(folder_, 2).ok());
  EXPECT_EQ(metrics_text(), "{\"step\":1,\"a\":1.0}\n{\"step\":2,\"a\":2.0}\n");
  EXPECT_EQ(list_files(folder_ / "samples").value(),
            (std::vector<std::string>{"held_out_000001.jsonl", "held_out_000002.jsonl",
                                      "samples_000001.jsonl", "samples_000002.jsonl"}));
}

TEST_F(RunLogTest, AWarningIsALineOfItsStep) {
  log::warn("before the folder");
  auto log = RunLog::open(folder_, -1).value();
  log::info("not a warning");
  log.begin_step(1);
  log::warn("\"{}\"", "in step 1");
  log::error("worse");
  EXPECT_EQ(warnings(),
            (std::vector<std::string>{"0 before the folder", "1 \"in step 1\"", "1 worse"}));
}

TEST_F(RunLogTest, WithoutAWarningThereIsNoFileOfThem) {
  auto log = RunLog::open(folder_, -1).value();
  log.begin_step(1);
  EXPECT_FALSE(std::filesystem::exists(warnings_path()));
}

TEST_F(RunLogTest, AResumedRunForgetsTheWarningsThatItRepeats) {
  {
    auto log = RunLog::open(folder_, -1).value();
    for (int step = 1; step <= 3; ++step) {
      log.begin_step(step);
      log::warn("in {}", step);
    }
  }
  std::ofstream(warnings_path(), std::ios::app) << "{\"step\":3,\"te";
  const auto later = folder_ / "abandoned-1";
  for (int time = 0; time < 2; ++time) {
    log::warn("at the start");
    auto log = RunLog::open(folder_, 2, {.later_steps_to = later}).value();
    log::warn("again");
    const std::vector<std::string> all = warnings();
    EXPECT_EQ(all.front(), "1 in 1");
    EXPECT_EQ(std::ranges::count(all, "3 at the start"), 1);
    EXPECT_EQ(std::ranges::count(all, "3 again"), 1);
    EXPECT_EQ(std::ranges::count(all, "3 in 3"), 0);
    EXPECT_TRUE(std::filesystem::exists(later / "warnings.jsonl"));
  }
}

TEST_F(RunLogTest, TheWarningsOfAStepWithoutMetricsAreKept) {
  {
    auto log = RunLog::open(folder_, -1).value();
    log.begin_step(1);
    log::warn("while it was generated");
  }
  auto log = RunLog::open(folder_, 1, {.last_step_is_open = true}).value();
  log::warn("while it was evaluated");
  EXPECT_EQ(warnings(),
            (std::vector<std::string>{"1 while it was generated", "1 while it was evaluated"}));
}

TEST_F(RunLogTest, WarningsThatCannotBeWrittenWaitAndStopNothing) {
  std::filesystem::create_directory(warnings_path());
  auto log = RunLog::open(folder_, -1).value();
  log::warn("first");
  log::warn("second");
  std::filesystem::remove(warnings_path());
  log.begin_step(1);
  const std::vector<std::string> all = warnings();
  ASSERT_EQ(all.size(), 3u) << "two warnings, and one about the file";
  EXPECT_EQ(all[0], "0 first");
  EXPECT_NE(all[1].find("warnings.jsonl"), std::string::npos);
  EXPECT_EQ(all[2], "0 second");
}

TEST(EventLine, HasWhoAndWhy) {
  const RunEvent event{.time = 1.5,
                       .kind = RunEventKind::turned_out,
                       .worker = "w",
                       .host = "h",
                       .address = "a:1",
                       .samples = 3,
                       .cause = "\"late\""};
  EXPECT_EQ(event_line(7, event),
            R"({"step":7,"time":1.5,"event":"turned out","worker":"w","host":"h",)"
            R"("address":"a:1","samples":3,"cause":"\"late\""})");
}

TEST_F(RunLogTest, EventsOfStepsAfterTheCheckpointAreForgotten) {
  {
    auto log = RunLog::open(folder_, -1).value();
    log.log_events(1, {});
    EXPECT_FALSE(std::filesystem::exists(events_path()));
    for (int step = 1; step <= 3; ++step) log.log_events(step, {RunEvent{}, RunEvent{}});
  }
  std::ofstream(events_path(), std::ios::app) << "{\"step\":3,\"ti";
  const auto later = folder_ / "abandoned-1";
  auto log = RunLog::open(folder_, 2, {.last_step_is_open = true, .later_steps_to = later}).value();
  log.log_events(3, {RunEvent{.worker = "again"}});
  const std::string line = event_line(1, {}) + "\n", second = event_line(2, {}) + "\n";
  EXPECT_EQ(read_file(events_path()).value(),
            line + line + second + second + event_line(3, {.worker = "again"}) + "\n");
  EXPECT_TRUE(std::filesystem::exists(later / "events.jsonl"));
}

TEST_F(RunLogTest, EventsThatCannotBeWrittenWaitAndStopNothing) {
  std::filesystem::create_directory(events_path());
  auto log = RunLog::open(folder_, -1).value();
  log.log_events(1, {RunEvent{}});
  std::filesystem::remove(events_path());
  log.log_events(2, {});
  EXPECT_EQ(read_file(events_path()).value(), event_line(1, {}) + "\n");
}

TEST_F(RunLogTest, AFailedVerdictHasNoScore) {
  SampleRecord sample;
  sample.prompt = "1+1=";
  sample.response = "two \xff\n";  // a model may emit any bytes
  sample.error = "timeout";
  const Json line = Json::parse(sample_line(5, sample));
  EXPECT_TRUE(line["score"].is_null());
  EXPECT_EQ(line["error"], "timeout");
  EXPECT_EQ(line["response"], "two \xef\xbf\xbd\n");
  EXPECT_EQ(line["step"], 5);
}

TEST_F(RunLogTest, WithoutTensorBoardThereIsNoEventFile) {
  ASSERT_TRUE(RunLog::open(folder_, -1, {.tensorboard = false}).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tensorboard"));
}

TEST_F(RunLogTest, AFolderThatCannotBeMadeIsAnErrorThatNamesIt) {
  write_metrics("");
  const auto log = RunLog::open(metrics_path() / "below", -1);
  ASSERT_FALSE(log.ok());
  EXPECT_NE(log.status().message().find("metrics.jsonl"), std::string::npos);
}

TEST_F(RunLogTest, PartsThatCannotBeWrittenAreLeftOutUntilTheyCan) {
  ASSERT_TRUE(write_file_durable(folder_ / "samples", "").ok());
  ASSERT_TRUE(write_file_durable(folder_ / "tensorboard", "").ok());
  std::filesystem::create_directory(metrics_path());
  auto log = RunLog::open(folder_, -1).value();
  log.log(1, {{"a", 1}});
  log.write_samples(1, {SampleRecord{}});
  std::filesystem::remove(metrics_path());
  std::filesystem::remove(folder_ / "tensorboard");
  log.log(2, {{"a", 2}});
  EXPECT_EQ(metrics_text(), "{\"step\":2,\"a\":2.0}\n");
  EXPECT_EQ(list_files(folder_ / "tensorboard").value().size(), 1u);
}

TEST_F(RunLogTest, ALineThatADeviceDoesNotTakeIsKept) {
  std::filesystem::create_symlink("/dev/full", metrics_path());
  auto log = RunLog::open(folder_, 3).value();
  log.log(4, {{"a", 4}});
  EXPECT_TRUE(std::filesystem::is_symlink(metrics_path()));
}

TEST(TensorBoard, ChecksumIsTheOneOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
}

TEST(TensorBoard, RecordHasLengthAndTwoChecksums) {
  const std::string record = tf_record("abc");
  EXPECT_EQ(record.size(), 8u + 4 + 3 + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
}

}  // namespace
}  // namespace longshot
