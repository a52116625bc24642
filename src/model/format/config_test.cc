#include "model/format/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "model/format/testing.h"

namespace longshot::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json llama_json() {
  return {{"model_type", "llama"},          {"vocab_size", 64},       {"hidden_size", 16},
          {"intermediate_size", 32},        {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"num_key_value_heads", nullptr}, {"hidden_act", "silu"},   {"rms_norm_eps", 1e-5}};
}

ModelConfig parse(const Json& json) {
  return config_from_json(json, "config.json").value();
}

std::string error_of(const Json& json) {
  const auto result = config_from_json(json, "config.json");
  EXPECT_FALSE(result.ok()) << json;
  return result.ok() ? "" : result.status().message();
}

Json with(Json json, const std::string& key, const Json& value) {
  json[key] = value;
  return json;
}

TEST(ConfigTest, FillsInTransformersDefaults) {
  const ModelConfig c = parse(llama_json());
  EXPECT_EQ(c.num_kv_heads, 4);
  EXPECT_EQ(c.head_dim, 4);
  EXPECT_EQ(c.max_position_embeddings, 2048);
  EXPECT_EQ(c.rope_theta, 10000.0);
  EXPECT_EQ(c.dtype, "float32");
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_FALSE(c.bos_token_id.has_value());
  EXPECT_TRUE(c.eos_token_ids.empty());
  EXPECT_EQ(parse(with(llama_json(), "model_type", "qwen3")).head_dim, 128);
  EXPECT_EQ(parse(with(llama_json(), "head_dim", nullptr)).head_dim, 4);
}

TEST(ConfigTest, ReadsBothSpellingsOfRopeAndDtype) {
  Json four = llama_json();
  four["rope_theta"] = 500000.0;
  four["torch_dtype"] = "bfloat16";
  four["rope_scaling"] = {{"type", "llama3"},
                          {"factor", 32.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 8192}};
  Json five = llama_json();
  five["dtype"] = "bfloat16";
  five["rope_parameters"] = {{"rope_type", "llama3"},  {"factor", 32.0},
                             {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0},
                             {"rope_theta", 500000.0}, {"original_max_position_embeddings", 8192}};
  for (const Json& json : {four, five}) {
    const ModelConfig c = parse(json);
    EXPECT_EQ(c.dtype, "bfloat16");
    EXPECT_EQ(c.rope_theta, 500000.0);
    ASSERT_TRUE(c.rope_scaling.has_value());
    EXPECT_EQ(c.rope_scaling->factor, 32.0);
    EXPECT_EQ(c.rope_scaling->original_max_position_embeddings, 8192);
  }
}

TEST(ConfigTest, KnowsTheBiasesOfEachFamily) {
  const ModelConfig qwen2 = parse(with(llama_json(), "model_type", "qwen2"));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.attention_out_bias);
  const ModelConfig qwen3 = parse(with(llama_json(), "model_type", "qwen3"));
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_EQ(qwen3.facts.qk_norm, QkNorm::heads);
  Json llama = with(llama_json(), "attention_bias", true);
  llama["mlp_bias"] = true;
  const ModelConfig biased = parse(llama);
  EXPECT_TRUE(biased.qkv_bias && biased.attention_out_bias && biased.mlp_bias);
}

TEST(ConfigTest, TakesOneEosIdOrSeveralAndTheGenerationConfigFirst) {
  EXPECT_THAT(parse(with(llama_json(), "eos_token_id", 3)).eos_token_ids, ElementsAre(3));
  ModelConfig c = parse(with(llama_json(), "eos_token_id", {3, 4}));
  EXPECT_THAT(c.eos_token_ids, ElementsAre(3, 4));
  ASSERT_TRUE(apply_generation_config({{"temperature", 0.6}}, "g.json", c).ok());
  EXPECT_THAT(c.eos_token_ids, ElementsAre(3, 4));
  ASSERT_TRUE(
      apply_generation_config({{"eos_token_id", {5, 3}}, {"bos_token_id", 7}}, "g.json", c).ok());
  EXPECT_THAT(c.eos_token_ids, ElementsAre(5, 3));
  EXPECT_EQ(c.bos_token_id, 7);
  EXPECT_FALSE(apply_generation_config({{"eos_token_id", "x"}}, "g.json", c).ok());
}

