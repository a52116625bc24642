#include "curate/samples/sample_summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/progress_line.h"
#include "eval/evaluate.h"

namespace longshot::curate {
namespace {

constexpr size_t kLongestReason = 160;
constexpr size_t kMostReasons = 20;  // in the report; the others are counted together

// Most frequent first, equal ones by name.
std::vector<std::pair<std::string, int64_t>> by_count(const std::map<std::string, int64_t>& map) {
  std::vector<std::pair<std::string, int64_t>> list(map.begin(), map.end());
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return list;
}

OrderedJson reasons_json(const std::map<std::string, int64_t>& reasons) {
  OrderedJson json = OrderedJson::object();
  int64_t rest = 0;
  for (const auto& [reason, count] : by_count(reasons)) {
    if (json.size() < kMostReasons) {
      json[reason] = count;
    } else {
      rest += count;
    }
  }
  if (rest > 0) json["other"] = rest;
  return json;
}

}  // namespace

void SampleSummary::add_error(const std::string& error) {
  ++errors_;
  std::string reason = error.substr(0, kLongestReason);
  if (reason.size() < error.size()) reason.append("...");
  ++reasons_[reason];
}

void SampleSummary::add(const JudgedPrompt& prompt) {
  ++prompts_;
  int judged = 0, correct = 0;
  for (const JudgedSample& sample : prompt.samples) {
    ++samples_;
    if (!sample.error.empty()) add_error(sample.error);
    if (sample.finish.empty()) continue;
    ++finishes_[sample.finish];
    tokens_ += sample.tokens;
    const auto length = static_cast<double>(sample.tokens);
    if (sample.tokens > 0) lengths_.add(length);
    if (!sample.score) continue;
    ++judged;
    correct += sample.correct ? 1 : 0;
    if (sample.tokens > 0) (sample.correct ? correct_lengths_ : wrong_lengths_).add(length);
  }
  judged_ += judged;
  if (judged == 0) return;
  rates_.push_back(static_cast<double>(correct) / judged);
  by_source_[prompt.data_source].add(rates_.back());
  solved_ += correct > 0 ? 1 : 0;
  all_correct_ += correct == judged ? 1 : 0;
}

OrderedJson SampleSummary::to_json() const {
  OrderedJson json = {{"prompts", prompts_},
                      {"samples", samples_},
                      {"judged", judged_},
                      {"errors", errors_},
                      {"tokens", tokens_}};
  if (!rates_.empty()) {
    Summary mean;
    for (const double rate : rates_) mean.add(rate);
    const auto [low, high] = eval::cluster_interval(rates_, static_cast<double>(judged_));
    const auto prompts = static_cast<double>(rates_.size());
    json["accuracy"] = mean.mean();
    json["accuracy_95"] = {low, high};
    json["pass_at_n"] = static_cast<double>(solved_) / prompts;
    json["all_correct"] = static_cast<double>(all_correct_) / prompts;
    for (const auto& [source, rate] : by_source_) json["accuracy_by_source"][source] = rate.mean();
  }
  if (lengths_.count() > 0) json["mean_tokens"] = lengths_.mean();
  if (correct_lengths_.count() > 0) json["mean_tokens_correct"] = correct_lengths_.mean();
  if (wrong_lengths_.count() > 0) json["mean_tokens_wrong"] = wrong_lengths_.mean();
  json["finish"] = OrderedJson::object();
  for (const auto& [finish, count] : finishes_) json["finish"][finish] = count;
  if (errors_ > 0) json["errors_by_reason"] = reasons_json(reasons_);
  return json;
}

std::string SampleSummary::to_text() const {
  const OrderedJson json = to_json();
  std::string text =
      fmt::format("prompts          {}\nsamples          {}, {} tokens\n", with_commas(prompts_),
                  with_commas(samples_), with_commas(tokens_));
  if (!rates_.empty()) {
    text += fmt::format(
        "accuracy         {:.4f}   95 % interval {:.4f} to {:.4f}\n"
        "pass@n           {:.4f}   prompts with a correct sample\n",
        json["accuracy"].get<double>(), json["accuracy_95"][0].get<double>(),
        json["accuracy_95"][1].get<double>(), json["pass_at_n"].get<double>());
    for (const auto& [source, rate] : by_source_)
      if (by_source_.size() > 1)
        text +=
            fmt::format("  {:<14} {:.4f}\n", source.empty() ? "(no source)" : source, rate.mean());
  }
  if (lengths_.count() > 0)
    text += fmt::format("mean length      {:.1f} tokens; correct {:.1f}, wrong {:.1f}\n",
                        lengths_.mean(), correct_lengths_.mean(), wrong_lengths_.mean());
  for (const auto& [finish, count] : by_count(finishes_))
    text += fmt::format("  {:<14} {}\n", finish, with_commas(count));
  if (errors_ > 0) text += fmt::format("failed samples   {}\n", with_commas(errors_));
  size_t shown = 0;
  for (const auto& [reason, count] : by_count(reasons_))
    if (shown++ < 5) text += fmt::format("  {} x {}\n", count, reason);
  return text;
}

}  // namespace longshot::curate
