#include "rollout/remote/backend/weights_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longshot::rollout {
namespace {

constexpr int kPromptTokens = 8;
// A change of longshot's own log-probabilities, in nats, that no server's number format hides in
// all tokens of a probe.
constexpr double kMoved = 1e-3;
// Rounding may differ this much more from one version to the next, and this much in any case.
constexpr double kGrowth = 8, kLeastGap = 5e-4;
// Kernels of GPUs may round differently from one request to the next.
constexpr double kRounding = 0.02;

double largest_gap(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    most = std::max(most, static_cast<double>(std::abs(a[i] - b[i])));
  return most;
}

}  // namespace

std::vector<data::TokenId> probe_prompt(int vocab_size) {
  std::vector<data::TokenId> out;
  for (int i = 0; i < kPromptTokens; ++i) out.push_back((7 + 131 * i) % vocab_size);
  return out;
}

double mean_gap(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  const size_t count = std::min(a.size(), b.size());
  for (size_t i = 0; i < count; ++i) sum += std::abs(a[i] - b[i]);
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

Status WeightsCheck::loaded(ProbeAnswer answer) {
  const bool same = moved_ && !answer.own.empty() && moved_->tokens == answer.tokens &&
                    moved_->logprobs == answer.logprobs;
  if (same && largest_gap(moved_->own, answer.own) > kMoved) {
    return invalid_argument(fmt::format(
        "it reports that it has loaded new weights and generates with the old ones: its "
        "log-probabilities are unchanged, and theirs differ by up to {:.4f} nats",
        largest_gap(moved_->own, answer.own)));
  }
  LS_RETURN_IF_ERROR(check_gap(mean_gap(answer.logprobs, answer.own)));
  if (!same) moved_ = answer;
  last_ = std::move(answer);
  return ok_status();
}

Status WeightsCheck::check_gap(double gap) {
  if (!(gap <= most_gap_)) {
    return invalid_argument(fmt::format(
        "it does not generate with the weights it was told to load: its log-probabilities differ "
        "from theirs by {:.4f} nats on average, and at most {} is allowed (--max-gap)",
        gap, most_gap_));
  }
  const double usual = std::max(kLeastGap, kGrowth * first_gap_.value_or(most_gap_));
  if (gap > usual) {
    return invalid_argument(fmt::format(
        "a part of the new weights has not arrived: its log-probabilities differ from theirs by "
        "{:.2g} nats on average, and by {:.2g} after the first load",
        gap, *first_gap_));
  }
  if (!first_gap_) first_gap_ = gap;
  return ok_status();
}

bool WeightsCheck::unchanged(const ProbeAnswer& answer) const {
  if (!last_) return false;
  size_t same = 0;
  while (same < std::min(answer.tokens.size(), last_->tokens.size()) &&
         answer.tokens[same] == last_->tokens[same])
    ++same;
  if (same < last_->tokens.size() / 2) return false;
  const auto head = [same](const std::vector<float>& all) {
    return std::vector<float>(all.begin(), all.begin() + static_cast<int64_t>(same));
  };
  return largest_gap(head(answer.logprobs), head(last_->logprobs)) <= kRounding;
}

}  // namespace longshot::rollout