TEST(ConfigTest, NamesTheKeyAndValueItDoesNotSupport) {
  const std::vector<std::pair<std::string, Json>> cases = {
      {"model_type", "qwen2_moe"},
      {"hidden_act", "gelu"},
      {"quantization_config", {{"bits", 4}}},
      {"rope_interleaved", true},
      {"partial_rotary_factor", 0.5},
      {"attention_dropout", 2},
      {"use_mrope", true},
      {"layer_types", {"full_attention", "sliding_attention"}},
      {"rope_scaling", {{"type", "ntk"}, {"factor", 4.0}}},
      {"rope_scaling", {{"type", "linear"}, {"factor", 0}}},
      {"rope_scaling", {{"type", "dynamic"}, {"alpha", 1000.0}, {"factor", 1.0}}},
      {"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"truncate", 1}}},
      {"rope_scaling", {{"type", "longrope"}, {"factor", 4.0}}},
      {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 2.0}}},
      {"rope_scaling", "llama3"},
      {"vocab_size", 0},
      {"vocab_size", 1e18},
      {"vocab_size", "64"},
      {"vocab_size", 1ull << 63},
      {"vocab_size", (1ll << 32) + 64},
      {"hidden_size", -16},
      {"hidden_size", 18},
      {"num_hidden_layers", 100000},
      {"num_key_value_heads", 3},
      {"head_dim", 5},
      {"rms_norm_eps", 0.0},
      {"rms_norm_eps", "tiny"},
      {"rope_theta", 0.0},
      {"tie_word_embeddings", 1},
      {"dtype", "int8"},
      {"eos_token_id", -1},
      {"eos_token_id", "</s>"}};
  for (const auto& [key, value] : cases) {
    EXPECT_THAT(error_of(with(llama_json(), key, value)),
                ::testing::AllOf(HasSubstr("config.json"),
                                 ::testing::AnyOf(HasSubstr("'" + key + "'"), HasSubstr(key))))
        << key << " = " << value;
  }
  Json json = llama_json();
  json.erase("hidden_size");
  EXPECT_THAT(error_of(json), HasSubstr("'hidden_size' is missing"));
  EXPECT_FALSE(config_from_json(Json::array(), "config.json").ok());
}

TEST(ConfigTest, WithoutAnEffectIsAccepted) {
  const std::vector<std::pair<std::string, Json>> cases = {
      {"attention_dropout", 0.1},
      {"pretraining_tp", 2},
      {"hidden_act", "swish"},
      {"sliding_window", 4096},  // llama has no window
      {"rope_scaling", Json::object()},
      {"layer_types", {"full_attention", "full_attention"}},
      {"rope_scaling", {{"type", "linear"}, {"factor", 1}}}};
  const Rope plain = rope_of(parse(llama_json()), 1);
  for (const auto& [key, value] : cases) {
    const ModelConfig c = parse(with(llama_json(), key, value));
    EXPECT_EQ(c.sliding_window, 0) << key;
    EXPECT_EQ(rope_of(c, 1).inverse_frequencies, plain.inverse_frequencies) << key;
    EXPECT_EQ(rope_of(c, 1).attention_factor, 1) << key;
  }
}

TEST(ConfigTest, WindowsBelongToLayers) {
  Json json = with(llama_json(), "model_type", "qwen2");
  json["sliding_window"] = 40;
  json["max_window_layers"] = 2;
  json["use_sliding_window"] = true;
  EXPECT_EQ(parse(json).sliding_window, 0) << "no layer has it";
  json["max_window_layers"] = 1;
  EXPECT_EQ(parse(json).window_of(0), 0);
  EXPECT_EQ(parse(json).window_of(1), 40);
  EXPECT_EQ(config_to_json(parse(config_to_json(parse(json)))), config_to_json(parse(json)));
  json["layer_types"] = {"sliding_attention", "full_attention"};  // takes precedence
  EXPECT_EQ(parse(json).window_of(0), 40);
  EXPECT_EQ(parse(json).window_of(1), 0);
  json.erase("sliding_window");
  EXPECT_EQ(parse(json).window_of(0), 4096) << "transformers' default";
  json["use_sliding_window"] = false;
  EXPECT_THAT(error_of(json), HasSubstr("layer_types"));
  json.erase("layer_types");
  EXPECT_EQ(parse(json).sliding_window, 0);

  Json mistral = with(llama_json(), "model_type", "mistral");
  EXPECT_EQ(parse(mistral).window_of(0), 4096) << "transformers' default";
  mistral["sliding_window"] = nullptr;
  EXPECT_EQ(parse(mistral).window_of(0), 0);
  EXPECT_EQ(parse(config_to_json(parse(mistral))).sliding_window, 0);
  mistral["sliding_window"] = 7;
  EXPECT_EQ(parse(config_to_json(parse(mistral))).window_of(1), 7);
}

