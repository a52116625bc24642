// With cluster.staleness above 1: rounds of several iterations ahead.
#include <algorithm>
#include <memory>

#include "base/log.h"
#include "loop/rl/run.h"
#include "rollout/jobs.h"

namespace longshot::loop {

// Continues a run that was saved with any cluster.staleness.
Status Run::set_up_rounds_ahead(bool resumed) {
  if (!config_.cluster.runs_ahead()) {
    if (!state_.rounds_ahead) return ok_status();
    return invalid_argument(
        "the checkpoint has samples that were generated several iterations ahead: keep "
        "cluster.staleness at 2 or more");
  }
  rounds_ahead_ = std::make_unique<RoundsAhead>(*parts_.rollout->rounds());
  if (!resumed) return ok_status();
  if (!state_.rounds_ahead) {  // it had a smaller cluster.staleness
    state_.rounds_ahead.emplace();
    if (state_.ahead) {
      RoundsAhead::Round round{state_.policy_version - 1, std::move(state_.ahead)};
      state_.rounds_ahead->rounds.push_back(
          std::make_shared<const RoundsAhead::Round>(std::move(round)));
      state_.ahead.reset();
    }
    LS_ASSIGN_OR_RETURN(state_.rounds_ahead->cut, parts_.replay->take_partials());
    parts_.replay->mark();
  }
  rounds_ahead_->restore(*state_.rounds_ahead);
  return ok_status();
}

// Begins a round: the samples that the round before cuts, and new prompts for the room in the
// replay buffer, but not for more groups than the run still trains on. False if nothing is left to
// be generated.
Result<bool> Run::begin_round(int64_t iteration, const Rounds& rounds) {
  Parts& p = parts_;
  const int64_t left = (config_.trainer.total_iterations - iteration) *
                       static_cast<int64_t>(config_.data.train_batch_size);
  const auto held = static_cast<int64_t>(p.replay->groups() + rounds.groups().size());
  const int64_t count = std::clamp<int64_t>(left - held, 0, room(rounds));
  const auto draws = p.prompts->next(static_cast<int>(count), iteration);
  LS_RETURN_IF_ERROR(p.replay->open_groups(draws, config_.rollout.n));
  const auto prompts =
      std::make_shared<const std::map<replay::Table::Key, data::Prompt>>(p.replay->unfinished());
  rollout::RoundRequest request;
  request.jobs = rollout::make_jobs(draws, config_.rollout.n);
  for (const auto& [group, prompt] : *prompts) request.groups.insert(group);
  request.options = parts_.engine_options;
  request.options.on_finished = [rewards = p.rewards.get(), prompts](const data::Sample& sample) {
    rewards->judge_ahead(prompts->at({sample.prompt_id, sample.seed}), sample);
  };
  LS_RETURN_IF_ERROR(rounds_ahead_->begin(std::move(request), state_.policy_version));
  return !prompts->empty();
}

// Takes in the rounds that have ended, then those that a group needs that would be too old for the
// next iteration, and then as many as the batch needs. Only if all of those that were begun do not
// fill it, a further one is begun, with the newest weights.
Status Run::fill_from_rounds_ahead(int64_t iteration, Rounds& rounds, Timer& timer) {
  RoundsAhead& ahead = *rounds_ahead_;
  const int64_t version = state_.policy_version;
  LS_RETURN_IF_ERROR(begin_round(iteration, rounds).status());
  // iterate() has waited for rounds that are two versions old.
  while (ahead.has_round_older_than(version - 1) ||
         (ahead.has_round_older_than(version) && parts_.replay->has_last_chance(version)))
    LS_RETURN_IF_ERROR(take_in_oldest(iteration, rounds, timer));
  LS_RETURN_IF_ERROR(close_groups(iteration, rounds));
  while (rounds.missing() > 0 && rounds.may_add()) {
    if (!ahead.has_round()) {
      LS_ASSIGN_OR_RETURN(const bool generates, begin_round(iteration, rounds));
      if (!generates) break;
    }
    LS_RETURN_IF_ERROR(take_in_oldest(iteration, rounds, timer));
    LS_RETURN_IF_ERROR(close_groups(iteration, rounds));
  }
  timer.lap("timing_s/gen");
  return ok_status();
}

Status Run::take_in_oldest(int64_t iteration, Rounds& rounds, Timer& timer) {
  progress_.update(iteration, "waiting for samples");
  LS_ASSIGN_OR_RETURN(AheadSamples given, rounds_ahead_->take_oldest());
  rounds.add_rollout(given.metrics);
  leave_out(given.samples, rounds);
  return take_in(std::move(given.samples), rounds, timer);
}

// Cut samples are counted, but they continue in the next round and not from the replay buffer.
// Samples of groups that it has dropped go nowhere.
void Run::leave_out(std::vector<data::Sample>& samples, Rounds& rounds) {
  Parts& p = parts_;
  std::erase_if(samples, [&](const data::Sample& sample) {
    if (sample.finish == data::FinishReason::partial) {
      rounds.add_samples({sample}, {data::Verdict{}});
      return true;
    }
    if (p.replay->find_prompt(sample.prompt_id, sample.seed) != nullptr) return false;
    p.rewards->forget(sample);
    return true;
  });
}

}  // namespace longshot::loop
