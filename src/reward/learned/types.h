#pragma once
// The rewards of this folder, for parse_reward_list().

#include <span>

#include "reward/reward.h"

namespace longshot::reward {

// "rm": {"path": a directory of `longshot rm`, "reference": true, "batch": 16, "device": "cpu",
// "threads": 0}.
// The value is the probability that the response is right, 1 / (1 + exp(-score)), where the score
// is that of a classic reward model. The model reads the chat, the ground truth if the row has one
// (unless "reference" is false), and the response. correct: score > 0. Requests of several threads
// are scored together, at most `batch` at a time; the score of each does not depend on the others.
// threads 0: the number that libtorch uses, at most that of the usable cores.
// Errors: timeout; cancelled; a text that the model cannot read, or that is longer than its
// positions.
std::span<const RewardType> learned_types();

}  // namespace longshot::reward
