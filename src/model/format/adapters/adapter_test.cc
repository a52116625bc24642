#include "model/format/adapters/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "base/json.h"
#include "base/os/fs.h"
#include "model/format/safetensors.h"
#include "model/format/testing.h"

namespace longshot::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AdapterFiles : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("adapter_test" + std::to_string(::getpid()));
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string path(const std::string& name) const { return (root_ / name).string(); }

  // A new adapter has B = 0; this one does not.
  Adapter adapter(const std::vector<std::string>& targets = {"all-linear"}) const {
    Adapter a =
        new_adapter(config_, {.rank = 3, .alpha = 6}, *adapter_modules(config_, targets), 1);
    CounterRng rng(2);
    for (AdapterPair& pair : a.pairs) {
      for (float& v : pair.b) v = static_cast<float>(rng.next_normal());
    }
    a.base = path("base");
    return a;
  }
  void edit(const std::string& directory, const std::string& key, const Json& value) const {
    Json json = *read_json_file(directory + "/adapter_config.json");
    json[key] = value;
    write_scratch(directory + "/adapter_config.json", json.dump());
  }

  std::filesystem::path root_;
  ModelConfig config_ = tiny_config("llama");
};

TEST_F(AdapterFiles, ModulesAreTheLinearLayersInTheModelsOrder) {
  const auto all = adapter_modules(config_, {"all-linear"});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 7U * config_.num_layers);
  EXPECT_EQ(all->front(), "model.layers.0.self_attn.q_proj");
  const auto two = adapter_modules(config_, {"down_proj", "v_proj"});
  ASSERT_TRUE(two.ok());
  EXPECT_THAT(*two, ElementsAre("model.layers.0.self_attn.v_proj", "model.layers.0.mlp.down_proj",
                                "model.layers.1.self_attn.v_proj", "model.layers.1.mlp.down_proj"));
  EXPECT_THAT(adapter_modules(config_, {"c_attn"}).status().message(),
              AllOf(HasSubstr("c_attn"), HasSubstr("gate_proj")));
  EXPECT_FALSE(adapter_modules(config_, {}).ok());
}

TEST_F(AdapterFiles, ANewAdapterChangesNothingAndIsAFunctionOfTheSeed) {
  const auto modules = *adapter_modules(config_, {"all-linear"});
  const Adapter a = new_adapter(config_, {.rank = 2}, modules, 7),
                b = new_adapter(config_, {.rank = 2}, modules, 7),
                c = new_adapter(config_, {.rank = 2}, modules, 8);
  EXPECT_EQ(a.pairs[0].a, b.pairs[0].a);
  EXPECT_NE(a.pairs[0].a, c.pairs[0].a);
  for (const float v : a.pairs[0].a) EXPECT_LE(std::abs(v), 1 / std::sqrt(8.0F));
  auto weights = random_weights(config_, 1);
  const auto before = weights;
  merge_adapter(a, weights);
  for (size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(weights[i].data, before[i].data);
}

TEST_F(AdapterFiles, MergeAddsScaleTimesBTimesA) {
  const Adapter a = adapter({"q_proj"});
  auto weights = random_weights(config_, 1);
  const auto before = weights;
  merge_adapter(a, weights);
  const AdapterPair& pair = a.pairs[1];  // layer 1
  size_t at = 0;
  while (weights[at].name != "model.layers.1.self_attn.q_proj.weight") ++at;
  double worst = 0;
  for (int o = 0; o < pair.out; ++o) {
    for (int i = 0; i < pair.in; ++i) {
      double expected = before[at].data[o * pair.in + i];
      for (int r = 0; r < 3; ++r) expected += 2.0 * pair.b[o * 3 + r] * pair.a[r * pair.in + i];
      worst = std::max(worst, std::abs(expected - weights[at].data[o * pair.in + i]));
    }
  }
  std::printf("merged against the formula in double: largest difference %.2g\n", worst);
  EXPECT_LT(worst, 2e-6);
  EXPECT_NE(weights[at].data, before[at].data);
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!weights[i].name.ends_with("q_proj.weight")) EXPECT_EQ(weights[i].data, before[i].data);
  }
}

