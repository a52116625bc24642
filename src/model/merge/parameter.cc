#include "model/merge/parameter.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/format/architecture.h"

namespace longshot::model {
namespace {

Result<double> read_number(const Json& json, const std::string& name, double low, double high) {
  const double value = json.is_number() ? json.get<double>() : std::nan("");
  if (std::isfinite(value) && value >= low && value <= high) return value;
  const std::string range =
      std::isfinite(low) ? fmt::format("a number from {} to {}", low, high) : "a number";
  return invalid_argument(fmt::format("{} is {}, expected {}", name, dump_json(json), range));
}

Result<std::vector<double>> read_values(const Json& json, const std::string& name, double low,
                                        double high) {
  std::vector<double> values;
  if (!json.is_array()) {
    LS_ASSIGN_OR_RETURN(const double value, read_number(json, name, low, high));
    return std::vector<double>{value};
  }
  for (const Json& item : json) {
    LS_ASSIGN_OR_RETURN(const double value, read_number(item, name, low, high));
    values.push_back(value);
  }
  if (values.empty()) return invalid_argument(name + " is an empty list");
  return values;
}

bool matches(const std::string& filter, const std::string& tensor) {
  if (filter.find_first_of("*?[") == std::string::npos)
    return tensor.find(filter) != std::string::npos;
  return ::fnmatch(filter.c_str(), tensor.c_str(), 0) == 0;
}

double interpolate(const std::vector<double>& values, double depth) {
  const double place = depth * static_cast<double>(values.size() - 1);
  const auto first = static_cast<size_t>(place);
  const size_t second = std::min(values.size() - 1, first + 1);
  const double share = place - static_cast<double>(first);
  return (1 - share) * values[first] + share * values[second];
}

}  // namespace

Result<Parameter> Parameter::parse(const Json& json, const std::string& name, double low,
                                   double high) {
  Parameter parameter;
  const bool rules = json.is_array() && !json.empty() && json[0].is_object();
  if (!rules) {
    LS_ASSIGN_OR_RETURN(auto values, read_values(json, name, low, high));
    parameter.rules_.push_back({"", std::move(values)});
    return parameter;
  }
  for (const Json& item : json) {
    if (!item.is_object() || !item.contains("value")) {
      return invalid_argument(fmt::format("{}: {} is not a table {{filter = \"...\", value = ...}}",
                                          name, dump_json(item)));
    }
    Rule rule;
    for (const auto& [key, value] : item.items()) {
      if (key == "filter" && value.is_string()) {
        rule.filter = value.get<std::string>();
      } else if (key == "value") {
        LS_ASSIGN_OR_RETURN(rule.values, read_values(value, name, low, high));
      } else {
        return invalid_argument(
            fmt::format("{}: '{}' is neither filter (a text) nor value", name, key));
      }
    }
    parameter.rules_.push_back(std::move(rule));
  }
  return parameter;
}

Parameter Parameter::constant(double value) {
  Parameter parameter;
  parameter.rules_.push_back({"", {value}});
  return parameter;
}

std::optional<double> Parameter::value(const std::string& tensor, double depth) const {
  for (const Rule& rule : rules_)
    if (rule.filter.empty() || matches(rule.filter, tensor)) return interpolate(rule.values, depth);
  return std::nullopt;
}

double depth_of(const std::string& tensor, int num_layers) {
  const std::string_view layers = names::kLayers;
  if (!tensor.starts_with(layers)) return 0;
  int layer = 0;
  std::from_chars(tensor.data() + layers.size(), tensor.data() + tensor.size(), layer);
  return num_layers > 1 ? static_cast<double>(layer) / (num_layers - 1) : 1;
}

}  // namespace longshot::model
