#include "base/settings/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot {
namespace {

using ::testing::HasSubstr;

enum class Name { kimi, grpo, rest };

constexpr auto spellings(Name) {
  using enum Name;
  return std::to_array<Spelling<Name>>({{kimi, "kimi"}, {grpo, "grpo"}, {rest, "rest"}});
}

struct Options {
  double lr = 1e-6;
  int n = 8;
  bool reset = true;
  Name name = Name::kimi;
  std::vector<std::string> files;
  std::vector<double> starts;
};

Settings bind(Options& o) {
  Settings s;
  s.add("optim.lr", &o.lr, "learning rate",
        [](const double& v) { return v > 0 ? "" : "must be > 0"; });
  s.add("rollout.n", &o.n, "samples per prompt");
  s.add("algorithm.reset_optimizer", &o.reset, "reset");
  s.add("algorithm.name", &o.name, "objective", {Name::kimi, Name::grpo});
  s.add("data.train_files", &o.files, "files");
  s.add("data.starts", &o.starts, "numbers");
  return s;
}

TEST(Settings, NestingOfAnyDepthIsAnError) {
  const std::string dots = [] {
    std::string text = "a";
    for (int i = 0; i < 300'000; ++i) text += ".a";
    return text;
  }();
  const std::string open(1'000'000, '['), close(1'000'000, ']');
  for (const std::string& text :
       {dots + " = 1", "[" + dots + "]\nb = 1", "[[" + dots + "]]\nb = 1", "v = {" + dots + " = 1}",
        "v = " + open + close, "v = " + open, "v = [{" + dots + " = 1}]"}) {
    int unused = 0;
    Settings settings;
    settings.add("v", &unused, "");
    EXPECT_EQ(settings.load_toml(text, "f").code(), StatusCode::invalid_argument);
    EXPECT_EQ(settings.override_with("v=" + text.substr(4)).code(), StatusCode::invalid_argument);
  }
}

TEST(Settings, ABrokenListOrQuoteIsAnErrorAndNoText) {
  std::string text;
  std::vector<std::string> list;
  Settings settings;
  settings.add("text", &text, "");
  settings.add("list", &list, "");
  for (const char* value :
       {"[</answer>]", "[\"a\"", "\"a", "'a", "[\"a\", b]", "\"\\ud83d\\ude00\""})
    EXPECT_FALSE(settings.override_with(std::string("list=") + value).ok()) << value;
  EXPECT_FALSE(settings.override_with("text=\"\\ud83d\\ude00\"").ok());
  EXPECT_TRUE(settings.override_with("list=[a-c]*.jsonl").ok());
  EXPECT_EQ(list, std::vector<std::string>({"[a-c]*.jsonl"}));
  for (const std::string value : {"[INST]", "{problem} thinks", "it's", "'", "[ab]"}) {
    EXPECT_TRUE(settings.override_with("text=" + value).ok()) << value;
    EXPECT_EQ(text, value);
  }
}

TEST(Settings, DotsWithinStringsAndNumbersAreNoDeepKeys) {
  std::string value;
  Settings settings;
  settings.add("a.v", &value, "");
  const std::string dots(500, '.');
  for (const std::string& quoted : {"\"\\\"" + dots + "\"", "'\"" + dots + "'",
                                    "\"\"\"\"" + dots + "\n\"\"\"", "'''" + dots + "'''"}) {
    const Status status = settings.load_toml("# " + dots + "\na.v = " + quoted + " # it's", "f");
    EXPECT_TRUE(status.ok()) << quoted << ": " << status.to_string();
    EXPECT_NE(value.find(dots), std::string::npos);
  }
}

TEST(Settings, TomlThenOverrides) {
  Options o;
  Settings s = bind(o);
  ASSERT_TRUE(s.load_toml("[optim]\nlr = 3e-5\n[data]\ntrain_files = ['a', 'b']\nstarts=[1, 2.5]\n",
                          "c.toml")
                  .ok());
  ASSERT_TRUE(s.override_with("rollout.n=16").ok());
  ASSERT_TRUE(s.override_with("algorithm.name=grpo").ok());
  ASSERT_TRUE(s.override_with("algorithm.reset_optimizer=false").ok());
  EXPECT_EQ(o.lr, 3e-5);
  EXPECT_EQ(o.n, 16);
  EXPECT_EQ(o.name, Name::grpo);
  EXPECT_FALSE(o.reset);
  EXPECT_EQ(o.files, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(o.starts, (std::vector<double>{1, 2.5}));
}

TEST(Settings, UnknownKeyNamesTheNearestAndTheLine) {
  Options o;
  Settings s = bind(o);
  const Status status = s.load_toml("[optim]\n\nlearning = 1\n", "c.toml");
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_THAT(status.message(), HasSubstr("c.toml:3: unknown key 'optim.learning'"));
  EXPECT_THAT(s.override_with("rollout.m=3").message(), HasSubstr("did you mean 'rollout.n'"));
}

TEST(Settings, WrongTypeRangeAndChoiceAreErrors) {
  Options o;
  Settings s = bind(o);
  EXPECT_THAT(s.override_with("rollout.n=many").message(),
              HasSubstr("rollout.n wants a value of type integer"));
  EXPECT_THAT(s.override_with("rollout.n=1.5").message(), HasSubstr("integer"));
  EXPECT_THAT(s.override_with("optim.lr=-1").message(), HasSubstr("must be > 0"));
  EXPECT_THAT(s.override_with("algorithm.name=ppo").message(), HasSubstr("kimi, grpo"));
  EXPECT_THAT(s.override_with("rollout.n").message(), HasSubstr("key=value"));
  EXPECT_EQ(o.n, 8);
}

TEST(Settings, AChoiceHasTheNamesOfItsTable) {
  Options o;
  Settings s = bind(o);
  EXPECT_THAT(s.override_with("algorithm.name=rest").message(),
              HasSubstr("algorithm.name is 'rest', must be one of: kimi, grpo"));
  EXPECT_EQ(s.description("algorithm.name").type, "string");
  EXPECT_EQ(s.description("algorithm.name").help, "objective (kimi, grpo)");
  Name any = Name::rest;
  s.add("any", &any, "with all of them");
  EXPECT_EQ(s.value_text("any"), "'rest'");
  EXPECT_EQ(s.description("any").help, "with all of them (kimi, grpo, rest)");
  EXPECT_EQ(value_of<Name>("ppo"), std::nullopt);
}

TEST(Settings, WordsOfACommandLineAreReadAsTheTypeOfTheKey) {
  Options o;
  const Settings s = bind(o);
  ASSERT_TRUE(s.set("rollout.n", {"3", "4"}, "--n").ok());
  ASSERT_TRUE(s.set("data.train_files", {"1", "[2]"}, "--data").ok());
  ASSERT_TRUE(s.set("algorithm.name", {"grpo"}, "--name").ok());
  EXPECT_EQ(o.n, 4);
  EXPECT_EQ(o.files, (std::vector<std::string>{"1", "[2]"}));
  EXPECT_EQ(o.name, Name::grpo);
  EXPECT_EQ(s.set("optim.lr", {"0"}, "--lr").message(), "--lr must be > 0");
  EXPECT_EQ(s.set("rollout.n", {"x"}, "--n").message(), "--n wants a value of type integer");
}

TEST(Settings, AListWithAReaderKeepsItsTextAndRefusesWhatCannotBeRead) {
  Json list = Json::array({"auto"});
  size_t size = 0;
  Settings s;
  s.add_parsed("reward.functions", &list, "rewards", [&](const Json& value) -> Status {
    if (value.size() > 2) return invalid_argument("reward.functions[2]: too many");
    size = value.size();
    return ok_status();
  });
  ASSERT_TRUE(s.override_with("reward.functions=['a', 'b']").ok());
  EXPECT_EQ(size, 2u);
  EXPECT_THAT(s.load_toml("[reward]\nfunctions = [1, 2, 3]\n", "c.toml").message(),
              HasSubstr("c.toml:2: reward.functions[2]: too many"));
  EXPECT_EQ(s.value_text("reward.functions"), "['a', 'b']");
}

TEST(Settings, ToTomlReadsBackEqual) {
  Options a, b;
  Settings s = bind(a);
  ASSERT_TRUE(s.override_with("optim.lr=0.1").ok());
  ASSERT_TRUE(s.override_with("data.train_files=['x \"quoted\"']").ok());
  Settings t = bind(b);
  ASSERT_TRUE(t.load_toml(s.to_toml(), "dump").ok());
  EXPECT_EQ(t.to_toml(), s.to_toml());
  EXPECT_EQ(b.files, a.files);
}

TEST(Settings, ListsOfStringsAndTablesReadBackEqual) {
  Json a = Json::array({"auto"}), b;
  Settings s, t;
  s.add("reward.functions", &a, "rewards");
  t.add("reward.functions", &b, "rewards");
  ASSERT_TRUE(
      s.load_toml(
           "[reward]\nfunctions = ['math', {type = 'python', path = 'my \"x\".py', weight = 0.5, "
           "environment = {A = '1'}, last = true, n = 3}]",
           "c.toml")
          .ok());
  ASSERT_TRUE(t.load_toml(s.to_toml(), "dump").ok()) << s.to_toml();
  EXPECT_EQ(a, b);
  EXPECT_EQ(b[1]["environment"]["A"], "1");
  EXPECT_EQ(b[1]["weight"], 0.5);
  ASSERT_TRUE(t.override_with("reward.functions=choice").ok());
  EXPECT_EQ(b, Json::array({"choice"}));
}

TEST(Settings, BrokenTomlNamesTheLine) {
  Options o;
  EXPECT_THAT(bind(o).load_toml("[optim]\nlr = = 1\n", "c.toml").message(), HasSubstr("c.toml:2"));
}

std::string unknown(Settings& s, const std::string& key) {
  return s.override_with(key + "=1").message();
}

TEST(Settings, AnUnknownKeyNamesANearOneOrNone) {
  int a = 0, b = 0, c = 0, d = 0, e = 0;
  Settings s;
  s.add("phase", &e, "");
  s.add("optim.lr", &a, "");
  s.add("optim.min_lr_ratio", &b, "");
  s.add("model.path", &c, "");
  s.add("trainer.seed", &d, "");
  EXPECT_THAT(unknown(s, "optim.lrr"), HasSubstr("did you mean 'optim.lr'?"));
  EXPECT_THAT(unknown(s, "optim.min_lr_raito"), HasSubstr("'optim.min_lr_ratio'"));
  EXPECT_THAT(unknown(s, "lr"), HasSubstr("'optim.lr'"));
  EXPECT_THAT(unknown(s, "actor.optim.lr"), HasSubstr("'optim.lr'"));
  EXPECT_THAT(unknown(s, "actor_rollout_ref.model.path"), HasSubstr("'model.path'"));
  for (const char* far : {"optim.learning_rate", "trainer.path", "trainer.logger", "x.y", "z"}) {
    EXPECT_THAT(unknown(s, far), testing::Not(HasSubstr("did you mean"))) << far;
  }
  EXPECT_THAT(unknown(s, "x.y"), HasSubstr("--reference lists the keys"));
}

TEST(Settings, AnExplanationOfANameGoesBeforeAGuess) {
  int a = 0;
  Settings s;
  s.add("optim.lr", &a, "");
  s.explain("learning_rate", "the key here is 'optim.lr'");
  s.explain("critic.learning_rate", "there is no critic");
  EXPECT_THAT(unknown(s, "learning_rate"), HasSubstr("; the key here is 'optim.lr'"));
  EXPECT_THAT(unknown(s, "optim.learning_rate"), HasSubstr("the key here is 'optim.lr'"));
  EXPECT_THAT(unknown(s, "critic.learning_rate"), HasSubstr("there is no critic"));
  EXPECT_THAT(unknown(s, "critic.learning_rates"), HasSubstr("--reference"));
}

}  // namespace
}  // namespace longshot
