#pragma once
// The ways of merging models. docs/merging.md has the formulas.

#include <array>
#include <string_view>
#include <vector>

#include "base/spelling.h"

namespace longshot::model {

enum class MergeMethod { linear, slerp, task_arithmetic, ties, dare_linear, dare_ties };

constexpr auto spellings(MergeMethod) {
  using enum MergeMethod;
  return std::to_array<Spelling<MergeMethod>>({{linear, "linear"},
                                               {slerp, "slerp"},
                                               {task_arithmetic, "task_arithmetic"},
                                               {ties, "ties"},
                                               {dare_linear, "dare_linear"},
                                               {dare_ties, "dare_ties"}});
}

struct MethodTraits {
  bool adds_differences = false;  // to a base model: every method but linear and slerp
  bool elects_signs = false;      // only differences of the majority's sign are added
  bool trims = false;             // keeps the largest differences
  bool drops_at_random = false;   // keeps random differences
  bool normalizes_by_default = false;
  bool rescales_by_default = false;
  // The keys of [parameters] that the method reads.
  std::vector<std::string_view> parameters;
};
const MethodTraits& traits_of(MergeMethod method);

}  // namespace longshot::model
