#include "model/format/model_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/format/architecture.h"
#include "model/format/testing.h"

namespace longshot::model {
namespace {

using ::testing::ElementsAre;

class EveryType : public ::testing::TestWithParam<ModelType> {};
INSTANTIATE_TEST_SUITE_P(ModelTypes, EveryType, ::testing::ValuesIn(model_types()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(EveryType, IsWrittenAndReadBack) {
  const ModelConfig c = tiny_config(GetParam().name);
  ASSERT_TRUE(check_config(c, "c").ok()) << check_config(c, "c").message();
  const Json json = config_to_json(c);
  const ModelConfig back = config_from_json(json, "config.json").value();
  EXPECT_EQ(config_to_json(back), json);
  EXPECT_EQ(back.facts, c.facts);
  EXPECT_EQ(back.no_rope_layers, c.no_rope_layers);
  EXPECT_EQ(back.sliding_layers, c.sliding_layers);
  EXPECT_EQ(back.rotary_width(), c.rotary_width());
  EXPECT_EQ(back.local_rope_theta, c.local_rope_theta);
  EXPECT_NEAR(back.attention_multiplier, c.attention_multiplier, 1e-12);
}

TEST_P(EveryType, RefusesTheNumbersOfOthers) {
  const ModelType& type = GetParam();
  const auto refused = [&](void (*change)(ModelConfig&)) {
    ModelConfig c = tiny_config(type.name);
    change(c);
    return !check_config(c, "c").ok();
  };
  EXPECT_EQ(refused([](ModelConfig& c) { c.residual_multiplier = 0.5; }), !type.multipliers);
  EXPECT_EQ(refused([](ModelConfig& c) { c.partial_rotary_factor = 0.5; }), !type.partial_rotary);
  EXPECT_EQ(refused([](ModelConfig& c) { c.attention_softcap = 5; }), !type.attention_cap);
  EXPECT_EQ(refused([](ModelConfig& c) { c.no_rope_layers = {true, true}; }), !type.no_rope_layers);
  EXPECT_EQ(refused([](ModelConfig& c) { c.logit_softcap = 5; }), !type.gemma_scales);
  EXPECT_TRUE(refused([](ModelConfig& c) { c.facts.rope_pairs = !c.facts.rope_pairs; }));
}

// The rows of the roles follow one another and fill their module.
TEST_P(EveryType, RolesShareTheRowsOfTheirModule) {
  const ModelConfig c = tiny_config(GetParam().name);
  const auto specs = expected_weights(c);
  const auto rows_in_file = [&](const std::string& module) {
    const auto spec = std::ranges::find(specs, weight_of(module), &WeightSpec::name);
    return spec == specs.end() ? -1 : spec->shape[0];
  };
  const auto mlp = c.has_experts(1) ? std::vector{Role::expert_gate, Role::expert_up}
                                    : std::vector{Role::gate, Role::up};
  for (const auto& roles : {std::vector{Role::q, Role::k, Role::v}, mlp}) {
    const bool fused = rows_of(c, 1, roles[0]).module == rows_of(c, 1, roles[1]).module;
    EXPECT_EQ(fused, roles[0] == Role::q ? c.facts.fused_qkv : c.facts.fused_gate_up);
    int64_t total = 0;
    for (const Role role : roles) {
      const RowsOfModule rows = rows_of(c, 1, role);
      EXPECT_EQ(rows.first, fused ? total : 0);
      total += rows.rows;
      if (!fused) EXPECT_EQ(rows.rows, rows_in_file(rows.module));
    }
    if (fused) EXPECT_EQ(total, rows_in_file(rows_of(c, 1, roles[0]).module));
  }
}

std::vector<std::string> names_of_layer(const ModelConfig& config, int layer) {
  std::vector<std::string> names;
  for (const ModuleName& module : layer_modules(config, layer))
    names.push_back(module.name.substr(module.name.find('.') + 1));
  return names;
}
std::vector<std::string> names_of_layer(const std::string& type) {
  return names_of_layer(tiny_config(type), 0);
}

TEST(ModelTypes, ModulesInTheOrderOfALayer) {
  EXPECT_THAT(names_of_layer("llama"),
              ElementsAre("input_layernorm", "q_proj", "k_proj", "v_proj", "o_proj",
                          "post_attention_layernorm", "gate_proj", "up_proj", "down_proj"));
  EXPECT_THAT(names_of_layer("olmo2"),
              ElementsAre("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm",
                          "post_attention_layernorm", "gate_proj", "up_proj", "down_proj",
                          "post_feedforward_layernorm"));
  EXPECT_THAT(names_of_layer("phi3"),
              ElementsAre("input_layernorm", "qkv_proj", "o_proj", "post_attention_layernorm",
                          "gate_up_proj", "down_proj"));
}

TEST(ModelTypes, ModulesOfLayersWithExperts) {
  ModelConfig c = tiny_config("qwen3_moe");  // its second layer has an MLP
  c.experts.count = 2;
  EXPECT_THAT(names_of_layer(c, 0),
              ElementsAre("input_layernorm", "q_proj", "k_proj", "v_proj", "o_proj", "q_norm",
                          "k_norm", "post_attention_layernorm", "gate", "experts.0.gate_proj",
                          "experts.0.up_proj", "experts.0.down_proj", "experts.1.gate_proj",
                          "experts.1.up_proj", "experts.1.down_proj"));
  EXPECT_THAT(
      names_of_layer(c, 1),
      ElementsAre("input_layernorm", "q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm",
                  "post_attention_layernorm", "gate_proj", "up_proj", "down_proj"));
  EXPECT_EQ(module_of(tiny_config("mixtral"), 1, Role::expert_down, 3),
            "model.layers.1.block_sparse_moe.experts.3.w2");
}

Json json_of(const std::string& type) {
  return {{"model_type", type},      {"vocab_size", 64},       {"hidden_size", 16},
          {"intermediate_size", 32}, {"num_hidden_layers", 6}, {"num_attention_heads", 4}};
}

TEST(ModelTypes, DefaultsAreThoseOfTransformers) {
  const auto read = [](const std::string& type) {
    return config_from_json(json_of(type), "config.json").value();
  };
  const ModelConfig smollm3 = read("smollm3"), gemma2 = read("gemma2"),
                    gemma3 = read("gemma3_text");
  EXPECT_THAT(smollm3.no_rope_layers, ElementsAre(false, false, false, true, false, false));
  EXPECT_EQ(smollm3.rope_theta, 2e6);
  EXPECT_TRUE(smollm3.tie_word_embeddings);
  EXPECT_THAT(gemma2.sliding_layers, ElementsAre(true, false, true, false, true, false));
  EXPECT_EQ(gemma2.sliding_window, 4096);
  EXPECT_EQ(gemma2.embedding_multiplier, 4);
  EXPECT_EQ(gemma2.attention_multiplier, 1.0 / 16);  // of a query_pre_attn_scalar of 256
  EXPECT_EQ(gemma2.attention_softcap, 50);
  EXPECT_EQ(gemma2.logit_softcap, 30);
  EXPECT_THAT(gemma3.sliding_layers, ElementsAre(true, true, true, true, true, false));
  EXPECT_EQ(gemma3.rope_theta, 1e6);
  EXPECT_EQ(gemma3.local_rope_theta, 1e4);
  EXPECT_EQ(gemma3.logit_softcap, 0);
  EXPECT_EQ(read("glm4").rotary_width(), 64);
  EXPECT_TRUE(read("glm4").qkv_bias && !read("glm4").attention_out_bias);
  EXPECT_EQ(read("olmo2").rms_norm_eps, 1e-5);
  Json mixtral = json_of("mixtral");
  mixtral["num_attention_heads"] = 8;  // the default of num_key_value_heads
  EXPECT_EQ(config_from_json(mixtral, "config.json").value().experts,
            (Experts{8, 2, 32, true, {}}));
  EXPECT_EQ(read("qwen3_moe").experts, (Experts{128, 8, 768, false, {}}));
}

TEST(ModelTypes, TheLocalRopeIsUnscaled) {
  ModelConfig c = tiny_config("gemma3_text", {.head_dim = 4});
  c.rope_scaling = RopeScaling{};
  c.rope_scaling->factor = 8;
  c.local_rope_theta = 100;
  EXPECT_THAT(local_rope_of(c).inverse_frequencies, ElementsAre(1.0f, 0.1f));
  EXPECT_THAT(rope_of(c, 1).inverse_frequencies, ElementsAre(0.125f, 0.125f / 100));
}

}  // namespace
}  // namespace longshot::model
