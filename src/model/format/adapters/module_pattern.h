#pragma once
// Regular expressions over module names ("model.layers.0.self_attn.q_proj") as the peft package
// applies them with Python's `re`. Compiled by PCRE2, which reads the same syntax. Torch-free.

#include <memory>
#include <string>

#include "base/status.h"

namespace longshot::model {

// Immutable; thread-safe.
class ModulePattern {
 public:
  enum class Match {
    whole,   // the whole name: target_modules and exclude_modules given as one string
    ending,  // the name or the part after one of its dots: keys of rank_pattern and alpha_pattern
    part,    // one or more parts of the name between dots: modules_to_save
  };
  // Error: the expression is not valid. The message begins with `where`.
  static Result<ModulePattern> compile(const std::string& expression, Match match,
                                       const std::string& where);
  // Error: the expression takes too long on this name.
  Result<bool> matches(const std::string& module) const;

 private:
  struct Code;
  std::string expression_, where_;
  std::shared_ptr<const Code> code_;
};

}  // namespace longshot::model
