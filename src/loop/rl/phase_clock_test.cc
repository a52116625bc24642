#include "loop/rl/phase_clock.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

config::TrainConfig config_with(const std::string& toml) {
  config::TrainConfig c;
  Settings s;
  config::bind(s, c);
  c.trainer.total_iterations = 40;
  const Status read = s.load_toml(toml, "c.toml");
  EXPECT_TRUE(read.ok()) << read.message();
  return c;
}

TEST(PhaseClock, AFixedIterationIsABoundary) {
  const auto c = config_with("[[phase]]\nafter = 3\noptim.lr = 1e-5\n");
  PhaseState state;
  EXPECT_FALSE(is_due(c, state, 2));
  EXPECT_TRUE(is_due(c, state, 3));
  EXPECT_TRUE(is_due(c, state, 9));
  state.begun = 1;
  EXPECT_FALSE(is_due(c, state, 9));
}

// The metric is reported by every second iteration.
TEST(PhaseClock, AConditionMustHoldTheWantedTimesInARow) {
  const auto c = config_with(
      "[[phase]]\nafter = 5\nwhen = 'val/accuracy >= 0.5'\ntimes = 2\noptim.lr = 1e-5\n");
  PhaseState state;
  const auto after = [&](int64_t iteration, double accuracy) {
    watch(c, {{"val/accuracy", accuracy}}, state);
    const bool due = is_due(c, state, iteration);
    watch(c, {{"actor/kl", 0.1}}, state);  // says nothing about the condition
    EXPECT_EQ(is_due(c, state, iteration), due);
    return due;
  };
  EXPECT_FALSE(after(2, 0.6));
  EXPECT_FALSE(after(4, 0.6));  // fulfilled, but too early
  EXPECT_TRUE(is_due(c, state, 5));
  EXPECT_FALSE(after(6, 0.4));
  EXPECT_FALSE(after(8, 0.5));
  EXPECT_TRUE(after(10, 0.5));
}

TEST(PhaseClock, TheStateSurvivesACheckpoint) {
  const PhaseState state{2, 1, 10, 40};
  const auto read = phase_state_from_json(to_json(state), "state.json");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(to_json(*read), to_json(state));
  EXPECT_FALSE(phase_state_from_json({{"begun", 1}}, "state.json").ok());
}

TEST(PhaseClock, AScheduleEndsWhereTheNextOneBegins) {
  auto c = config_with(
      "[algorithm]\nmini_batches = 4\n[[phase]]\nafter = 10\nreward.length_weight = 0.5\n"
      "[[phase]]\nafter = 15\noptim.lr = 1e-5\n"
      "[[phase]]\nwhen = 'val/accuracy > 0.5'\noptim.lr = 1e-6\n");
  EXPECT_FALSE(restarts_schedule(c.phase.phases[0]));
  EXPECT_TRUE(restarts_schedule(c.phase.phases[1]));
  EXPECT_EQ(schedule_steps(c, {}), 15 * 4);
  EXPECT_EQ(schedule_steps(c, {.begun = 1}), 15 * 4);
  // The last phase begins at an unknown iteration, so the schedule reaches to the end of the run.
  EXPECT_EQ(schedule_steps(c, {.begun = 2, .schedule_iteration = 15, .schedule_step = 60}), 25 * 4);
  c.phase = {};
  EXPECT_EQ(schedule_steps(c, {}), 40 * 4);
}

TEST(PhaseClock, AMetricThatNothingReportsIsNamed) {
  const auto c = config_with("[[phase]]\nwhen = 'val/acuracy >= 0.5'\noptim.lr = 1e-5\n");
  EXPECT_NE(missing_metric(c, {}, {{"val/accuracy", 0.1}}).find("did you mean val/accuracy?"),
            std::string::npos);
  EXPECT_EQ(missing_metric(c, {}, {{"val/acuracy", 0.1}}), "");
  EXPECT_EQ(missing_metric(c, {.begun = 1}, {}), "");
}

TEST(TotalIterations, AnEpochIsItsWholeBatches) {
  struct Row {
    int64_t epochs, prompts, expected;
    int batch;
  };
  const Row rows[] = {{3, 10, 6, 4}, {1, 4, 1, 4}, {2, 7, 14, 1}, {1, 7, 1, 4}, {0, 10, 5, 4}};
  for (const Row& row : rows) {
    config::TrainConfig c;
    c.trainer.total_iterations = 5;
    c.trainer.total_epochs = row.epochs;
    c.data.train_batch_size = row.batch;
    EXPECT_EQ(total_iterations(c, row.prompts), row.expected) << row.epochs << " " << row.prompts;
  }
}

}  // namespace
}  // namespace longshot::loop
