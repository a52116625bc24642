#include "model/format/gguf/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/format/gguf/gguf_model.h"
#include "model/format/gguf/testing.h"

namespace longshot::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GgufTest : public ::testing::Test {
 protected:
  std::string file(const std::string& bytes) {
    const std::string path = directory_ / "m.gguf";
    write_scratch(path, bytes);
    return path;
  }
  std::string open_error(const std::string& bytes) {
    const auto opened = GgufFile::open(file(bytes));
    EXPECT_FALSE(opened.ok());
    return opened.ok() ? "" : opened.status().message();
  }
  std::string read_error(const GgufBuilder& builder) {
    const auto model = read_model(file(builder.bytes()));
    EXPECT_FALSE(model.ok());
    return model.ok() ? "" : model.status().message();
  }

  TemporaryDirectory directory_;
};

TEST_F(GgufTest, ReadsTypedMetadata) {
  GgufBuilder b;
  b.u32("a", 7).f32("eps", 1e-5f).string("s", "text").strings("list", {"x", "", "yz"});
  b.value("b", GgufType::boolean, "\x01");
  b.value("n", GgufType::i64, GgufBuilder::raw<int64_t>(-5));
  b.value("ints", GgufType::array,
          GgufBuilder::raw<uint32_t>(5) + GgufBuilder::raw<uint64_t>(2) + GgufBuilder::raw(3) +
              GgufBuilder::raw(-4));
  const auto opened = GgufFile::open(file(b.bytes()));
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_EQ(opened->scalar("a").value(), 7);
  EXPECT_EQ(opened->scalar("eps").value(), 1e-5);
  EXPECT_EQ(opened->scalar("s").value(), "text");
  EXPECT_EQ(opened->scalar("b").value(), true);
  EXPECT_EQ(opened->scalar("n").value(), -5);
  EXPECT_TRUE(opened->scalar("missing").value().is_null());
  EXPECT_FALSE(opened->scalar("list").ok());
  EXPECT_THAT(opened->strings("list").value(), ElementsAre("x", "", "yz"));
  EXPECT_THAT(opened->integers("ints").value(), ElementsAre(3, -4));
  EXPECT_FALSE(opened->strings("ints").ok());
  EXPECT_FALSE(opened->integers("list").ok());
  EXPECT_TRUE(opened->strings("missing").value().empty());
}

TEST_F(GgufTest, ReadsAModelOfEachFamily) {
  for (const char* model_type : {"llama", "qwen2", "qwen3"}) {
    ModelConfig config = tiny_config(model_type);
    config.tie_word_embeddings = std::string(model_type) == "qwen2";
    const auto weights = random_weights(config, 3);
    const auto model = read_model(file(gguf_of(config, weights).bytes()));
    ASSERT_TRUE(model.ok()) << model.status().to_string();
    EXPECT_THAT(model->config.eos_token_ids, ElementsAre(2, 5));
    EXPECT_EQ(model->config.tie_word_embeddings, config.tie_word_embeddings);
    EXPECT_EQ(model->config.rms_norm_eps, 1e-6);
    EXPECT_EQ(model->tokenizer, nullptr);
    ASSERT_EQ(model->weights.size(), weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(model->weights[i].name, weights[i].name);
      EXPECT_EQ(model->weights[i].shape, weights[i].shape);
      EXPECT_EQ(model->weights[i].data, weights[i].data) << weights[i].name;
    }
  }
}

