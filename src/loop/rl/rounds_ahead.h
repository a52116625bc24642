#pragma once
// The rounds that are generated ahead with cluster.staleness above 1: they are in flight while the
// trainer works, and an iteration takes in as many of them as it needs for its batch, in order.
// Which ones it takes in depends on their samples and not on when they arrive, so a run is exact.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "data/types.h"
#include "loop/rl/ahead.h"
#include "rollout/round_generator.h"

namespace longshot::loop {

class RoundsAhead {
 public:
  struct Round {
    int64_t version = 0;                // of the weights
    std::optional<AheadSamples> given;  // once it has ended
  };
  // What a checkpoint needs.
  struct Snapshot {
    std::vector<std::shared_ptr<const Round>> rounds;  // not taken in; shared with RoundsAhead
    std::vector<data::Sample> cut;                     // by the newest round, if it was taken in
  };

  explicit RoundsAhead(rollout::RoundGenerator& generator) : generator_(generator) {}
  ~RoundsAhead() { generator_.abandon_rounds(); }

  // Begins a round with weights of this version. Errors: those of RoundGenerator.
  Status begin(rollout::RoundRequest request, int64_t version);
  bool has_round() const { return !rounds_.empty(); }
  bool has_round_older_than(int64_t version) const {
    return has_round() && rounds_.front()->version < version;
  }
  // Waits for the oldest round and removes it. Errors: those of RoundGenerator::end_round().
  Result<AheadSamples> take_oldest();
  // Waits for the rounds of older versions than this one, and keeps them; a stop does not interrupt
  // it, because a resumed run does not have their weights.
  Status end_older_than(int64_t version);
  Status end_all();  // a stop interrupts it

  // The state at this moment.
  Snapshot snapshot() const;
  // Waits for the rounds of the newest snapshot; a stop does not interrupt it.
  Status complete(const Snapshot& snapshot);
  void restore(const Snapshot& snapshot);

 private:
  Status end_next(bool finish_when_stopped);

  rollout::RoundGenerator& generator_;
  std::deque<std::shared_ptr<Round>> rounds_;
  size_t ended_ = 0;               // of rounds_, from the oldest one
  std::vector<data::Sample> cut_;  // see Snapshot
};

Json to_json(const RoundsAhead::Snapshot& snapshot);
Result<RoundsAhead::Snapshot> rounds_ahead_from_json(const Json& json, const std::string& where);

}  // namespace longshot::loop
