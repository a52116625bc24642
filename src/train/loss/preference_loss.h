#pragma once
// Losses of reward models: the loss of a score and its derivative, in double. Pure functions.

namespace longshot::train {

struct ScoreLoss {
  double loss = 0;
  double gradient = 0;  // d loss / d argument
};

// Loss of a pair: -log sigmoid(margin), margin = score of the better response - score of the worse
// one. This is the model of Bradley and Terry (Biometrika 39, 1952), used as a loss in Ouyang et
// al. 2022 (InstructGPT, arXiv 2203.02155), equation 1.
ScoreLoss pair_loss(double margin);

// Loss of a response with a label in [0, 1], the probability that it is correct: binary
// cross-entropy -(label log sigmoid(score) + (1 - label) log sigmoid(-score)).
ScoreLoss label_loss(double score, double label);

}  // namespace longshot::train
