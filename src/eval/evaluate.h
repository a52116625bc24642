#pragma once
// Generates answers to a set of problems and measures how good they are. Torch-free: generation
// goes through rollout::Generator.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "reward/reward.h"
#include "rollout/engine.h"

namespace longshot::eval {

struct EvalOptions {
  int n = 1;            // samples per problem
  std::vector<int> ks;  // pass@k for these k <= n
  uint64_t seed = 1;    // seed of the samples' random numbers
  rollout::EngineOptions engine;
};

struct EvalResult {
  int64_t problems = 0;             // with at least one judged sample
  int64_t samples = 0, errors = 0;  // errors: no verdict; excluded, not counted as wrong
  double accuracy = 0;              // pass@1: mean over problems of the share of right samples
  double low = 0, high = 0;         // 95 % interval of `accuracy`: cluster_interval()
  std::map<int, double> pass_at_k;
  double majority_vote = 0;         // the most frequent answer is right; only meaningful for n > 1
  double mean_response_length = 0;  // tokens
  double cut_share = 0;             // share of responses cut by the token cap
  double score_mean = 0;            // mean over the judged samples
  std::string frequent_error;       // the most frequent reason of the errors
  double tokens_per_second = 0, seconds = 0;
  std::map<std::string, double> accuracy_by_source;
};

// A judged set of answers, groups in the order of the prompts.
struct Evaluation {
  EvalResult result;
  std::vector<data::Group> groups;
};

// Generates options.n answers to each prompt and judges them. Prompts must be tokenized;
// options.engine.token_budget and segment_tokens are ignored. Status cancelled after
// stop_requested().
Result<Evaluation> evaluate(
    rollout::Generator& rollout, const std::vector<data::Prompt>& prompts,
    reward::RewardStage& rewards, const EvalOptions& options,
    const std::function<void(const rollout::Progress&)>& on_progress = nullptr);

// The text of a progress line: "rollout 45% of 256 samples, 12,345 tokens".
std::string progress_text(const rollout::Progress& progress);

// Computes the figures of groups that are judged already. Without generation there is no speed:
// `seconds` and `tokens_per_second` stay 0.
EvalResult summarize(const std::vector<data::Group>& groups, const std::vector<int>& ks);

// 1 - C(n - c, k) / C(n, k): the probability that k of n samples, c of which are right, include a
// right one (Chen et al. 2021, arXiv 2107.03374, equation 1). Requires 1 <= k <= n and 0 <= c <= n.
double pass_at_k(int n, int c, int k);

// 95 % Wilson score interval of `right` successes in `total`; [0, 1] if `total` is 0.
std::pair<double, double> wilson_interval(double right, double total);

// 95 % interval of the mean of `rates`. Each rate is the share of right samples of one problem; all
// problems together have `samples` judged samples. The samples of one problem are alike, so they
// count as fewer: this is Wilson's interval for the sample size at which the mean has the variance
// observed between problems (Korn and Graubard 1998, Survey Methodology 24, 193-201). That size is
// at least the number of problems and at most the number of samples. The interval is never empty,
// and with one sample per problem it is Wilson's interval itself.
std::pair<double, double> cluster_interval(const std::vector<double>& rates, double samples);

// val/accuracy, val/accuracy_low, ... If nothing was judged, there is no accuracy and no score.
Metrics to_metrics(const EvalResult& result);
OrderedJson to_json(const EvalResult& result);

}  // namespace longshot::eval
