#pragma once
// A number of a merge that may differ from tensor to tensor. The forms and their meaning are those
// of mergekit's configuration (mergekit/config.py, evaluate_setting).

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::model {

// One of these, in JSON or TOML:
//   0.5                 the same for all tensors
//   [0, 0.5, 1]         from the first layer to the last, interpolated linearly
//   [{filter = "mlp", value = 0.3}, {value = [0, 1]}]
//                       the value of the first rule whose filter matches the tensor's name. A
//                       filter with *, ? or [ is a pattern of the whole name, any other a part of
//                       it. No filter matches every tensor.
class Parameter {
 public:
  // `name` begins the message of an error. Error: another form, or a number outside [low, high].
  static Result<Parameter> parse(const Json& json, const std::string& name, double low,
                                 double high);
  static Parameter constant(double value);

  // depth: see depth_of(). Empty if no rule matches.
  std::optional<double> value(const std::string& tensor, double depth) const;

 private:
  struct Rule {
    std::string filter;  // empty: every tensor
    std::vector<double> values;
  };
  std::vector<Rule> rules_;
};

// The place of a tensor in a model, for lists of numbers: 0 in the first layer, 1 in the last and
// in the only one, and 0 for tensors outside the layers.
double depth_of(const std::string& tensor, int num_layers);

}  // namespace longshot::model
