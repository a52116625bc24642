#pragma once
// Sample + Verdict -> Group. The buffer joins the samples of a prompt, over as many iterations as
// partial rollouts take, and hands out a group once all of its samples are judged. Table, selector
// and limits are separate objects. Not thread-safe.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "replay/selector.h"

namespace longshot::replay {

// When a group may no longer be used.
struct Limits {
  // The present policy version minus the oldest version among the tokens of the group's finished
  // samples that would be trained on. Groups above the limit are dropped and counted, unfinished
  // ones with what they have. -1 = no limit.
  int64_t staleness = -1;
  // Which tokens of a sample are trained on: all, or those of its newest version.
  bool train_earlier_segments = false;
  std::string debug_string() const;
};

// A prompt drawn once and the samples it has so far.
struct Entry {
  data::Prompt prompt;
  uint64_t seed = 0;  // the draw's seed; (prompt id, seed) is the key
  int expected = 0;   // samples of the group
  int64_t inserted = 0;
  std::vector<data::Sample> samples;    // finished
  std::vector<data::Verdict> verdicts;  // of `samples`
  std::vector<data::Sample> partials;   // to be continued
  bool complete() const { return static_cast<int>(samples.size()) == expected; }
};

// Storage only: insert, find, erase, in insertion order.
class Table {
 public:
  using Key = std::pair<std::string, uint64_t>;
  Entry& open(const data::Prompt& prompt, uint64_t seed, int expected);
  Entry* find(const Key& key);
  void erase(const Key& key);
  std::vector<Entry*> entries();  // by `inserted`
  std::vector<const Entry*> entries() const;
  size_t size() const { return entries_.size(); }

 private:
  std::map<Key, Entry> entries_;
  int64_t next_inserted_ = 0;
};

class ReplayBuffer {
 public:
  // Starts empty.
  ReplayBuffer(std::unique_ptr<Selector> selector, Limits limits);

  // Announces the groups whose samples will arrive.
  Status open_groups(const std::vector<data::Draw>& draws, int samples_per_group);
  // Finished samples with their verdicts; verdicts[i] belongs to samples[i]. Partial ones are kept
  // to be continued and their verdict is ignored. Every sample must belong to an open group.
  Status insert(std::vector<data::Sample> samples, std::vector<data::Verdict> verdicts);
  // All unfinished samples, oldest group first; they leave the buffer until inserted again.
  Result<std::vector<data::Sample>> take_partials();
  // Up to `count` complete groups chosen by the selector; they leave the buffer. Groups above the
  // staleness limit at policy version `version` are dropped first. `draw` keys random selectors.
  Result<std::vector<data::Group>> take(size_t count, int64_t version, uint64_t draw);

  size_t groups() const { return table_.size(); }  // unfinished and complete ones
  const data::Prompt* find_prompt(const std::string& prompt_id, uint64_t seed);

  // Remembers the present content, which save() then writes as a file of records
  // (replay/records.h), durably, whatever has happened since. Its size is that of the content: of
  // unfinished groups and complete ones that were not handed out.
  void mark();
  Status save(const std::string& path) const;
  // Takes on the content of such a file; on an error it stays as it was.
  Status load(const std::string& path);

  // replay/groups, replay/waiting (complete groups), replay/partials, replay/dropped_stale since
  // the last call.
  Metrics take_metrics();
  std::string debug_string() const;

 private:
  // The oldest version among the trained tokens of the finished samples.
  int64_t oldest_version(const Entry& entry) const;
  void drop_stale(int64_t version);

  std::unique_ptr<Selector> selector_;
  Limits limits_;
  Table table_, marked_;
  int64_t dropped_stale_ = 0;
};

}  // namespace longshot::replay
