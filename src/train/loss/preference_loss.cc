#include "train/loss/preference_loss.h"

#include <algorithm>
#include <cmath>

namespace longshot::train {
namespace {

// log(1 + exp(x)) without overflow.
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}

double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

}  // namespace

ScoreLoss pair_loss(double margin) {
  return {softplus(-margin), -sigmoid(-margin)};
}

ScoreLoss label_loss(double score, double label) {
  return {label * softplus(-score) + (1 - label) * softplus(score), sigmoid(score) - label};
}

}  // namespace longshot::train
