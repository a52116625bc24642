// The rounds of generation of an iteration, and those that are generated while the trainer works.
#include <algorithm>

#include "base/log.h"
#include "base/os/stop.h"
#include "eval/evaluate.h"
#include "loop/rl/run.h"
#include "rollout/jobs.h"

namespace longshot::loop {

// The number of groups that may be opened. Those of the batch still count as groups of the replay
// buffer, so that a round replaces what was dropped, no more.
int Run::room(const Rounds& rounds) const {
  const size_t held = parts_.replay->groups() + rounds.groups().size();
  return std::max(0, config::replay_capacity(config_) - static_cast<int>(held));
}

// Partial rollouts of earlier iterations come first; new prompts fill up the replay buffer. Later
// rounds leave the partial rollouts to the next iteration, which continues them. `reserved`: groups
// of the batch that are not generated.
Result<std::vector<data::Sample>> Run::open_groups(int64_t iteration, const Rounds& rounds,
                                                   int reserved) {
  Parts& p = parts_;
  std::vector<data::Sample> jobs;
  if (rounds.count() == 0) {
    LS_ASSIGN_OR_RETURN(jobs, p.replay->take_partials());
  }
  const auto draws = p.prompts->next(std::max(0, room(rounds) - reserved), iteration);
  LS_RETURN_IF_ERROR(p.replay->open_groups(draws, config_.rollout.n));
  for (data::Sample& job : rollout::make_jobs(draws, config_.rollout.n))
    jobs.push_back(std::move(job));
  return jobs;
}

// The samples of a round: in the first one those that were generated during the update before, if
// there are any, else new ones.
Result<std::vector<data::Sample>> Run::samples_of(int64_t iteration, Rounds& rounds) {
  Parts& p = parts_;
  if (state_.ahead && rounds.count() == 0) {
    rounds.add_rollout(state_.ahead->metrics);
    return state_.ahead->samples;
  }
  LS_ASSIGN_OR_RETURN(std::vector<data::Sample> jobs, open_groups(iteration, rounds));
  rollout::EngineOptions options = rollout_options();
  options.token_budget = rounds.token_budget();
  LS_ASSIGN_OR_RETURN(
      auto samples,
      p.rollout->generate(std::move(jobs), options, [&](const rollout::Progress& progress) {
        progress_.update(iteration, eval::progress_text(progress));
      }));
  rounds.add_rollout(p.rollout->metrics());
  return samples;
}

rollout::EngineOptions Run::rollout_options() {
  parts_.rewards->drop_ahead();
  rollout::EngineOptions options = parts_.engine_options;
  options.on_finished = [this](const data::Sample& sample) {
    judge_ahead(*parts_.rewards, *parts_.replay, sample);
  };
  return options;
}

// Until end_ahead() rollout, rewards and replay buffer belong to the other thread. It generates the
// first round of the next iteration.
Status Run::begin_ahead(int64_t iteration) {
  if (config_.cluster.staleness != 1 || iteration >= config_.trainer.total_iterations)
    return ok_status();
  const size_t reusable = parts_.replay->reusable(state_.policy_version + 1);
  const int reserved = std::min(static_cast<int>(reusable), config::reused_groups(config_));
  LS_ASSIGN_OR_RETURN(std::vector<data::Sample> jobs,
                      open_groups(iteration, Rounds(config_), reserved));
  ahead_.start(*parts_.rollout, std::move(jobs), rollout_options());
  return ok_status();
}

Result<std::optional<AheadSamples>> Run::end_ahead() {
  if (!ahead_.started()) return std::optional<AheadSamples>();
  if (stop_requested()) log::info("the samples of the next iteration are finished first");
  LS_ASSIGN_OR_RETURN(AheadSamples ahead, ahead_.finish());
  return std::optional<AheadSamples>(std::move(ahead));
}

// Groups that earlier iterations trained on are a part of the batch (replay.ratio). Their success
// was recorded then.
void Run::add_trained_groups(int64_t iteration, Rounds& rounds) {
  Parts& p = parts_;
  auto groups = p.replay->take_trained(static_cast<size_t>(config::reused_groups(config_)),
                                       state_.policy_version);
  p.rewards->shape(groups, iteration);
  rounds.add_trained(std::move(groups));
}

// Judges the samples of a round.
Status Run::take_in(std::vector<data::Sample> samples, Rounds& rounds, Timer& timer) {
  Parts& p = parts_;
  if (stop_requested()) return cancelled("stopped");
  timer.lap("timing_s/gen");
  auto verdicts = judge(*p.rewards, *p.replay, samples);
  if (stop_requested()) return cancelled("stopped");
  timer.lap("timing_s/reward");
  LS_RETURN_IF_ERROR(reward_watch_.check(samples, verdicts));
  rounds.add_samples(samples, verdicts);
  return p.replay->insert(std::move(samples), std::move(verdicts));
}

// Takes complete groups for the batch, again if some were dropped and others wait. The score that
// trains, with the length reward, decides whether a group has variance.
Status Run::close_groups(int64_t iteration, Rounds& rounds) {
  Parts& p = parts_;
  const uint64_t draw = key(Stream::replay, iteration);
  while (rounds.missing() > 0) {
    LS_ASSIGN_OR_RETURN(auto groups, p.replay->take(rounds.missing(), state_.policy_version, draw));
    if (groups.empty()) break;
    std::vector<data::Group> plain;  // a later iteration shapes them anew
    if (config_.replay.ratio > 0) plain = groups;
    p.rewards->shape(groups, iteration);
    for (const data::Group& group : groups) record_outcome(*p.prompts, group);
    for (size_t i = plain.size(); i > 0; --i)
      if (config_.filter_groups.enable && !has_variance(groups[i - 1]))
        plain.erase(plain.begin() + static_cast<ptrdiff_t>(i - 1));
    p.replay->keep_trained(std::move(plain));
    rounds.add_groups(std::move(groups));
  }
  return ok_status();
}

}  // namespace longshot::loop