TEST(RopeTest, TheLengthsThatAModelIsMadeFor) {
  Json json = with(llama_json(), "max_position_embeddings", 1000);
  EXPECT_EQ(context_length(parse(json)), 1000);
  json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 4.0}};
  EXPECT_EQ(context_length(parse(json)), 4000);
  json["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 500}};
  EXPECT_EQ(context_length(parse(json)), 2000);
  json["rope_scaling"] = {{"rope_type", "dynamic"}, {"factor", 4.0}};
  EXPECT_EQ(context_length(parse(json)), 1000);
  EXPECT_TRUE(check_rope_length(parse(json), 1000).ok());
  EXPECT_THAT(check_rope_length(parse(json), 1001).message(), HasSubstr("dynamic"));
  EXPECT_EQ(rope_of(parse(json), 1000).inverse_frequencies,
            rope_of(parse(with(llama_json(), "rope_theta", 10000.0)), 1).inverse_frequencies);
  EXPECT_LT(rope_of(parse(json), 2000).inverse_frequencies[1],
            rope_of(parse(json), 1000).inverse_frequencies[1]);
}

TEST(ConfigTest, ReadsWhatItWrites) {
  for (const char* model_type : {"llama", "qwen2", "qwen3"}) {
    ModelConfig c = tiny_config(model_type);
    c.rope_scaling = RopeScaling::llama3(32, 1, 4, 512);
    c.rope_theta = 500000;
    c.dtype = "bfloat16";
    c.tie_word_embeddings = true;
    const ModelConfig back = parse(config_to_json(c));
    EXPECT_EQ(config_to_json(back), config_to_json(c));
    EXPECT_THAT(back.eos_token_ids, ElementsAre(2, 5));
    EXPECT_EQ(back.rope_scaling->factor, 32);
    EXPECT_EQ(back.head_dim, 4);
  }
}

TEST(ConfigTest, CheckConfigRefusesWhatNoModelOfTheTypeHas) {
  const auto refused = [](const std::string& type,
                          const std::function<void(ModelConfig&)>& change) {
    ModelConfig c = tiny_config(type);
    EXPECT_TRUE(check_config(c, "c").ok());
    change(c);
    return !check_config(c, "c").ok();
  };
  EXPECT_TRUE(refused("llama", [](ModelConfig& c) { c.qkv_bias = true; }));
  EXPECT_TRUE(refused("llama", [](ModelConfig& c) { c.facts.qk_norm = QkNorm::heads; }));
  EXPECT_TRUE(refused("qwen2", [](ModelConfig& c) { c.qkv_bias = false; }));
  EXPECT_TRUE(refused("qwen2", [](ModelConfig& c) { c.mlp_bias = true; }));
  EXPECT_TRUE(refused("qwen3", [](ModelConfig& c) { c.facts.qk_norm = QkNorm::none; }));
  EXPECT_TRUE(refused("qwen3", [](ModelConfig& c) { c.model_type = "gpt2"; }));
  const auto window = [](ModelConfig& c) {
    c.sliding_window = 3;
    c.sliding_layers = {true, false};
  };
  EXPECT_TRUE(refused("llama", window));
  EXPECT_TRUE(refused("mistral", window));  // mistral has it in every layer or in none
  EXPECT_FALSE(refused("qwen2", window));
  EXPECT_TRUE(refused("qwen2", [](ModelConfig& c) { c.sliding_window = 3; }));
  EXPECT_TRUE(refused("mistral", [](ModelConfig& c) { c.qkv_bias = c.attention_out_bias = true; }));
}