TEST_F(GgufTest, RecoversLlama3RopeScalingFromItsDivisors) {
  ModelConfig config = tiny_config("llama");
  config.head_dim = 64;
  config.rope_theta = 500000;
  const std::vector<float> plain = rope_of(config, 1).inverse_frequencies;
  config.rope_scaling = RopeScaling::llama3(32, 1, 4, 8192);
  const std::vector<float> scaled = rope_of(config, 1).inverse_frequencies;
  std::vector<float> divisors;
  for (size_t i = 0; i < plain.size(); ++i) divisors.push_back(plain[i] / scaled[i]);
  const auto weights = random_weights(config, 3);
  const auto with_divisors = [&] {
    GgufBuilder b = gguf_of(config, weights);
    const std::string bytes(reinterpret_cast<const char*>(divisors.data()), divisors.size() * 4);
    return b.tensor_with_data("rope_freqs.weight", {divisors.size()}, 0, bytes);
  };
  const auto read = read_model_config(file(with_divisors().bytes()));
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  ASSERT_TRUE(read->rope_scaling.has_value());
  EXPECT_EQ(read->rope_scaling->factor, 32);
  EXPECT_EQ(rope_of(*read, 1).inverse_frequencies, scaled);
  divisors[20] *= 1.5f;
  EXPECT_THAT(read_error(with_divisors()), HasSubstr("rope_freqs.weight"));
  divisors.pop_back();
  EXPECT_THAT(read_error(with_divisors()), HasSubstr("rope_freqs.weight"));
}

TEST_F(GgufTest, ReadsTheVocabulary) {
  GgufBuilder b;
  b.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "smollm");
  b.strings("tokenizer.ggml.tokens", {"<s>", "a", "b"}).strings("tokenizer.ggml.merges", {"a b"});
  b.u32("tokenizer.ggml.bos_token_id", 0)
      .value("tokenizer.ggml.add_bos_token", GgufType::boolean, "\x01");
  const auto v = read_gguf_vocabulary(file(b.bytes()));
  ASSERT_TRUE(v.ok()) << v.status().to_string();
  EXPECT_EQ(v->pre, "smollm");
  EXPECT_THAT(v->tokens, ElementsAre("<s>", "a", "b"));
  EXPECT_THAT(v->token_types, ElementsAre(1, 1, 1));
  EXPECT_EQ(v->bos, 0);
  EXPECT_FALSE(v->eos.has_value());
  EXPECT_EQ(v->add_bos, true);
  b.u32("tokenizer.ggml.eos_token_id", 3);
  EXPECT_THAT(read_gguf_vocabulary(file(b.bytes())).status().message(), HasSubstr("eos_token_id"));
}

TEST_F(GgufTest, NamesWhatIsMissingExtraOrMisshapen) {
  const ModelConfig config = tiny_config("llama");
  auto weights = random_weights(config, 3);
  EXPECT_THAT(read_error(gguf_of(config, weights).tensor_with_data("blk.0.extra", {1}, 0, "abcd")),
              HasSubstr("blk.0.extra"));
  auto missing = weights;
  missing.erase(missing.begin() + 1);
  EXPECT_THAT(read_error(gguf_of(config, missing)),
              ::testing::AllOf(HasSubstr("blk.0.attn_norm.weight"), HasSubstr("missing"),
                               HasSubstr("[8]")));
  weights[1].shape = {4};
  weights[1].data.resize(4);
  EXPECT_THAT(
      read_error(gguf_of(config, weights)),
      ::testing::AllOf(HasSubstr("blk.0.attn_norm.weight"), HasSubstr("[4]"), HasSubstr("[8]")));
}

TEST_F(GgufTest, NamesUnsupportedMetadata) {
  const ModelConfig config = tiny_config("llama");
  const auto good = gguf_of(config, random_weights(config, 3));
  EXPECT_THAT(read_error(GgufBuilder(good).string("llama.rope.scaling.type", "yarn")),
              HasSubstr("yarn"));
  // A Llama with experts is a Mixtral.
  EXPECT_THAT(read_error(GgufBuilder(good).u32("llama.expert_count", 8)),
              HasSubstr("'llama.expert_used_count' is missing"));
  EXPECT_THAT(read_error(GgufBuilder(good).u32("llama.expert_gating_func", 2)),
              HasSubstr("expert_gating_func"));
  EXPECT_THAT(read_error(GgufBuilder(good).u32("llama.rope.dimension_count", 2)),
              HasSubstr("dimension_count"));
  EXPECT_THAT(
      read_error(GgufBuilder()
                     .string("general.architecture", "mamba")
                     .tensor_with_data("token_embd.weight", {4, 4}, 0, std::string(64, 'x'))),
      HasSubstr("mamba"));
}

