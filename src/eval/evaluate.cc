#include "eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/os/clock.h"
#include "base/os/stop.h"
#include "base/progress_line.h"
#include "rollout/jobs.h"

namespace longshot::eval {
namespace {

constexpr double kZ95 = 1.959963984540054;  // normal quantile of 97.5 %

// Counts of one problem's judged samples.
struct Tally {
  int judged = 0, right = 0;
  bool majority_right = false;
};

// True if the answer that most samples gave is right. Ties go to the answer that was given first.
bool majority_is_right(const data::Group& group) {
  std::map<std::string, std::pair<int, size_t>> votes;  // answer -> count, first index
  for (size_t i = 0; i < group.verdicts.size(); ++i) {
    const data::Verdict& v = group.verdicts[i];
    if (!v.scored || v.answer.empty()) continue;
    auto [it, fresh] = votes.try_emplace(v.answer, 0, i);
    ++it->second.first;
  }
  const auto best = std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) {
    if (a.second.first != b.second.first) return a.second.first < b.second.first;
    return a.second.second > b.second.second;
  });
  return best != votes.end() && group.verdicts[best->second.second].correct;
}

Tally tally(const data::Group& group) {
  Tally t;
  for (const data::Verdict& v : group.verdicts) {
    if (!v.scored) continue;
    ++t.judged;
    t.right += v.correct ? 1 : 0;
  }
  t.majority_right = majority_is_right(group);
  return t;
}

void add_sample_figures(const std::vector<data::Group>& groups, EvalResult& r) {
  Summary length, cut, score;
  std::vector<data::Verdict> verdicts;
  for (const data::Group& group : groups) {
    for (size_t i = 0; i < group.samples.size(); ++i) {
      length.add(static_cast<double>(group.samples[i].tokens.size()));
      cut.add(group.samples[i].finish == data::FinishReason::length ? 1 : 0);
      if (group.verdicts[i].scored) score.add(group.verdicts[i].score);
      if (!group.verdicts[i].scored) ++r.errors;
    }
    verdicts.insert(verdicts.end(), group.verdicts.begin(), group.verdicts.end());
  }
  r.samples = length.count();
  r.mean_response_length = length.mean();
  r.cut_share = cut.mean();
  r.score_mean = score.mean();
  r.frequent_error = reward::most_frequent_error(verdicts);
}

}  // namespace

double pass_at_k(int n, int c, int k) {
  LS_CHECK(k >= 1 && k <= n && c >= 0 && c <= n, "pass@k needs 1 <= k <= n");
  if (n - c < k) return 1.0;
  double miss = 1.0;
  for (int i = n - c + 1; i <= n; ++i) miss *= 1.0 - static_cast<double>(k) / i;
  return 1.0 - miss;
}

