#include "model/merge/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::model {
namespace {

using ::testing::HasSubstr;

Status load(const std::string& toml, Recipe& recipe) {
  RecipeKeys keys;
  Settings settings;
  bind(settings, keys);
  LS_RETURN_IF_ERROR(settings.load_toml(toml, "r.toml"));
  recipe = keys.recipe;
  return check_recipe(recipe);
}

std::string error_of(const std::string& toml) {
  Recipe recipe;
  const Status status = load(toml, recipe);
  EXPECT_FALSE(status.ok()) << toml;
  return status.message();
}

TEST(RecipeTest, ReadsATableForEachModel) {
  Recipe recipe;
  const Status status = load(R"(
merge_method = "ties"
base_model = "base"
dtype = "bfloat16"
parameters.density = 0.5
parameters.normalize = false
parameters.lambda = [{filter = "mlp", value = [1, 2]}, {value = 3}]
[[models]]
model = "a"
parameters = {weight = 0.7}
[[models]]
model = "b"
[models.parameters]
weight = [{filter = "self_attn", value = 0.1}]
density = 1
)",
                             recipe);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(recipe.method, MergeMethod::ties);
  ASSERT_EQ(recipe.models.size(), 2u);
  const auto number = [&](const char* name, int model, const char* tensor, double depth) {
    return recipe.number(name, model < 0 ? nullptr : &recipe.models[model], tensor, depth, -1);
  };
  EXPECT_EQ(number("weight", 0, "x", 0), 0.7);
  EXPECT_EQ(number("density", 0, "x", 0), 0.5);
  EXPECT_EQ(number("density", 1, "x", 0), 1);
  EXPECT_EQ(number("weight", 1, "self_attn.q", 0), 0.1);
  EXPECT_EQ(number("weight", 1, "mlp", 0), -1);  // no rule matches
  EXPECT_EQ(number("lambda", -1, "mlp", 0.5), 1.5);
  EXPECT_EQ(number("lambda", -1, "other", 0.5), 3);
  EXPECT_FALSE(recipe.normalizes());
  EXPECT_FALSE(recipe.rescales());
}

TEST(RecipeTest, DefaultsAreThoseOfTheMethod) {
  Recipe recipe;
  ASSERT_TRUE(load("models = ['a', 'b']", recipe).ok());
  EXPECT_TRUE(recipe.normalizes());
  ASSERT_TRUE(load("models = ['a']\nbase_model = 'b'\nmerge_method = 'dare_ties'", recipe).ok());
  EXPECT_FALSE(recipe.normalizes());
  EXPECT_TRUE(recipe.rescales());
}

TEST(RecipeTest, ErrorsNameTheKey) {
  EXPECT_THAT(error_of("models = []"), HasSubstr("no model to merge"));
  EXPECT_THAT(error_of("models = ['a']\nmerge_method = 'ties'"), HasSubstr("needs a base model"));
  EXPECT_THAT(error_of("models = ['a']\nbase_model = 'b'"), HasSubstr("list the base model too"));
  EXPECT_THAT(error_of("models = ['a', 'c']\nbase_model = 'b'\nmerge_method = 'slerp'"),
              HasSubstr("one other, 2 are listed"));
  EXPECT_THAT(error_of("models = ['a']\nbase_model = 'b'\nmerge_method = 'slerp'"),
              HasSubstr("needs parameters.t"));
  EXPECT_THAT(error_of("models = ['a']\nbase_model = 'a'\nmerge_method = 'ties'"),
              HasSubstr("no model besides"));
  EXPECT_THAT(error_of("models = ['a']\nparameters.density = 0.5"),
              HasSubstr("linear does not read it"));
  EXPECT_THAT(error_of("models = [{model = 'a', parameters = {density = 2}}]"),
              HasSubstr("models[0].parameters.density is 2"));
  EXPECT_THAT(error_of("models = [{model = 'a', parameters = {t = 0}}]"), HasSubstr("not 't'"));
  EXPECT_THAT(error_of("models = [{path = 'a'}]"), HasSubstr("'path' is neither model"));
  EXPECT_THAT(error_of("parameters.int8_mask = true"), HasSubstr("never in memory"));
  EXPECT_THAT(error_of("parameters.normalize = 1"), HasSubstr("true or false"));
  EXPECT_THAT(error_of("dtype = 'int8'"), HasSubstr("float32, bfloat16 or float16"));
}

}  // namespace
}  // namespace longshot::model
