// Reward models on disk: a score replaces the vocabulary's head.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/format/model_files.h"
#include "model/format/testing.h"

namespace longshot::model {
namespace {

using ::testing::HasSubstr;

ModelConfig reward_config(const std::string& model_type) {
  ModelConfig c = tiny_config(model_type);
  c.score_head = true;
  c.pad_token_id = 0;
  return c;
}

std::string error_of(const Json& json) {
  return config_from_json(json, "config.json").status().message();
}

TEST(RewardModel, ItsConfigurationIsAClassifiersWithOneLabel) {
  for (const auto& [type, name] : {std::pair{"llama", "LlamaForSequenceClassification"},
                                   {"qwen2", "Qwen2ForSequenceClassification"},
                                   {"qwen3", "Qwen3ForSequenceClassification"}}) {
    const Json json = config_to_json(reward_config(type));
    EXPECT_EQ(json["architectures"], Json::array({name}));
    EXPECT_EQ(json["id2label"].size(), 1u);
    const auto read = config_from_json(json, "config.json");
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_TRUE(read->score_head);
    EXPECT_EQ(read->pad_token_id, 0);
  }
  EXPECT_FALSE(config_from_json(config_to_json(tiny_config("llama")), "c")->score_head);
}

TEST(RewardModel, MoreLabelsThanOneAreAnError) {
  Json json = config_to_json(reward_config("llama"));
  json["id2label"] = {{"0", "no"}, {"1", "yes"}};
  EXPECT_THAT(error_of(json), HasSubstr("2 labels"));
  json.erase("id2label");  // transformers' default applies
  EXPECT_THAT(error_of(json), HasSubstr("2 labels"));
  json["num_labels"] = 1;
  EXPECT_EQ(error_of(json), "");
}

TEST(RewardModel, APaddingTokenMayBeMissing) {
  Json json = config_to_json(tiny_config("llama"));
  EXPECT_FALSE(config_from_json(json, "c")->pad_token_id.has_value());
  json["pad_token_id"] = -1;
  EXPECT_FALSE(config_from_json(json, "c")->pad_token_id.has_value());
  json["pad_token_id"] = "x";
  EXPECT_THAT(error_of(json), HasSubstr("pad_token_id"));
}

TEST(RewardModel, AScoreTakesThePlaceOfTheHead) {
  for (const bool tied : {false, true}) {
    ModelConfig c = reward_config("llama");
    c.tie_word_embeddings = tied;
    const auto specs = expected_weights(c);
    EXPECT_EQ(specs.back().name, "score.weight");
    EXPECT_EQ(specs.back().shape, (std::vector<int64_t>{1, c.hidden_size}));
    EXPECT_TRUE(std::none_of(specs.begin(), specs.end(),
                             [](const WeightSpec& s) { return s.name == "lm_head.weight"; }));
  }
}

TEST(RewardModel, LanguageModelsAndRewardModelsAreNotMistakenForOneAnother) {
  const TemporaryDirectory directory;
  const ModelConfig config = reward_config("qwen3");
  const auto weights = random_weights(config, 1);
  ASSERT_TRUE(write_model(directory / "rm", view_of(config, weights), nullptr, nullptr).ok());
  const auto read = read_reward_model(directory / "rm");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->weights.back().data, weights.back().data);
  EXPECT_THAT(read_model(directory / "rm").status().message(), HasSubstr("is a reward model"));
  const ModelConfig plain = tiny_config("qwen3");
  const auto others = random_weights(plain, 1);
  ASSERT_TRUE(write_model(directory / "lm", view_of(plain, others), nullptr, nullptr).ok());
  EXPECT_THAT(read_reward_model(directory / "lm").status().message(), HasSubstr("longshot rm"));
}

TEST(RewardModel, ALanguageModelBecomesOne) {
  const TemporaryDirectory directory;
  const ModelConfig config = tiny_config("llama");  // with a head of its own
  const auto weights = random_weights(config, 1);
  const auto tokenizer = *tokenizer::make_character_tokenizer("01234567");
  ASSERT_TRUE(
      write_model(directory / "lm", view_of(config, weights), tokenizer.get(), nullptr).ok());
  const auto made = [&](uint64_t seed) {
    ModelFiles files = *read_model(directory / "lm");
    add_score_head(files, seed);
    return files;
  };
  const ModelFiles files = made(4);
  EXPECT_TRUE(files.config.score_head);
  EXPECT_EQ(files.config.pad_token_id, 0);  // "<pad>"
  const auto specs = expected_weights(files.config);
  ASSERT_EQ(files.weights.size(), specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(files.weights[i].name, specs[i].name);
    EXPECT_EQ(files.weights[i].shape, specs[i].shape);
  }
  EXPECT_EQ(files.weights[0].data, weights[0].data);
  EXPECT_EQ(made(4).weights.back().data, files.weights.back().data);
  EXPECT_NE(made(5).weights.back().data, files.weights.back().data);
}

}  // namespace
}  // namespace longshot::model