std::pair<double, double> wilson_interval(double right, double total) {
  if (total <= 0) return {0, 1};
  const double p = right / total, z2 = kZ95 * kZ95;
  const double centre = (p + z2 / (2 * total)) / (1 + z2 / total);
  const double half =
      kZ95 / (1 + z2 / total) * std::sqrt(p * (1 - p) / total + z2 / (4 * total * total));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::pair<double, double> cluster_interval(const std::vector<double>& rates, double samples) {
  const double problems = static_cast<double>(rates.size());
  if (problems < 1) return {0, 1};
  Summary mean;
  for (double rate : rates) mean.add(rate);
  double squares = 0;
  for (double rate : rates) squares += (rate - mean.mean()) * (rate - mean.mean());
  const double variance = problems > 1 ? squares / (problems - 1) / problems : 0;
  const double simple = mean.mean() * (1 - mean.mean());  // variance of one independent sample
  // With all samples right or all wrong nothing shows that a problem's samples differ.
  const double size = simple <= 0 ? problems : variance > 0 ? simple / variance : samples;
  const double effective = std::clamp(size, problems, std::max(problems, samples));
  return wilson_interval(mean.mean() * effective, effective);
}

EvalResult summarize(const std::vector<data::Group>& groups, const std::vector<int>& ks) {
  EvalResult r;
  add_sample_figures(groups, r);
  std::vector<double> rates;
  std::map<std::string, Summary> by_source;
  std::map<int, Summary> at_k;
  Summary majority;
  double judged = 0;
  for (const data::Group& group : groups) {
    const Tally t = tally(group);
    if (t.judged == 0) continue;
    judged += t.judged;
    rates.push_back(static_cast<double>(t.right) / t.judged);
    by_source[group.prompt.data_source].add(rates.back());
    majority.add(t.majority_right ? 1 : 0);
    for (int k : ks) {
      if (k <= t.judged) at_k[k].add(pass_at_k(t.judged, t.right, k));
    }
  }
  Summary mean;
  for (double rate : rates) mean.add(rate);
  r.problems = mean.count();
  r.accuracy = mean.mean();
  std::tie(r.low, r.high) = cluster_interval(rates, judged);
  r.majority_vote = majority.mean();
  for (const auto& [k, s] : at_k) r.pass_at_k[k] = s.mean();
  for (const auto& [source, s] : by_source) r.accuracy_by_source[source] = s.mean();
  return r;
}

Result<Evaluation> evaluate(rollout::Generator& rollout, const std::vector<data::Prompt>& prompts,
                            reward::RewardStage& rewards, const EvalOptions& options,
                            const std::function<void(const rollout::Progress&)>& on_progress) {
  Stopwatch watch;
  std::vector<data::Draw> draws;
  for (const data::Prompt& prompt : prompts) draws.push_back({prompt, options.seed});
  rollout::EngineOptions engine_options = options.engine;
  engine_options.token_budget = 0;
  engine_options.segment_tokens = 0;
  LS_ASSIGN_OR_RETURN(
      std::vector<data::Sample> samples,
      rollout.generate(rollout::make_jobs(draws, options.n), engine_options, on_progress));
  if (stop_requested()) return cancelled("evaluation stopped");
  const double generation_seconds = watch.seconds();
  std::vector<const data::Prompt*> prompt_of;
  std::vector<const data::Sample*> sample_of;
  int64_t tokens = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    prompt_of.push_back(&prompts[i / static_cast<size_t>(options.n)]);
    sample_of.push_back(&samples[i]);
    tokens += static_cast<int64_t>(samples[i].tokens.size());
  }
  std::vector<data::Verdict> verdicts = rewards.judge(prompt_of, sample_of);
  // A stop makes judgements that were still running fail.
  if (stop_requested()) return cancelled("evaluation stopped");
  Evaluation evaluation;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i % static_cast<size_t>(options.n) == 0)
      evaluation.groups.push_back({*prompt_of[i], {}, {}});
    evaluation.groups.back().samples.push_back(std::move(samples[i]));
    evaluation.groups.back().verdicts.push_back(std::move(verdicts[i]));
  }
  evaluation.result = summarize(evaluation.groups, options.ks);
  evaluation.result.seconds = watch.seconds();
  evaluation.result.tokens_per_second =
      static_cast<double>(tokens) / std::max(1e-9, generation_seconds);
  return evaluation;
}

std::string progress_text(const rollout::Progress& p) {
  const int64_t percent = p.total == 0 ? 100 : 100 * p.finished / p.total;
  return fmt::format("rollout {}% of {} samples, {} tokens", percent, p.total,
                     with_commas(p.generated_tokens));
}

Metrics to_metrics(const EvalResult& r) {
  Metrics m = {{"val/errors", static_cast<double>(r.errors)}, {"timing_s/testing", r.seconds}};
  if (r.problems > 0) {
    m.insert({{"val/accuracy", r.accuracy},
              {"val/accuracy_low", r.low},
              {"val/accuracy_high", r.high},
              {"val/score_mean", r.score_mean}});
  }
  if (r.samples > 0)
    m.insert({{"val/response_length", r.mean_response_length}, {"val/cut_share", r.cut_share}});
  for (const auto& [source, accuracy] : r.accuracy_by_source)
    m["val-core/" + (source.empty() ? "all" : source) + "/acc"] = accuracy;
  for (const auto& [k, value] : r.pass_at_k) m["val/pass@" + std::to_string(k)] = value;
  return m;
}

OrderedJson to_json(const EvalResult& r) {
  OrderedJson json = {{"problems", r.problems},
                      {"samples", r.samples},
                      {"errors", r.errors},
                      {"accuracy", r.accuracy},
                      {"accuracy_95", {r.low, r.high}},
                      {"majority_vote", r.majority_vote},
                      {"mean_response_length", r.mean_response_length},
                      {"cut_share", r.cut_share},
                      {"score_mean", r.score_mean},
                      {"tokens_per_second", r.tokens_per_second},
                      {"seconds", r.seconds}};
  if (r.errors > 0) json["frequent_error"] = r.frequent_error;
  for (const auto& [k, value] : r.pass_at_k) json["pass_at_k"][std::to_string(k)] = value;
  for (const auto& [source, value] : r.accuracy_by_source)
    json["accuracy_by_source"][source] = value;
  return json;
}

}  // namespace longshot::eval
