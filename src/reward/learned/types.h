#pragma once
// The rewards of this folder, for parse_reward_list().

#include <span>

#include "reward/reward.h"

namespace longshot::reward {

// "rm": {"path": a directory of `longshot rm`, "reference": true, "batch": 16, "device": "cpu", "threads": 0}.
// The chance that the response is right, 1 / (1 + exp(-score)), from a classic reward model that reads the chat, the
// ground truth if the row has one (unless "reference" is false), and the response; correct: score > 0. Requests of
// several threads are scored together, at most `batch` at a time; the score of each does not depend on the others.
// threads 0: libtorch's.
// Errors: timeout; a text the model cannot read, or longer than its positions.
std::span<const RewardType> learned_types();

}  // namespace longshot::reward