TEST_F(GgufTest, RefusesHostileFiles) {
  const auto tensor = [&](const std::vector<uint64_t>& extents, uint32_t type, uint64_t offset) {
    return open_error(
        GgufBuilder().tensor("t", extents, type, offset).data(std::string(64, 'x')).bytes());
  };
  EXPECT_THAT(open_error("GGML"), HasSubstr("not a GGUF"));
  EXPECT_THAT(open_error("GGUF" + GgufBuilder::raw<uint32_t>(1)), HasSubstr("version"));
  EXPECT_THAT(open_error("GGUF" + GgufBuilder::raw<uint32_t>(0x03000000)), HasSubstr("version"));
  EXPECT_THAT(tensor({17}, 0, 0), HasSubstr("cut short"));
  EXPECT_THAT(tensor({16}, 0, 32), HasSubstr("cut short"));
  EXPECT_THAT(tensor({4}, 0, 4), HasSubstr("cut short"));
  EXPECT_THAT(tensor({16}, 0, ~uint64_t{31}), HasSubstr("cut short"));
  EXPECT_THAT(tensor({1ull << 62, 1ull << 62}, 0, 0), HasSubstr("too large"));
  EXPECT_THAT(tensor({1ull << 62}, 0, 0), HasSubstr("too large"));
  EXPECT_THAT(tensor({~0ull}, 0, 0), HasSubstr("too large"));
  EXPECT_THAT(tensor({1, 1, 1, 1, 1}, 0, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(tensor({16}, 99, 0), HasSubstr("99"));
  EXPECT_THAT(tensor({31}, 2, 0), HasSubstr("block"));
  EXPECT_THAT(open_error(GgufBuilder()
                             .tensor("a", {16}, 0, 0)
                             .tensor("b", {8}, 0, 32)
                             .data(std::string(64, 'x'))
                             .bytes()),
              HasSubstr("overlap"));
  EXPECT_THAT(open_error(GgufBuilder()
                             .tensor("a", {8}, 0, 0)
                             .tensor("a", {8}, 0, 32)
                             .data(std::string(64, 'x'))
                             .bytes()),
              HasSubstr("twice"));
  EXPECT_THAT(open_error(GgufBuilder().u32("a", 1).u32("a", 2).bytes()), HasSubstr("twice"));
  EXPECT_THAT(open_error(GgufBuilder().u32("general.alignment", 0).bytes()),
              HasSubstr("power of two"));
  EXPECT_THAT(open_error(GgufBuilder().u32("general.alignment", 48).bytes()),
              HasSubstr("power of two"));
  EXPECT_THAT(open_error(GgufBuilder().value("a", static_cast<GgufType>(77), "").bytes()),
              HasSubstr("77"));
}

TEST_F(GgufTest, RefusesArraysThatClaimMoreThanTheFileHolds) {
  for (const GgufType element : {GgufType::string, GgufType::u8, GgufType::f64}) {
    for (const uint64_t count : {uint64_t{1000}, uint64_t{1} << 40, ~uint64_t{0}}) {
      const std::string bytes =
          GgufBuilder::raw(static_cast<uint32_t>(element)) + GgufBuilder::raw(count);
      EXPECT_THAT(open_error(GgufBuilder().value("a", GgufType::array, bytes).bytes()),
                  HasSubstr("cut short"));
    }
  }
  const std::string nested =
      GgufBuilder::raw(static_cast<uint32_t>(GgufType::array)) + GgufBuilder::raw<uint64_t>(1);
  EXPECT_THAT(open_error(GgufBuilder().value("a", GgufType::array, nested + nested).bytes()),
              HasSubstr("not supported"));
}

TEST_F(GgufTest, RefusesEveryTruncation) {
  const ModelConfig config = tiny_config("llama");
  const std::string whole = gguf_of(config, random_weights(config, 3)).bytes();
  for (size_t size = 0; size + 32 < whole.size(); size += size < 2500 ? 1 : 53) {
    ASSERT_FALSE(GgufFile::open(file(whole.substr(0, size))).ok()) << size;
  }
}

}  // namespace
}  // namespace longshot::model
