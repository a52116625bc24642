#pragma once
// What a reward model is trained on: the loss of a score and its derivative, in double. Pure.

namespace longshot::train {

struct ScoreLoss {
  double loss = 0;
  double gradient = 0;  // by the argument
};

// A pair: -log sigmoid(margin), margin = score of the better response - score of the worse one. The model of Bradley and
// Terry (Biometrika 39, 1952), as a loss in Ouyang et al. 2022 (InstructGPT, arXiv 2203.02155), equation 1.
ScoreLoss pair_loss(double margin);

// A response with a label in [0, 1], the chance that it is right: binary cross-entropy
// -(label log sigmoid(score) + (1 - label) log sigmoid(-score)).
ScoreLoss label_loss(double score, double label);

}  // namespace longshot::train
