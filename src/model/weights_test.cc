#include "model/weights.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/testing.h"

namespace longshot::model {
namespace {

std::vector<HostTensor> host_tensors(const ModelConfig& config) {
  std::vector<HostTensor> tensors;
  for (const WeightSpec& spec : expected_weights(config)) {
    int64_t count = 1;
    for (int64_t size : spec.shape) count *= size;
    HostTensor tensor{spec.name, spec.shape, std::vector<float>(count)};
    for (int64_t i = 0; i < count; ++i) tensor.data[i] = static_cast<float>(i) + 0.5F;
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

TEST(Weights, RandomIsAFunctionOfTheSeed) {
  const ModelConfig config = architecture("llama");
  const Weights a = Weights::random(config, 5, "cpu"), b = Weights::random(config, 5, "cpu");
  const Weights c = Weights::random(config, 6, "cpu");
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_TRUE(a.tensors()[i].tensor.equal(b.tensors()[i].tensor)) << a.tensors()[i].name;
  }
  EXPECT_FALSE(a.at("lm_head.weight").equal(c.at("lm_head.weight")));
  EXPECT_FALSE(a.at("model.layers.0.self_attn.q_proj.weight")
                   .equal(a.at("model.layers.1.self_attn.q_proj.weight")));
}

TEST(Weights, RandomHasTheStatedScales) {
  ModelConfig config = architecture("llama");
  config.hidden_size = 128;
  config.intermediate_size = 256;
  const Weights weights = Weights::random(config, 1, "cpu");
  const auto std_of = [&](const std::string& name) {
    return weights.at(name).detach().square().mean().sqrt().item<double>();
  };
  EXPECT_NEAR(std_of("model.layers.0.mlp.up_proj.weight"), 0.02, 0.0005);
  EXPECT_NEAR(std_of("model.layers.0.mlp.down_proj.weight"), 0.02 / std::sqrt(6.0), 0.0005);
  EXPECT_EQ(std_of("model.layers.0.input_layernorm.weight"), 1.0);
  EXPECT_EQ(std_of("model.layers.0.self_attn.q_proj.bias"), 0.0);
}

TEST(Weights, FromHostKeepsValuesAndViewBorrowsThem) {
  const ModelConfig config = architecture("qwen3");
  const std::vector<HostTensor> tensors = host_tensors(config);
  const Result<Weights> weights = Weights::from_host(config, tensors, "cpu");
  ASSERT_TRUE(weights.ok()) << weights.status().to_string();
  std::vector<at::Tensor> host_copy;
  const WeightsView view = weights->view(7, host_copy);
  EXPECT_EQ(view.version, 7);
  EXPECT_TRUE(host_copy.empty());
  ASSERT_EQ(view.tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(view.tensors[i].name, tensors[i].name);
    EXPECT_EQ(view.tensors[i].shape, tensors[i].shape);
    EXPECT_EQ(view.tensors[i].data, weights->tensors()[i].tensor.const_data_ptr<float>());
    EXPECT_TRUE(std::equal(tensors[i].data.begin(), tensors[i].data.end(), view.tensors[i].data));
  }
}

TEST(Weights, MadeInsideInferenceModeStillLearn) {
  c10::InferenceMode inference;
  const Weights weights = tiny_weights("llama");
  const Weights copy = weights.clone();
  for (const Weights* w : {&weights, &copy}) {
    for (const NamedTensor& named : w->tensors()) {
      EXPECT_FALSE(named.tensor.is_inference());
      EXPECT_TRUE(named.tensor.requires_grad() && named.tensor.is_leaf());
    }
  }
}

TEST(Weights, CloneSharesNothing) {
  const Weights weights = tiny_weights("llama");
  const Weights copy = weights.clone();
  const float before = weights.at("lm_head.weight").detach().sum().item<float>();
  copy.at("lm_head.weight").detach().zero_();
  EXPECT_EQ(weights.at("lm_head.weight").detach().sum().item<float>(), before);
}

TEST(Weights, FromHostNamesTheTensorThatDoesNotFit) {
  const ModelConfig config = architecture("llama");
  std::vector<HostTensor> tensors = host_tensors(config);
  tensors[2].shape.push_back(1);
  const Status shape = Weights::from_host(config, tensors, "cpu").status();
  EXPECT_EQ(shape.code(), StatusCode::invalid_argument);
  EXPECT_NE(shape.message().find(tensors[2].name), std::string::npos);
  tensors = host_tensors(config);
  tensors[1].name = "stranger";
  EXPECT_NE(Weights::from_host(config, tensors, "cpu").status().message().find("stranger"),
            std::string::npos);
  tensors.pop_back();
  EXPECT_FALSE(Weights::from_host(config, tensors, "cpu").ok());
}

TEST(Weights, UnknownDeviceIsAnErrorThatNamesIt) {
  EXPECT_TRUE(check_device("cpu").ok());
  const Status status = check_device("abacus");
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("abacus"), std::string::npos);
  const Status absent = check_device("xla");
  EXPECT_EQ(absent.code(), StatusCode::invalid_argument);
  EXPECT_NE(absent.message().find("docs/troubleshooting.md"), std::string::npos);
  EXPECT_EQ(absent.message().find('\n'), std::string::npos);
  EXPECT_NE(check_device("cpu:3").message().find("cpu:3"), std::string::npos);
}

}  // namespace
}  // namespace longshot::model