TEST(LoraOptions, ScaleIsAlphaOverRankOrItsRoot) {
  EXPECT_EQ((LoraOptions{.rank = 8, .alpha = 16}).scale(), 2);
  EXPECT_EQ((LoraOptions{.rank = 16, .alpha = 8, .rslora = true}).scale(), 2);
  EXPECT_EQ(LoraOptions{}.scale(), 1);
}

TEST_F(AdapterFiles, WhatIsWrittenIsReadBack) {
  for (const std::vector<std::string>& targets :
       {std::vector<std::string>{"all-linear"}, {"k_proj", "up_proj"}}) {
    const Adapter written = adapter(targets);
    ASSERT_TRUE(write_adapter(path("a"), written).ok());
    EXPECT_TRUE(is_adapter_directory(path("a")));
    const auto read = read_adapter(path("a"), config_);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->base, written.base);
    EXPECT_EQ(read->lora.rank, 3);
    EXPECT_EQ(read->lora.scale(), 2);
    ASSERT_EQ(read->pairs.size(), written.pairs.size());
    for (size_t i = 0; i < read->pairs.size(); ++i) {
      EXPECT_EQ(read->pairs[i].module, written.pairs[i].module);
      EXPECT_EQ(read->pairs[i].a, written.pairs[i].a);
      EXPECT_EQ(read->pairs[i].b, written.pairs[i].b);
    }
  }
  const Json json = *read_json_file(path("a") + "/adapter_config.json");
  EXPECT_EQ(json.at("target_modules"), Json({"k_proj", "up_proj"}));
  const auto file = SafetensorsFile::open(path("a") + "/adapter_model.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_NE(file->find("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"), nullptr);
}

TEST_F(AdapterFiles, LayersWithoutAnAdapterAreNamedInFull) {
  Adapter some = adapter({"q_proj", "k_proj"});
  some.pairs.pop_back();  // layer 1's k_proj
  ASSERT_TRUE(write_adapter(path("a"), some).ok());
  const Json json = *read_json_file(path("a") + "/adapter_config.json");
  EXPECT_EQ(json.at("target_modules"),
            Json({"model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.q_proj",
                  "model.layers.1.self_attn.q_proj"}));
  const auto read = read_adapter(path("a"), config_);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->pairs.size(), 3U);
}

TEST_F(AdapterFiles, OtherKindsOfAdaptersAreRefusedByName) {
  const std::string directory = path("a");
  const std::pair<const char*, Json> cases[] = {{"peft_type", "IA3"},
                                                {"bias", "all"},
                                                {"bias", "some"},
                                                {"use_dora", true},
                                                {"lora_bias", true},
                                                {"trainable_token_indices", Json({3})},
                                                {"modules_to_save", Json({"lm_head"})},
                                                {"init_lora_weights", "pissa"},
                                                {"init_lora_weights", "pissa_niter_4"},
                                                {"init_lora_weights", "OLoRA"},
                                                {"init_lora_weights", "corda"},
                                                {"init_lora_weights", "loftq"},
                                                {"init_lora_weights", "lora_ga"},
                                                {"init_lora_weights", "a_new_one"},
                                                {"init_lora_weights", "mica"},
                                                {"init_lora_weights", 3},
                                                {"layer_replication", Json({{0, 2}})},
                                                {"use_qalora", true},
                                                {"a_setting_of_tomorrow", 1},
                                                {"rank_pattern", Json({{"q_proj", 4.5}})},
                                                {"rank_pattern", Json({{"q_(proj", 4}})},
                                                {"alpha_pattern", Json({{"q_proj", "x"}})},
                                                {"target_modules", Json({"k_proj"})},
                                                {"target_modules", ".*[k"},
                                                {"target_modules", 7},
                                                {"r", 0},
                                                {"r", 2.5},
                                                {"r", "three"}};
  for (const auto& [key, value] : cases) {
    ASSERT_TRUE(write_adapter(directory, adapter()).ok());
    edit(directory, key, value);
    const auto read = read_adapter(directory, config_);
    ASSERT_FALSE(read.ok()) << key;
    EXPECT_THAT(read.status().message(), AllOf(HasSubstr("adapter_config.json"), HasSubstr(key)));
  }
  ASSERT_TRUE(write_adapter(directory, adapter()).ok());
  edit(directory, "rank_pattern", Json::object());
  edit(directory, "layer_replication", nullptr);
  edit(directory, "a_setting_of_tomorrow", false);
  for (const Json& start :
       {Json("gaussian"), Json("eva"), Json("orthogonal"), Json(), Json(false)}) {
    edit(directory, "init_lora_weights", start);
    EXPECT_TRUE(read_adapter(directory, config_).ok()) << start;
  }
}

