#include "model/merge/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/settings/checks.h"

namespace longshot::model {
namespace {

struct Known {
  const char* name;
  double low, high;
  const char* help;
};
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Known kKnown[] = {
    {"weight", -kInfinity, kInfinity, "share of a model; 1 if it is not given"},
    {"density", 0, 1, "ties, dare: share of the differences that is kept; 1 if it is not given"},
    {"t", 0, 1, "slerp: 0 is the base model, 1 the other one"},
    {"lambda", -kInfinity, kInfinity, "factor of the sum of the differences; 1 if it is not given"},
};

const Known* find_known(const std::string& name) {
  const auto found = std::ranges::find_if(kKnown, [&](const Known& k) { return k.name == name; });
  return found == std::end(kKnown) ? nullptr : found;
}

Status read_parameter(const std::string& name, const Json& json, const std::string& where,
                      Parameters& out) {
  const Known& known = *find_known(name);
  LS_ASSIGN_OR_RETURN(Parameter parameter,
                      Parameter::parse(json, where + name, known.low, known.high));
  out.insert_or_assign(name, std::move(parameter));
  return ok_status();
}

// {model = "...", parameters = {weight = ..., density = ...}}, or the path alone.
Result<RecipeModel> read_model(const Json& json, const std::string& where) {
  RecipeModel model;
  if (json.is_string()) {
    model.path = json.get<std::string>();
    return model;
  }
  if (!json.is_object()) return invalid_argument(where + " is neither a path nor a table");
  for (const auto& [key, value] : json.items()) {
    if (key == "model" && value.is_string()) {
      model.path = value.get<std::string>();
    } else if (key == "parameters" && value.is_object()) {
      for (const auto& [name, number] : value.items()) {
        if (name != "weight" && name != "density") {
          return invalid_argument(fmt::format(
              "{}: a model has the parameters weight and density, not '{}'", where, name));
        }
        LS_RETURN_IF_ERROR(read_parameter(name, number, where + ".parameters.", model.parameters));
      }
    } else {
      return invalid_argument(
          fmt::format("{}: '{}' is neither model (a path) nor parameters (a table)", where, key));
    }
  }
  if (model.path.empty()) return invalid_argument(where + " has no model");
  return model;
}

Result<std::vector<RecipeModel>> read_models(const Json& list) {
  std::vector<RecipeModel> models;
  for (size_t i = 0; i < list.size(); ++i) {
    LS_ASSIGN_OR_RETURN(RecipeModel model, read_model(list[i], fmt::format("models[{}]", i)));
    models.push_back(std::move(model));
  }
  return models;
}

void bind_switch(Settings& s, RecipeKeys& keys, const std::string& name, std::optional<bool>& field,
                 const std::string& help) {
  const std::string key = "parameters." + name;
  s.add_parsed(key, &keys.parameters[name], help, [&field, key](const Json& list) -> Status {
    if (list.size() != 1 || !list[0].is_boolean())
      return invalid_argument(key + " must be true or false");
    field = list[0].get<bool>();
    return ok_status();
  });
}

Status check_models(const Recipe& r) {
  const bool has_base = !r.base_model.empty();
  if (r.models.empty()) return invalid_argument("no model to merge: give --model or models");
  if (r.method == MergeMethod::linear) {
    const bool listed = std::ranges::count(r.models, r.base_model, &RecipeModel::path) > 0;
    if (has_base && !listed) {
      return invalid_argument(
          "linear averages the models that are listed; list the base model too, or leave "
          "base_model out");
    }
    return ok_status();
  }
  if (!has_base)
    return invalid_argument(
        fmt::format("{} needs a base model: --base-model or base_model", name_of(r.method)));
  const auto others =
      std::ranges::count_if(r.models, [&](const RecipeModel& m) { return m.path != r.base_model; });
  if (others == 0) return invalid_argument("there is no model besides the base model");
  if (r.method == MergeMethod::slerp && others != 1) {
    return invalid_argument(
        fmt::format("slerp merges the base model and one other, {} are listed", others));
  }
  return ok_status();
}

Status check_parameters(const Parameters& parameters, const Recipe& r, const std::string& where) {
  const auto& reads = traits_of(r.method).parameters;
  for (const auto& [name, parameter] : parameters) {
    if (std::ranges::count(reads, name) > 0) continue;
    return invalid_argument(
        fmt::format("{}{} is set, but {} does not read it", where, name, name_of(r.method)));
  }
  return ok_status();
}

}  // namespace

double Recipe::number(const std::string& name, const RecipeModel* model, const std::string& tensor,
                      double depth, double fallback) const {
  for (const Parameters* each :
       {model == nullptr ? &parameters : &model->parameters, &parameters}) {
    const auto found = each->find(name);
    if (found == each->end()) continue;
    if (const auto value = found->second.value(tensor, depth)) return *value;
  }
  return fallback;
}

void bind(Settings& s, RecipeKeys& keys) {
  Recipe& r = keys.recipe;
  s.add("merge_method", &r.method, "how the models are merged; docs/merging.md has the formulas");
  s.add_parsed("models", &keys.models,
               "list of paths or tables {model = PATH, parameters = {weight = ..., density = ...}}",
               [&r](const Json& list) -> Status {
                 LS_ASSIGN_OR_RETURN(r.models, read_models(list));
                 return ok_status();
               });
  s.add("base_model", &r.base_model,
        "model whose differences to the others are merged; its configuration and tokenizer are "
        "those of the result");
  s.add("dtype", &r.dtype,
        "of the weights written (float32, bfloat16, float16; default: the base or first model's)",
        [](const std::string& name) -> std::string {
          const bool known =
              name.empty() || name == "float32" || name == "bfloat16" || name == "float16";
          return known ? "" : "must be float32, bfloat16 or float16";
        });
  s.add("seed", &r.seed, "dare: of the differences that are dropped", at_least(int64_t{0}));
  for (const Known& known : kKnown) {
    const std::string name = known.name;
    s.add_parsed("parameters." + name, &keys.parameters[name], known.help,
                 [&r, name](const Json& json) {
                   return read_parameter(name, json, "parameters.", r.parameters);
                 });
  }
  bind_switch(s, keys, "normalize", r.normalize,
              "divide by the sum of the weights (linear, ties: true unless set)");
  bind_switch(s, keys, "rescale", r.rescale,
              "give the kept differences the sum of magnitudes of all (dare: true unless set)");
  s.explain("int8_mask", "masks are never in memory as a whole, so there is nothing to choose");
  s.explain("tokenizer_source", "the models must have the same tokenizer");
  s.explain("tokenizer", "the models must have the same tokenizer");
  s.explain("out_dtype", "dtype is that of the result; the arithmetic is in float32");
  s.explain("slices", "every layer is merged with the same layer of the other models");
  s.explain("modules", "every layer is merged with the same layer of the other models");
}

Status check_recipe(const Recipe& r) {
  LS_RETURN_IF_ERROR(check_models(r));
  LS_RETURN_IF_ERROR(check_parameters(r.parameters, r, "parameters."));
  for (const RecipeModel& model : r.models)
    LS_RETURN_IF_ERROR(check_parameters(model.parameters, r, model.path + ": "));
  const auto& reads = traits_of(r.method).parameters;
  if (r.rescale && std::ranges::count(reads, "rescale") == 0)
    return invalid_argument(
        fmt::format("parameters.rescale is set, but {} does not read it", name_of(r.method)));
  if (r.normalize && std::ranges::count(reads, "normalize") == 0)
    return invalid_argument(
        fmt::format("parameters.normalize is set, but {} does not read it", name_of(r.method)));
  if (r.method == MergeMethod::slerp && !r.parameters.contains("t"))
    return invalid_argument("slerp needs parameters.t (--t): 0 is the base model, 1 the other one");
  return ok_status();
}

}  // namespace longshot::model
