#include "train/policy/rows.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace longshot::train {
namespace {

std::string name_of(const data::Sample& sample) {
  return fmt::format("sample {} of prompt '{}'", sample.index, sample.prompt_id);
}

Status check_sample(const data::Sample& sample, const data::Verdict& verdict) {
  if (sample.logprobs.size() != sample.tokens.size()) {
    return invalid_argument(fmt::format("{} has {} tokens but {} log-probabilities",
                                        name_of(sample), sample.tokens.size(),
                                        sample.logprobs.size()));
  }
  int covered = 0;
  for (const auto& segment : sample.segments) {
    if (segment.begin != covered || segment.end < segment.begin) covered = -1;
    if (covered >= 0) covered = segment.end;
  }
  if (covered != static_cast<int>(sample.tokens.size())) {
    return invalid_argument(fmt::format("{}: its segments do not cover its {} tokens",
                                        name_of(sample), sample.tokens.size()));
  }
  for (size_t t = 0; t < sample.logprobs.size(); ++t) {
    if (!std::isfinite(sample.logprobs[t])) {
      return invalid_argument(fmt::format("{}: the log-probability of token {} is {}",
                                          name_of(sample), t, sample.logprobs[t]));
    }
  }
  if (!std::isfinite(verdict.score)) {
    return invalid_argument(fmt::format("{}: its score is {}", name_of(sample), verdict.score));
  }
  return ok_status();
}

int64_t newest_version(const data::Sample& sample) {
  int64_t newest = sample.segments.front().version;
  for (const auto& segment : sample.segments) newest = std::max(newest, segment.version);
  return newest;
}

// The options of make_rows(), which hold for all groups.
struct RowOptions {
  bool train_earlier_segments;
  int64_t version;
};

void mark_tokens(const data::Sample& sample, const RowOptions& options, data::TrainRow& row) {
  const int64_t newest = newest_version(sample);
  for (const auto& segment : sample.segments) {
    const bool trained = options.train_earlier_segments || segment.version == newest;
    for (int t = segment.begin; t < segment.end; ++t) {
      const auto at = static_cast<size_t>(row.prompt_length + t);
      row.loss_mask[at] = trained;
      row.fresh[at] = segment.version == options.version;
    }
    row.segments.push_back(segment);
    row.segments.back().begin += row.prompt_length;
    row.segments.back().end += row.prompt_length;
  }
  row.loss_mask[0] = 0;
}

data::TrainRow make_row(const data::Sample& sample, const data::Verdict& verdict, int64_t group,
                        const RowOptions& options) {
  data::TrainRow row;
  row.tokens = sample.prompt_tokens;
  row.tokens.insert(row.tokens.end(), sample.tokens.begin(), sample.tokens.end());
  row.prompt_length = static_cast<int>(sample.prompt_tokens.size());
  row.logprobs.assign(sample.prompt_tokens.size(), 0.0f);
  row.logprobs.insert(row.logprobs.end(), sample.logprobs.begin(), sample.logprobs.end());
  row.loss_mask.assign(row.tokens.size(), 0);
  row.fresh.assign(row.tokens.size(), 0);
  mark_tokens(sample, options, row);
  row.reward = verdict.score;
  row.group = group;
  return row;
}

// Returns the counter of the reason for which the sample is left out, or null.
int64_t* exclusion(const data::Sample& sample, const data::Verdict& verdict, RowSet& set) {
  if (sample.finish == data::FinishReason::aborted) return &set.aborted;
  if (sample.finish == data::FinishReason::partial) return &set.partial;
  if (!verdict.scored) return &set.erred;
  if (sample.tokens.empty()) return &set.empty;
  return nullptr;
}

Status add_sample(const data::Sample& sample, const data::Verdict& verdict, int64_t group,
                  const RowOptions& options, RowSet& set) {
  if (int64_t* counter = exclusion(sample, verdict, set)) {
    ++*counter;
    return ok_status();
  }
  LS_RETURN_IF_ERROR(check_sample(sample, verdict));
  auto row = make_row(sample, verdict, group, options);
  if (std::find(row.loss_mask.begin(), row.loss_mask.end(), 1) == row.loss_mask.end()) {
    ++set.empty;
  } else {
    set.rows.push_back(std::move(row));
    set.truncated.push_back(sample.finish == data::FinishReason::length);
  }
  return ok_status();
}

}  // namespace

void RowSet::report(Metrics& metrics) const {
  metrics["actor/samples"] = static_cast<double>(rows.size());
  metrics["actor/excluded/erred"] = static_cast<double>(erred);
  metrics["actor/excluded/aborted"] = static_cast<double>(aborted);
  metrics["actor/excluded/partial"] = static_cast<double>(partial);
  metrics["actor/excluded/empty"] = static_cast<double>(empty);
}

Result<RowSet> make_rows(const std::vector<data::Group>& groups, bool train_earlier_segments,
                         int64_t version) {
  const RowOptions options{train_earlier_segments, version};
  RowSet set;
  for (size_t g = 0; g < groups.size(); ++g) {
    const auto& group = groups[g];
    if (group.samples.size() != group.verdicts.size()) {
      return invalid_argument(fmt::format("group of prompt '{}' has {} samples but {} verdicts",
                                          group.prompt.id, group.samples.size(),
                                          group.verdicts.size()));
    }
    const size_t before = set.rows.size();
    for (size_t j = 0; j < group.samples.size(); ++j) {
      LS_RETURN_IF_ERROR(
          add_sample(group.samples[j], group.verdicts[j], static_cast<int64_t>(g), options, set));
    }
    set.groups += set.rows.size() > before;
  }
  return set;
}

}  // namespace longshot::train
