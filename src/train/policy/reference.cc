#include "train/policy/reference.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace longshot::train {
namespace {

bool is_recorded(Reference reference, bool fresh) {
  return reference == Reference::recorded || (reference == Reference::automatic && fresh);
}

bool all_fresh(const data::TrainRow& row) {
  return std::ranges::all_of(fresh_targets(row), [](uint8_t fresh) { return fresh != 0; });
}

// True if the reference equals the current log-probability of every target up to rounding, or the
// loss does not read it.
bool is_predictable(const RowTerms& terms, const BoundObjective& objective, Reference reference) {
  if (objective.entropy_coef != 0) return false;
  const bool weighs = objective.weighs_tokens() && terms.advantage != 0;
  if (weighs && !all_recorded(terms.row, reference)) return false;
  const bool known_start = !objective.reads_reference || reference != Reference::recorded;
  return (known_start && terms.kl_reference.empty()) || all_fresh(terms.row);
}

}  // namespace

std::vector<double> recorded_logprobs(const data::TrainRow& row) {
  std::vector<double> out;
  for (size_t t = 1; t < row.tokens.size(); ++t) {
    if (row.loss_mask[t]) out.push_back(row.logprobs[t]);
  }
  return out;
}

std::vector<uint8_t> fresh_targets(const data::TrainRow& row) {
  std::vector<uint8_t> out;
  for (size_t t = 1; t < row.tokens.size(); ++t) {
    if (row.loss_mask[t]) out.push_back(row.fresh[t]);
  }
  return out;
}

bool all_recorded(const data::TrainRow& row, Reference reference) {
  return reference == Reference::recorded || (reference == Reference::automatic && all_fresh(row));
}

std::vector<double> reference_logprobs(const data::TrainRow& row, std::span<const double> start,
                                       Reference reference, bool without_rounding) {
  std::vector<double> out = recorded_logprobs(row);
  const std::vector<uint8_t> fresh = fresh_targets(row);
  LS_CHECK(start.size() == out.size(), "one log-probability per target");
  for (size_t t = 0; t < out.size(); ++t) {
    const bool rounded = without_rounding && fresh[t] && std::abs(start[t] - out[t]) <= kRounding;
    if (rounded || !is_recorded(reference, fresh[t])) out[t] = start[t];
  }
  return out;
}

std::vector<double> without_rounding(std::span<const double> values,
                                     std::span<const double> towards) {
  std::vector<double> out(values.begin(), values.end());
  for (size_t t = 0; t < out.size(); ++t) {
    if (std::abs(out[t] - towards[t]) <= kRounding) out[t] = towards[t];
  }
  return out;
}

std::vector<double> predicted_gradient(const RowTerms& terms, const BoundObjective& objective,
                                       Reference reference) {
  if (!is_predictable(terms, objective, reference)) return {};
  const std::vector<double> recorded = recorded_logprobs(terms.row);
  const std::vector<double> kl = without_rounding(terms.kl_reference, recorded);
  std::vector<double> grad(recorded.size());
  (void)objective({recorded, recorded, terms.advantage, kl, recorded}, grad);
  return grad;
}

bool is_flat(const RowTerms& terms, const BoundObjective& objective, Reference reference) {
  const std::vector<double> grad = predicted_gradient(terms, objective, reference);
  return !grad.empty() && std::ranges::all_of(grad, [](double g) { return g == 0.0; });
}

}  // namespace longshot::train
