#pragma once
// Answers a set of problems and says how good the answers are. Torch-free: generation goes through
// the engine.

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
  uint64_t seed = 1;    // of the samples' random numbers
  rollout::EngineOptions engine;
};

struct EvalResult {
  int64_t problems = 0;             // with at least one judged sample
  int64_t samples = 0, errors = 0;  // errors are excluded, never wrong answers
  double accuracy = 0;              // pass@1: mean over problems of the share of right samples
  double low = 0, high = 0;         // 95 % interval of `accuracy`: cluster_interval()
  std::map<int, double> pass_at_k;
  double majority_vote = 0;         // the most frequent answer is right; only meaningful for n > 1
  double mean_response_length = 0;  // tokens
  double cut_share = 0;             // responses cut by the token cap
  double score_mean = 0;            // of the judged samples
  std::string frequent_error;       // the reason that most of the errors have
  double tokens_per_second = 0, seconds = 0;
  std::map<std::string, double> accuracy_by_source;
};

// A judged set of answers, groups in the order of the prompts.
struct Evaluation {
  EvalResult result;
  std::vector<data::Group> groups;
};

// Prompts must be tokenized. Cancelled by stop_requested(): Status cancelled.
Result<Evaluation> evaluate(
    rollout::Generator& rollout, const std::vector<data::Prompt>& prompts,
    reward::RewardStage& rewards, const EvalOptions& options,
    const std::function<void(const rollout::Progress&)>& on_progress = nullptr);

// The figures of judged groups alone (no generation, so no speed).
EvalResult summarize(const std::vector<data::Group>& groups, const std::vector<int>& ks);

// 1 - C(n - c, k) / C(n, k): chance that k of n samples, c of them right, hold a right one (Chen et
// al. 2021, arXiv 2107.03374, equation 1).
double pass_at_k(int n, int c, int k);

// Wilson score interval of `right` successes in `total`, 95 %.
std::pair<double, double> wilson_interval(double right, double total);

// 95 % interval of the mean of `rates`, the shares of right samples of problems that have `samples`
// judged samples in all. The samples of a problem are alike, so they count as fewer: Wilson's
// interval for the sample size that has the variance of the mean between problems (Korn and
// Graubard 1998, Survey Methodology 24, 193-201), at least the number of problems and at most that
// of samples. It is never empty, and with one sample a problem it is Wilson's interval itself.
std::pair<double, double> cluster_interval(const std::vector<double>& rates, double samples);

Metrics to_metrics(const EvalResult& result);  // val/accuracy, val/accuracy_low, ...
OrderedJson to_json(const EvalResult& result);

}  // namespace longshot::eval
