#include "model/merge/method.h"

namespace longshot::model {

const MethodTraits& traits_of(MergeMethod method) {
  static const MethodTraits linear = {.normalizes_by_default = true,
                                      .parameters = {"weight", "normalize"}};
  static const MethodTraits slerp = {.parameters = {"t"}};
  static const MethodTraits task_arithmetic = {.adds_differences = true,
                                               .parameters = {"weight", "lambda", "normalize"}};
  static const MethodTraits ties = {
      .adds_differences = true,
      .elects_signs = true,
      .trims = true,
      .normalizes_by_default = true,
      .parameters = {"weight", "density", "lambda", "normalize", "rescale"}};
  static const MethodTraits dare_linear = {
      .adds_differences = true,
      .drops_at_random = true,
      .rescales_by_default = true,
      .parameters = {"weight", "density", "lambda", "normalize", "rescale"}};
  static const MethodTraits dare_ties = {
      .adds_differences = true,
      .elects_signs = true,
      .drops_at_random = true,
      .rescales_by_default = true,
      .parameters = {"weight", "density", "lambda", "normalize", "rescale"}};
  switch (method) {
    case MergeMethod::linear:
      return linear;
    case MergeMethod::slerp:
      return slerp;
    case MergeMethod::task_arithmetic:
      return task_arithmetic;
    case MergeMethod::ties:
      return ties;
    case MergeMethod::dare_linear:
      return dare_linear;
    case MergeMethod::dare_ties:
      break;
  }
  return dare_ties;
}

}  // namespace longshot::model
