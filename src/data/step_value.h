#pragma once
// Values of the steps of a response, as a process reward gives them.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::data {

// A step begins where the step before it ends, the first at the beginning of Sample::text. It ends
// before character `end`. Characters are Unicode code points, as in Python: a reward sees the text
// and not its tokens. train/advantage/token_steps.h finds the step of each token.
struct StepValue {
  int end = 0;
  double value = 0;
  bool operator==(const StepValue&) const = default;
};

// Characters of a valid UTF-8 text, as `end` counts them.
int count_characters(std::string_view text);

// [{"end", "value"}, ...]
Json to_json(const std::vector<StepValue>& steps);
// The errors begin with `where` and name the step. Ends must be greater than 0 and ascend, and
// values must be finite.
Result<std::vector<StepValue>> step_values_from_json(const Json& json, const std::string& where);

}  // namespace longshot::data
