#pragma once
// The reward "ifeval".

#include <memory>

#include "reward/reward.h"

namespace longshot::reward {

// {"measure": "prompt_strict"|"prompt_loose"|"instruction_strict"|"instruction_loose"}: for rows of
// IF-Eval (rules/ifeval/instructions.h). instruction_id_list and kwargs come from a ground truth
// that is an object, else from extra_info. The other measures are in Score::figures.
Result<std::unique_ptr<Reward>> make_ifeval(const Json& options);

}  // namespace longshot::reward
