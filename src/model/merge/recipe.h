#pragma once
// What to merge and how: the keys of a recipe file, which follow mergekit's configuration.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "model/merge/method.h"
#include "model/merge/parameter.h"

namespace longshot::model {

// By name: "weight", "density", "t", "lambda".
using Parameters = std::map<std::string, Parameter>;

struct RecipeModel {
  std::string path;
  Parameters parameters;  // take precedence over those of the recipe
};

struct Recipe {
  MergeMethod method = MergeMethod::linear;
  std::vector<RecipeModel> models;
  std::string base_model;
  std::string dtype;  // of the result; empty: that of the base or else of the first model
  Parameters parameters;
  std::optional<bool> normalize, rescale;  // empty: the default of the method
  int64_t seed = 0;

  // The value for one tensor: of the model, else of the recipe, else `fallback`.
  double number(const std::string& name, const RecipeModel* model, const std::string& tensor,
                double depth, double fallback) const;
  bool normalizes() const { return normalize.value_or(traits_of(method).normalizes_by_default); }
  bool rescales() const { return rescale.value_or(traits_of(method).rescales_by_default); }
};

// A recipe with the texts that its keys were set to.
struct RecipeKeys {
  Recipe recipe;
  Json models = Json::array();
  std::map<std::string, Json> parameters;
};
void bind(Settings& settings, RecipeKeys& keys);

// Error: the method lacks a model or the base, or does not read a parameter that is set.
Status check_recipe(const Recipe& recipe);

}  // namespace longshot::model
