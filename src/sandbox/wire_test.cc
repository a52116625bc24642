#include "sandbox/wire.h"

#include <gtest/gtest.h>

namespace longshot::sandbox {
namespace {

Job full_job() {
  Job job;
  job.argv = {"/bin/echo", "", "two words"};
  job.input = std::string("a\0b", 3);
  job.files = {{"dir/a.txt", "content", true}, {"b", "", false}};
  job.fetch = {"out"};
  job.fetch_bytes = 7;
  job.limit_address_space = false;
  job.limits.cpu_seconds = 1.25;
  job.limits.inodes = 3;
  job.limits.output_bytes = 1ull << 40;
  return job;
}

TEST(Wire, AJobComesBackAsItWas) {
  const auto back = decode_job(encode(full_job()));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->argv, full_job().argv);
  EXPECT_EQ(back->input, full_job().input);
  EXPECT_EQ(back->files, full_job().files);
  EXPECT_EQ(back->fetch, full_job().fetch);
  EXPECT_EQ(back->fetch_bytes, 7u);
  EXPECT_FALSE(back->limit_address_space);
  EXPECT_EQ(back->limits.cpu_seconds, 1.25);
  EXPECT_EQ(back->limits.inodes, 3u);
  EXPECT_EQ(back->limits.output_bytes, 1ull << 40);
}

TEST(Wire, AnythingShorterOrLongerIsRefused) {
  const std::string bytes = encode(full_job());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_job(std::string_view(bytes).substr(0, size))) << size;
  EXPECT_FALSE(decode_job(bytes + "x"));
}

TEST(Wire, AHugeCountOfNothingEndsAtOnce) {
  EXPECT_FALSE(decode_job(std::string(64, '\xff')));
}

TEST(Wire, AReportIsFollowedByItsOutcome) {
  LaneReport report;
  report.finished = report.out_of_memory = true;
  report.memory_bytes = 5;
  report.message = "m";
  Outcome outcome;
  outcome.ending = Ending::signaled;
  outcome.signal = 11;
  outcome.err = "text";
  const std::string bytes = encode(report) + encode(outcome);
  std::string_view rest;
  const auto report_back = decode_report(bytes, &rest);
  ASSERT_TRUE(report_back);
  EXPECT_TRUE(report_back->finished);
  EXPECT_EQ(report_back->memory_bytes, 5u);
  const auto outcome_back = decode_outcome(rest);
  ASSERT_TRUE(outcome_back);
  EXPECT_EQ(outcome_back->signal, 11);
  EXPECT_EQ(outcome_back->err, "text");
}

TEST(Wire, HeadsOfOtherProtocolsAreRefused) {
  EXPECT_EQ(body_size(frame(FrameType::job, "abc").substr(0, kFrameHead)), 3u);
  EXPECT_FALSE(body_size("GET / HTT"));
  EXPECT_FALSE(body_size(frame_head(FrameType::job, kMaxFrame + 1)));
}

TEST(Combine, AKillForMemoryExplainsAFailureButNotASuccess) {
  LaneReport report;
  report.finished = report.out_of_memory = true;
  Outcome outcome;
  for (const auto& [before, after] : {std::pair{Ending::runtime, Ending::memory},
                                      {Ending::signaled, Ending::memory},
                                      {Ending::ok, Ending::ok},
                                      {Ending::timeout, Ending::timeout}}) {
    outcome.ending = before;
    EXPECT_EQ(combine(report, outcome).ending, after) << ending_word(before);
  }
}

TEST(Combine, WithoutASupervisorItIsOurFaultUnlessMemoryRanOut) {
  LaneReport report;
  report.message = "no mount";
  EXPECT_EQ(combine(report, {}).ending, Ending::internal);
  EXPECT_EQ(combine(report, {}).message, "no mount");
  report.out_of_memory = true;
  EXPECT_EQ(combine(report, {}).ending, Ending::memory);
}

}  // namespace
}  // namespace longshot::sandbox