TEST_F(AdapterFiles, RanksAndAlphasByModuleComeBack) {
  Adapter written = adapter();
  AdapterPair& second = written.pairs[1];
  second.lora.rank = 1;
  second.lora.alpha = 7;
  second.a.resize(static_cast<size_t>(second.in));
  second.b.resize(static_cast<size_t>(second.out));
  ASSERT_TRUE(write_adapter(path("a"), written).ok());
  const auto read = read_adapter(path("a"), config_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  for (size_t i = 0; i < written.pairs.size(); ++i) {
    EXPECT_EQ(read->pairs[i].lora, written.pairs[i].lora) << written.pairs[i].module;
    EXPECT_EQ(read->pairs[i].a, written.pairs[i].a);
  }
  EXPECT_EQ(read->lora, written.lora);
}

TEST_F(AdapterFiles, ThePatternThatComesFirstCounts) {
  ASSERT_TRUE(write_adapter(path("a"), adapter()).ok());
  std::string text = *read_file(path("a") + "/adapter_config.json");
  const std::string empty = "\"alpha_pattern\": {}";
  text.replace(
      text.find(empty), empty.size(),
      R"("alpha_pattern": {"z|layers\\.1\\..*": 9, "layers.1.self_attn.q_proj": 4, "q_proj": 5})");
  write_scratch(path("a") + "/adapter_config.json", text);
  const auto read = read_adapter(path("a"), config_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->pairs[0].lora.alpha, 5) << read->pairs[0].module;
  EXPECT_EQ(read->pairs[7].lora.alpha, 9) << read->pairs[7].module;
  EXPECT_EQ(read->pairs[1].lora.alpha, 6) << read->pairs[1].module;
}

TEST_F(AdapterFiles, TensorsThatDoNotFitAreRefusedByName) {
  ASSERT_TRUE(write_adapter(path("a"), adapter()).ok());
  edit(path("a"), "r", 4);
  EXPECT_THAT(read_adapter(path("a"), config_).status().message(),
              AllOf(HasSubstr("q_proj.lora_A.weight"), HasSubstr("[4, 8]"), HasSubstr("[3, 8]")));
  edit(path("a"), "r", 3);
  ModelConfig shallow = config_;
  shallow.num_layers = 1;
  EXPECT_THAT(read_adapter(path("a"), shallow).status().message(), HasSubstr("model.layers.1"));
  std::vector<float> values(24);
  const auto message = [&] {
    const std::string name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    EXPECT_TRUE(write_safetensors(path("a") + "/adapter_model.safetensors",
                                  {{name, Dtype::f32, {3, 8}, values.data()}})
                    .ok());
    return read_adapter(path("a"), config_).status().message();
  };
  EXPECT_THAT(message(), AllOf(HasSubstr("lora_B.weight"), HasSubstr("missing")));
  values[5] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(message(), AllOf(HasSubstr("lora_A.weight"), HasSubstr("not finite")));
}

class ScoreAdapterFiles : public AdapterFiles {
 protected:
  void SetUp() override {
    AdapterFiles::SetUp();
    scored_.score_head = true;
    adapter_ = adapter();
    CounterRng rng(3);
    for (int i = 0; i < config_.hidden_size; ++i)
      adapter_.score.push_back(static_cast<float>(rng.next_normal()));
    EXPECT_TRUE(write_adapter(path("a"), adapter_).ok());
  }
  std::string error(const ModelConfig& config) const {
    return read_adapter(path("a"), config).status().message();
  }

  ModelConfig scored_ = config_;
  Adapter adapter_;
};

TEST_F(ScoreAdapterFiles, AreThoseThatPeftWritesForAClassifier) {
  const Json json = *read_json_file(path("a") + "/adapter_config.json");
  EXPECT_EQ(json.at("task_type"), "SEQ_CLS");
  EXPECT_EQ(json.at("modules_to_save"), Json({"classifier", "score"}));
  const auto file = SafetensorsFile::open(path("a") + "/adapter_model.safetensors");
  const SafetensorsEntry* head = file->find("base_model.model.score.weight");
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->shape, (std::vector<int64_t>{1, config_.hidden_size}));
  edit(path("a"), "modules_to_save",
       Json({"score", "classifier", "score"}));  // as peft writes it when it saves again
  const auto read = read_adapter(path("a"), scored_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->score, adapter_.score);
  EXPECT_EQ(read->pairs.size(), adapter_.pairs.size());
}