TEST(ArchitectureTest, CountsTheParametersOfSmolLM2) {
  ModelConfig c = tiny_config("llama");
  c.vocab_size = 49152;
  c.hidden_size = 576;
  c.intermediate_size = 1536;
  c.num_layers = 30;
  c.num_heads = 9;
  c.num_kv_heads = 3;
  c.head_dim = 64;
  c.tie_word_embeddings = true;
  EXPECT_EQ(parameter_count(c), 134515008);
  EXPECT_EQ(expected_weights(c).size(), 272u);
  c.tie_word_embeddings = false;
  EXPECT_EQ(parameter_count(c), 134515008 + 49152 * 576);
  EXPECT_EQ(expected_weights(c).back().name, "lm_head.weight");
}

TEST(ArchitectureTest, RopeFrequenciesFallFromOneToTheBase) {
  ModelConfig c = tiny_config("llama");
  c.head_dim = 64;
  const std::vector<float> plain = rope_of(c, 1).inverse_frequencies;
  ASSERT_EQ(plain.size(), 32u);
  EXPECT_EQ(plain[0], 1.0f);
  EXPECT_FLOAT_EQ(plain[16], 0.01f);
}

TEST(ArchitectureTest, Llama3ScalingKeepsHighAndDividesLowFrequencies) {
  ModelConfig c = tiny_config("llama");
  c.head_dim = 64;
  c.rope_theta = 500000;
  const std::vector<float> plain = rope_of(c, 1).inverse_frequencies;
  c.rope_scaling = RopeScaling::llama3(32, 1, 4, 8192);
  const std::vector<float> scaled = rope_of(c, 1).inverse_frequencies;
  EXPECT_EQ(scaled[0], plain[0]);
  EXPECT_EQ(scaled[31], static_cast<float>(plain[31] / 32.0));
  int between = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_LE(scaled[i], plain[i]);
    EXPECT_GE(scaled[i], plain[i] / 32.0f * 0.9999f);
    between += scaled[i] != plain[i] && scaled[i] > plain[i] / 32.0f * 1.0001f;
  }
  EXPECT_GT(between, 0);
}

// transformers 5.23, ROPE_INIT_FUNCTIONS["llama3"], with the parameters of Llama 3.2 1B. It
// computes in f32.
TEST(ArchitectureTest, Llama3FrequenciesAreThoseOfTransformers) {
  const std::vector<float> expected = {1.0f,
                                       0.663601279f,
                                       0.440366626f,
                                       0.292227834f,
                                       0.193922758f,
                                       0.128687382f,
                                       0.0853971019f,
                                       0.0566696189f,
                                       0.0376060307f,
                                       0.0249554086f,
                                       0.0165604409f,
                                       0.0109895291f,
                                       0.00729266508f,
                                       0.00483942125f,
                                       0.00321144611f,
                                       0.00129054801f,
                                       0.000429556705f,
                                       9.70828623e-05f,
                                       1.94616387e-05f,
                                       1.29147675e-05f,
                                       8.57025589e-06f,
                                       5.68723226e-06f,
                                       3.77405445e-06f,
                                       2.50446715e-06f,
                                       1.66196742e-06f,
                                       1.10288363e-06f,
                                       7.31874934e-07f,
                                       4.85673127e-07f,
                                       3.22293289e-07f,
                                       2.1387423e-07f,
                                       1.41927202e-07f,
                                       9.41830649e-08f};
  ModelConfig c = tiny_config("llama");
  c.head_dim = 64;
  c.rope_theta = 500000;
  c.rope_scaling = RopeScaling::llama3(32, 1, 4, 8192);
  const std::vector<float> frequencies = rope_of(c, 1).inverse_frequencies;
  ASSERT_EQ(frequencies.size(), expected.size());
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(frequencies[i] / double{expected[i]} - 1));
  }
  RecordProperty("largest_relative_difference", fmt::format("{}", worst));
  EXPECT_LT(worst, 1e-6);
}

}  // namespace
}  // namespace longshot::model
