#include "eval/judgements.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/check.h"
#include "eval/evaluate.h"

namespace longshot::eval {
namespace {

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

void fill_bins(const std::vector<Judgement>& judgements, JudgementFigures& f) {
  const auto last = static_cast<int>(f.bins.size()) - 1;
  for (const Judgement& j : judgements) {
    JudgementBin& bin =
        f.bins[static_cast<size_t>(std::min(last, static_cast<int>(j.probability * (last + 1))))];
    ++bin.count;
    bin.probability += j.probability;
    bin.right += j.right;
  }
  for (JudgementBin& bin : f.bins) {
    f.calibration_error += std::fabs(bin.right - bin.probability);
    if (bin.count == 0) continue;
    bin.probability /= static_cast<double>(bin.count);
    bin.right /= static_cast<double>(bin.count);
  }
  f.calibration_error /= static_cast<double>(judgements.size());
}

// Computed from the ranks of the right responses (Mann and Whitney, 1947). Equal probabilities
// share their mean rank.
double area_under_curve(std::vector<Judgement> sorted, int64_t right) {
  std::sort(sorted.begin(), sorted.end(),
            [](const Judgement& a, const Judgement& b) { return a.probability < b.probability; });
  double rank_sum = 0;
  for (size_t begin = 0; begin < sorted.size();) {
    size_t end = begin;
    while (end < sorted.size() && sorted[end].probability == sorted[begin].probability) ++end;
    const double rank = static_cast<double>(begin + end + 1) / 2;  // mean of begin + 1 ... end
    for (size_t i = begin; i < end; ++i) rank_sum += sorted[i].right ? rank : 0;
    begin = end;
  }
  const auto r = static_cast<double>(right), w = static_cast<double>(sorted.size()) - r;
  return ratio(rank_sum - r * (r + 1) / 2, r * w);
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace

JudgementFigures summarize(const std::vector<Judgement>& judgements) {
  LS_CHECK(!judgements.empty(), "figures of no judgement");
  JudgementFigures f;
  int64_t hits = 0, hits_of_right = 0;
  for (const Judgement& j : judgements) {
    const bool hit = (j.probability > 0.5) == j.right;
    ++f.count;
    f.right += j.right;
    hits += hit;
    hits_of_right += hit && j.right;
    f.brier += std::pow(j.probability - (j.right ? 1 : 0), 2);
  }
  const auto count = static_cast<double>(f.count), right = static_cast<double>(f.right);
  f.accuracy = static_cast<double>(hits) / count;
  std::tie(f.low, f.high) = wilson_interval(static_cast<double>(hits), count);
  f.accuracy_of_right = ratio(static_cast<double>(hits_of_right), right);
  f.accuracy_of_wrong = ratio(static_cast<double>(hits - hits_of_right), count - right);
  f.brier /= count;
  fill_bins(judgements, f);
  f.auc = area_under_curve(judgements, f.right);
  return f;
}

double pair_accuracy(const std::vector<JudgedPair>& pairs) {
  LS_CHECK(!pairs.empty(), "figures of no pair");
  double sum = 0;
  for (const JudgedPair& p : pairs) sum += p.better > p.worse ? 1 : p.better == p.worse ? 0.5 : 0;
  return sum / static_cast<double>(pairs.size());
}

OrderedJson to_json(const JudgementFigures& f) {
  OrderedJson json;
  json["judged"] = f.count;
  json["right"] = f.right;
  json["accuracy"] = f.accuracy;
  json["accuracy_95"] = {f.low, f.high};
  json["accuracy_of_right"] = number(f.accuracy_of_right);
  json["accuracy_of_wrong"] = number(f.accuracy_of_wrong);
  json["brier"] = f.brier;
  json["calibration_error"] = f.calibration_error;
  json["auc"] = number(f.auc);
  json["bins"] = OrderedJson::array();
  for (const JudgementBin& bin : f.bins)
    json["bins"].push_back(
        {{"count", bin.count}, {"probability", bin.probability}, {"right", bin.right}});
  return json;
}

}  // namespace longshot::eval