TEST_F(ScoreAdapterFiles, WhatDoesNotFitIsRefusedByName) {
  EXPECT_THAT(error(config_), AllOf(HasSubstr("adapter_config.json"), HasSubstr("reward model")));
  edit(path("a"), "modules_to_save", Json({"score", "embed_tokens"}));
  EXPECT_THAT(error(scored_), HasSubstr("modules_to_save"));
  edit(path("a"), "modules_to_save", Json({"score"}));
  edit(path("a"), "task_type", "CAUSAL_LM");
  EXPECT_THAT(error(scored_), HasSubstr("modules_to_save"));
  edit(path("a"), "modules_to_save", nullptr);
  EXPECT_THAT(error(scored_), HasSubstr("score.weight"));
  adapter_.score.clear();
  ASSERT_TRUE(write_adapter(path("a"), adapter_).ok());
  edit(path("a"), "task_type", "SEQ_CLS");
  EXPECT_THAT(error(scored_), AllOf(HasSubstr("score.weight"), HasSubstr("missing")));
  adapter_.score.resize(2 * config_.hidden_size);
  ASSERT_TRUE(write_adapter(path("a"), adapter_).ok());
  EXPECT_THAT(error(scored_), AllOf(HasSubstr("score.weight"), HasSubstr("[1, 16]")));
}

TEST_F(ScoreAdapterFiles, AConfigurationThatIsNoObjectIsNamed) {
  ModelFiles files;
  files.config = config_;
  for (const char* text : {"[]", "3", "{", R"({"task_type": 1})"}) {
    write_scratch(path("a") + "/adapter_config.json", text);
    EXPECT_THAT(apply_adapter(path("a"), files).message(), HasSubstr("adapter_config.json"))
        << text;
  }
}

TEST_F(ScoreAdapterFiles, MakeARewardModelOfALanguageModel) {
  auto weights = random_weights(config_, 1);
  const auto tokenizer = *tokenizer::make_character_tokenizer("01234567");
  ASSERT_TRUE(write_model(path("base"), view_of(config_, weights), tokenizer.get(), nullptr).ok());
  const auto files = read_reward_model(path("a"));
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->config.pad_token_id, 0);  // "<pad>"
  EXPECT_EQ(files->weights.back().name, "score.weight");
  EXPECT_EQ(files->weights.back().data, adapter_.score);
  adapter_.score.clear();
  merge_adapter(adapter_, weights);
  for (size_t i = 0; i + 1 < files->weights.size(); ++i)
    EXPECT_EQ(files->weights[i].data, weights[i].data) << weights[i].name;
  EXPECT_TRUE(read_model_config(path("a"))->score_head);
  EXPECT_THAT(read_model(path("a")).status().message(), HasSubstr("is a reward model"));
}

TEST_F(AdapterFiles, AnAdapterDirectoryIsReadAsItsMergedModel) {
  auto weights = random_weights(config_, 1);
  ASSERT_TRUE(write_model(path("base"), view_of(config_, weights), nullptr, nullptr).ok());
  const Adapter a = adapter();
  ASSERT_TRUE(write_adapter(path("a"), a).ok());
  const auto files = read_model(path("a"));
  ASSERT_TRUE(files.ok()) << files.status().message();
  merge_adapter(a, weights);
  for (size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(files->weights[i].data, weights[i].data);
  EXPECT_EQ(read_model_config(path("a"))->hidden_size, config_.hidden_size);

  edit(path("a"), "base_model_name_or_path", "someone/SomeModel");
  EXPECT_THAT(read_model(path("a")).status().message(),
              AllOf(HasSubstr("someone/SomeModel"), HasSubstr("--adapter")));
  edit(path("a"), "base_model_name_or_path", path("a"));
  EXPECT_THAT(read_model(path("a")).status().message(), HasSubstr("adapter itself"));
}

}  // namespace
}  // namespace longshot::model
