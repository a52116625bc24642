#include "loop/rl/rounds_ahead.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace longshot::loop {
namespace {

std::vector<data::Sample> cut_samples(const std::vector<data::Sample>& samples) {
  std::vector<data::Sample> cut;
  std::ranges::copy_if(samples, std::back_inserter(cut), [](const data::Sample& sample) {
    return sample.finish == data::FinishReason::partial;
  });
  return cut;
}

Json samples_to_json(const std::vector<data::Sample>& samples) {
  Json out = Json::array();
  for (const data::Sample& sample : samples) out.push_back(data::to_json(sample));
  return out;
}

}  // namespace

Status RoundsAhead::begin(rollout::RoundRequest request, int64_t version) {
  LS_RETURN_IF_ERROR(generator_.begin_round(std::move(request)));
  rounds_.push_back(std::make_shared<Round>(Round{version, {}}));
  cut_.clear();
  return ok_status();
}

Status RoundsAhead::end_next(bool finish_when_stopped) {
  LS_ASSIGN_OR_RETURN(rollout::RoundResult ended, generator_.end_round(finish_when_stopped));
  Round& round = *rounds_[ended_];
  LS_CHECK(round.version == ended.version, "rounds end in the order in which they began");
  round.given = AheadSamples{std::move(ended.samples), std::move(ended.metrics)};
  ++ended_;
  return ok_status();
}

Result<AheadSamples> RoundsAhead::take_oldest() {
  LS_CHECK(has_round(), "a round was begun");
  if (ended_ == 0) LS_RETURN_IF_ERROR(end_next(false));
  AheadSamples given = *rounds_.front()->given;  // a snapshot may share it
  rounds_.pop_front();
  --ended_;
  if (rounds_.empty()) cut_ = cut_samples(given.samples);
  return given;
}

Status RoundsAhead::end_older_than(int64_t version) {
  while (ended_ < rounds_.size() && rounds_[ended_]->version < version)
    LS_RETURN_IF_ERROR(end_next(true));
  return ok_status();
}

Status RoundsAhead::end_all() {
  while (ended_ < rounds_.size()) LS_RETURN_IF_ERROR(end_next(false));
  return ok_status();
}

RoundsAhead::Snapshot RoundsAhead::snapshot() const {
  return {{rounds_.begin(), rounds_.end()}, cut_};
}

Status RoundsAhead::complete(const Snapshot& snapshot) {
  const auto open = [](const auto& round) { return !round->given.has_value(); };
  while (std::ranges::any_of(snapshot.rounds, open)) LS_RETURN_IF_ERROR(end_next(true));
  return ok_status();
}

void RoundsAhead::restore(const Snapshot& snapshot) {
  for (const auto& round : snapshot.rounds) rounds_.push_back(std::make_shared<Round>(*round));
  ended_ = rounds_.size();
  cut_ = snapshot.cut;
  generator_.set_cut(rounds_.empty() ? cut_ : cut_samples(rounds_.back()->given->samples));
}

Json to_json(const RoundsAhead::Snapshot& snapshot) {
  Json rounds = Json::array();
  for (const auto& round : snapshot.rounds) {
    LS_CHECK(round->given.has_value(), "complete() before a checkpoint");
    Json one = to_json(*round->given);
    one["version"] = round->version;
    rounds.push_back(std::move(one));
  }
  return {{"rounds", std::move(rounds)}, {"cut", samples_to_json(snapshot.cut)}};
}

Result<RoundsAhead::Snapshot> rounds_ahead_from_json(const Json& json, const std::string& where) {
  RoundsAhead::Snapshot snapshot;
  LS_ASSIGN_OR_RETURN(const Json rounds, json_get<Json>(json, "rounds", where));
  for (const Json& one : rounds) {
    RoundsAhead::Round round;
    LS_ASSIGN_OR_RETURN(round.version, json_get<int64_t>(one, "version", where));
    LS_ASSIGN_OR_RETURN(round.given, ahead_samples_from_json(one, where));
    snapshot.rounds.push_back(std::make_shared<const RoundsAhead::Round>(std::move(round)));
  }
  LS_ASSIGN_OR_RETURN(const Json cut, json_get<Json>(json, "cut", where));
  for (const Json& one : cut) {
    LS_ASSIGN_OR_RETURN(data::Sample sample, data::sample_from_json(one, where));
    snapshot.cut.push_back(std::move(sample));
  }
  return snapshot;
}

}  // namespace longshot::loop
