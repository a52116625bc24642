#include "config/phases.h"

#include <gtest/gtest.h>

#include "config/config.h"
#include "config/unused_keys.h"
#include "config/validate.h"

namespace longshot::config {
namespace {

// A complete configuration with these lines at its end.
Result<TrainConfig> train_config(const std::string& toml) {
  TrainConfig c;
  Settings s;
  bind(s, c);
  c.model.path = "m", c.data.train_files = {"t"}, c.data.val_files = {"v"}, c.trainer.output = "o";
  LS_RETURN_IF_ERROR(s.load_toml(toml, "c.toml"));
  return c;
}

std::string error_of(const std::string& toml) {
  const auto c = train_config(toml);
  return c.ok() ? validate(*c).message() : c.status().message();
}

TEST(Condition, IsAMetricAComparisonAndANumber) {
  const Metrics metrics = {{"val/accuracy", 0.6}};
  const auto fulfilled = [&](const std::string& text) {
    const auto condition = parse_condition(text, "when");
    EXPECT_TRUE(condition.ok()) << condition.status().message();
    return holds(*condition, metrics);
  };
  EXPECT_EQ(fulfilled("val/accuracy >= 0.6"), true);
  EXPECT_EQ(fulfilled("val/accuracy>0.6"), false);
  EXPECT_EQ(fulfilled(" val/accuracy <=  6e-1 "), true);
  EXPECT_EQ(fulfilled("val/accuracy < 0.6"), false);
  EXPECT_EQ(fulfilled("actor/kl < 1"), std::nullopt);
  for (const char* text : {"", "val/accuracy", "val/accuracy >=", ">= 0.6", "a == 1", "a > b",
                           "a > 1 b", "a > 1 and b > 2", "a > nan", "a > 0.5x"}) {
    const auto condition = parse_condition(text, "phase 1: when");
    EXPECT_NE(condition.status().message().find("phase 1: when"), std::string::npos) << text;
  }
}

TEST(Phases, KeepTheSettingsOfTheOnesBefore) {
  const auto c = train_config(R"(
[optim]
lr = 1e-4
[[phase]]
name = "penalty"
after = 10
reward.length_weight = 0.5
optim.lr = 5e-5
[[phase]]
when = "val/accuracy >= 0.6"
times = 2
[phase.data]
max_response_length = 64
train_files = ["a", "b"]
[phase.optim]
lr = 1e-5
)");
  ASSERT_TRUE(c.ok()) << c.status().message();
  ASSERT_TRUE(validate(*c).ok()) << validate(*c).message();
  const auto all = all_phases(*c);
  ASSERT_TRUE(all.ok()) << all.status().message();
  ASSERT_EQ(all->size(), 3u);
  const auto row = [&](size_t i) {
    const TrainConfig& p = (*all)[i];
    return std::tuple(p.optimizer.lr, p.reward.stage.length_weight,
                      p.rollout.engine.sampling.max_response_length, p.data.train_files.size());
  };
  const int cap = TrainConfig().rollout.engine.sampling.max_response_length;
  EXPECT_EQ(row(0), std::tuple(1e-4, 0.0, cap, 1u));
  EXPECT_EQ(row(1), std::tuple(5e-5, 0.5, cap, 1u));
  EXPECT_EQ(row(2), std::tuple(1e-5, 0.5, 64, 2u));
  EXPECT_EQ(start_text(c->phase.phases[0]), "after iteration 10");
  EXPECT_EQ(start_text(c->phase.phases[1]), "when val/accuracy >= 0.6 2 times in a row");
  EXPECT_EQ(c->phase.phases[0].name, "phase 1 (penalty)");
}

TEST(Phases, ReadTheirOwnOutput) {
  TrainConfig a, b;
  Settings s, t;
  bind(s, a);
  bind(t, b);
  EXPECT_EQ(s.to_toml().find("phase"), std::string::npos);  // none: no key
  ASSERT_TRUE(s.load_toml("[[phase]]\nafter = 3\nreward.functions = ['math', {type = 'choice'}]\n"
                          "[[phase]]\nafter = 5\noptim.lr = 0.25\n",
                          "c.toml")
                  .ok());
  const Status read = t.load_toml(s.to_toml(), "dump");
  ASSERT_TRUE(read.ok()) << read.message();
  EXPECT_EQ(t.to_toml(), s.to_toml());
  ASSERT_EQ(b.phase.phases.size(), 2u);
  EXPECT_EQ(b.phase.phases[1].settings["optim.lr"], 0.25);
}

TEST(Phases, MistakesAreNamed) {
  const std::pair<const char*, const char*> rows[] = {
      {"[[phase]]\noptim.lr = 1e-5\n", "c.toml:1: phase 1 never begins"},
      {"[[phase]]\nafter = 3\n", "phase 1 changes no setting"},
      {"[[phase]]\nafter = 0\noptim.lr = 1e-5\n", "phase 1: after must be"},
      {"[[phase]]\nafter = 2.5\noptim.lr = 1e-5\n", "phase 1: after must be"},
      {"[[phase]]\nafter = 3\noptim.lr = -1\n", "phase 1: optim.lr must be > 0"},
      {"[[phase]]\nafter = 3\noptim.lr = 'x'\n", "phase 1: optim.lr wants a value of type number"},
      {"[[phase]]\nafter = 3\noptim.rate = 1\n", "phase 1: a phase cannot change optim.rate"},
      {"[[phase]]\nafter = 3\nmodel.path = 'x'\n", "phase 1: a phase cannot change model.path"},
      {"[[phase]]\nwhen = 'now'\noptim.lr = 1e-5\n", "phase 1: when = \"now\" must have the form"},
      {"[[phase]]\nafter = 3\ntimes = 2\noptim.lr = 1e-5\n", "phase 1: times needs `when`"},
      {"[[phase]]\nafter = 5\noptim.lr = 1e-5\n[[phase]]\nafter = 5\noptim.lr = 1e-6\n",
       "phase 2: after = 5, but an earlier phase has after = 5"},
      {"[[phase]]\nafter = 3\nname = 'few'\ndata.train_batch_size = 1\n",
       "phase 1 (few): algorithm.mini_batches is larger"},
      {"trainer.test_freq = 0\n[[phase]]\nwhen = 'val/accuracy > 0.5'\noptim.lr = 1e-5\n",
       "phase 1 waits for val/accuracy, but trainer.test_freq is 0"},
      {"[[phase]]\nafter = 3\nreward.functions = ['guess']\n", "phase 1: reward.functions[0]"},
      {"phase = 3\n", "phase 1 must be a table"},
  };
  for (const auto& [toml, wanted] : rows) {
    const std::string message = error_of(toml);
    EXPECT_NE(message.find(wanted), std::string::npos) << toml << "\n" << message;
  }
}

TEST(Phases, ASingleTableIsExplained) {
  const std::string message = error_of("[phase]\nafter = 3\noptim.lr = 1e-5\n");
  EXPECT_NE(message.find("[[phase]]"), std::string::npos) << message;
}

TEST(Phases, AKeyThatSomePhaseReadsIsNotUnused) {
  const auto unused = [](const std::string& toml) {
    const auto c = train_config(toml);
    std::string names;
    for (const UnusedKey& key : unused_keys(*c)) names += key.key + " ";
    return names;
  };
  const std::string floor = "[data]\nprioritized_floor = 0.2\n";
  EXPECT_EQ(unused(floor), "data.prioritized_floor ");
  EXPECT_EQ(unused(floor + "[[phase]]\nafter = 3\ndata.order = 'prioritized'\n"), "");
  EXPECT_EQ(unused("[[phase]]\nafter = 3\ndata.prioritized_floor = 0.2\n"),
            "data.prioritized_floor ");
}

TEST(Phases, OfSftFollowOneAnother) {
  SftConfig c;
  Settings s;
  bind(s, c);
  c.offline.model.path = "m", c.offline.data.train_files = {"t"}, c.offline.trainer.output = "o";
  ASSERT_TRUE(s.load_toml("[trainer]\ntotal_steps = 7\n[[phase]]\ndata.max_length = 2048\n"
                          "[[phase]]\ntrainer.total_epochs = 2.0\n",
                          "c.toml")
                  .ok());
  ASSERT_TRUE(validate(c).ok());
  const auto all = all_phases(c);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ((*all)[1].offline.trainer.total_steps, 7);
  EXPECT_EQ((*all)[2].offline.trainer.total_steps, 0);
  EXPECT_EQ((*all)[2].offline.trainer.epochs, 2.0);
  EXPECT_EQ((*all)[2].offline.data.max_length, 2048);
  const Status status = s.load_toml("[[phase]]\nafter = 3\noptim.lr = 1e-5\n", "c.toml");
  EXPECT_NE(status.message().find("phase 1: after"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace longshot::config
