#include "data/step_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::data {
namespace {

using testing::HasSubstr;

std::string error_of(const char* json) {
  return step_values_from_json(*parse_json(json, "test"), "f:1").status().message();
}

TEST(StepValue, SurvivesJson) {
  const std::vector<StepValue> before = {{3, 0.1}, {17, -1}};
  const auto after = step_values_from_json(Json::parse(dump_json(to_json(before))), "f:1");
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(*after, before);
  EXPECT_TRUE(step_values_from_json(Json::array(), "f:1")->empty());
}

TEST(StepValue, CharactersAreCodePoints) {
  EXPECT_EQ(count_characters(""), 0);
  EXPECT_EQ(count_characters("a\n\u00e9\u20ac\U0001F600e\u0301"), 7);
}

TEST(StepValue, ErrorsNameTheStep) {
  EXPECT_THAT(error_of("[0.5, 1]"), HasSubstr("f:1: step 1 must be an object with 'end'"));
  EXPECT_THAT(error_of(R"({"end":1,"value":1})"), HasSubstr("f:1 must be a list"));
  EXPECT_THAT(error_of(R"([{"end":1,"value":1},{"end":2}])"),
              HasSubstr("f:1: step 2: key 'value' is missing"));
  EXPECT_THAT(error_of(R"([{"end":1,"value":"good"}])"), HasSubstr("'value' has the wrong type"));
  EXPECT_THAT(error_of(R"([{"end":1.5,"value":1}])"), HasSubstr("step 1: key 'end'"));
  EXPECT_THAT(error_of(R"([{"end":0,"value":1}])"),
              HasSubstr("'end' is 0, but the step begins at character 0"));
  EXPECT_THAT(error_of(R"([{"end":4,"value":1},{"end":4,"value":1}])"),
              HasSubstr("step 2: 'end' is 4, but the step begins at character 4"));
  EXPECT_THAT(error_of(R"([{"end":4,"value":1e400}])"), HasSubstr("not finite"));
}

}  // namespace
}  // namespace longshot::data
