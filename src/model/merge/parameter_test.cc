#include "model/merge/parameter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::model {
namespace {

using ::testing::HasSubstr;

Result<Parameter> parse(const std::string& json) {
  return Parameter::parse(*parse_json(json, "test"), "weight", 0, 1);
}

TEST(ParameterTest, ANumberIsTheSameForAllTensors) {
  const auto parameter = parse("0.25");
  ASSERT_TRUE(parameter.ok());
  EXPECT_EQ(parameter->value("anything", 0.7), 0.25);
}

TEST(ParameterTest, AListIsInterpolatedOverTheLayers) {
  const auto parameter = parse("[0, 1, 0.5]");
  ASSERT_TRUE(parameter.ok());
  EXPECT_EQ(parameter->value("x", 0), 0);
  EXPECT_EQ(parameter->value("x", 0.25), 0.5);
  EXPECT_EQ(parameter->value("x", 0.5), 1);
  EXPECT_EQ(parameter->value("x", 0.75), 0.75);
  EXPECT_EQ(parameter->value("x", 1), 0.5);
}

TEST(ParameterTest, TheFirstMatchingRuleApplies) {
  const auto parameter = parse(
      R"([{"filter": "mlp", "value": 0.3}, {"filter": "*.0.*", "value": [0.1]}, {"filter": "norm", "value": 1}])");
  ASSERT_TRUE(parameter.ok()) << parameter.status().message();
  EXPECT_EQ(parameter->value("model.layers.0.mlp.up_proj.weight", 0), 0.3);
  EXPECT_EQ(parameter->value("model.layers.0.self_attn.q_proj.weight", 0), 0.1);
  EXPECT_EQ(parameter->value("model.norm.weight", 0), 1);
  EXPECT_FALSE(parameter->value("lm_head.weight", 0));
}

TEST(ParameterTest, OtherFormsAreErrors) {
  EXPECT_THAT(parse("1.5").status().message(), HasSubstr("weight is 1.5, expected a number"));
  EXPECT_THAT(parse("[]").status().message(), HasSubstr("empty list"));
  EXPECT_THAT(parse("\"a\"").status().message(), HasSubstr("weight is \"a\""));
  EXPECT_THAT(parse(R"([{"filter": "a"}])").status().message(), HasSubstr("is not a table"));
  EXPECT_THAT(parse(R"([{"filters": "a", "value": 1}])").status().message(),
              HasSubstr("'filters' is neither"));
}

TEST(DepthTest, IsOfTheLayer) {
  EXPECT_EQ(depth_of("model.layers.0.mlp.up_proj.weight", 5), 0);
  EXPECT_EQ(depth_of("model.layers.3.mlp.up_proj.weight", 5), 0.75);
  EXPECT_EQ(depth_of("model.layers.0.mlp.up_proj.weight", 1), 1);
  EXPECT_EQ(depth_of("lm_head.weight", 5), 0);
}

}  // namespace
}  // namespace longshot::model
