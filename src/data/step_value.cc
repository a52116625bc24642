#include "data/step_value.h"

#include <algorithm>
#include <cmath>

namespace longshot::data {
namespace {

Result<StepValue> step_from_json(const Json& json, int previous_end, const std::string& where) {
  if (!json.is_object())
    return invalid_argument(where + " must be an object with 'end' and 'value', not " +
                            dump_json(json).substr(0, 80));
  StepValue step;
  LS_ASSIGN_OR_RETURN(step.end, json_get<int>(json, "end", where));
  LS_ASSIGN_OR_RETURN(step.value, json_get<double>(json, "value", where));
  if (step.end <= previous_end)
    return invalid_argument(where + ": 'end' is " + std::to_string(step.end) +
                            ", but the step begins at character " + std::to_string(previous_end));
  if (!std::isfinite(step.value)) return invalid_argument(where + ": 'value' is not finite");
  return step;
}

}  // namespace

int count_characters(std::string_view text) {
  // Every byte but the second to fourth of a character.
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

Json to_json(const std::vector<StepValue>& steps) {
  Json list = Json::array();
  for (const StepValue& step : steps) list.push_back({{"end", step.end}, {"value", step.value}});
  return list;
}

Result<std::vector<StepValue>> step_values_from_json(const Json& json, const std::string& where) {
  if (!json.is_array())
    return invalid_argument(where + " must be a list of {\"end\", \"value\"}, not " +
                            dump_json(json).substr(0, 80));
  std::vector<StepValue> steps;
  for (const Json& item : json) {
    const std::string place = where + ": step " + std::to_string(steps.size() + 1);
    LS_ASSIGN_OR_RETURN(const StepValue step,
                        step_from_json(item, steps.empty() ? 0 : steps.back().end, place));
    steps.push_back(step);
  }
  return steps;
}

}  // namespace longshot::data
