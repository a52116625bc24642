#pragma once
// Sample + Verdict -> Group. The buffer collects the samples of a prompt, over several iterations
// if partial rollouts need them, and hands out a group once all of its samples are judged. Table,
// selector and limits are separate objects. Not thread-safe.

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

// Limits beyond which a group may no longer be used.
struct Limits {
  // Largest allowed staleness of a group: the current policy version minus the oldest version among
  // the tokens of its finished samples that would be trained on. Groups above the limit are dropped
  // and counted; unfinished groups are dropped with the samples they have. -1 = no limit.
  int64_t staleness = -1;
  // Tokens of a sample that are trained on: all (true), or only those of its newest version.
  bool train_earlier_segments = false;
  // How often a group may be trained on again; 0 = never.
  int reuse = 0;
  // The newest of so many trained groups are kept for that.
  size_t trained = 0;
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

// A group that was trained on and may be used again.
struct TrainedGroup {
  data::Group group;
  int reused = 0;
};

// Storage only: open, find, erase; lists entries in the order they were opened.
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
  // Adds samples with their verdicts; verdicts[i] belongs to samples[i]. Partial samples are kept
  // to be continued, and their verdict is ignored. Every sample must belong to an open group.
  Status insert(std::vector<data::Sample> samples, std::vector<data::Verdict> verdicts);
  // Returns all partial samples, oldest group first. They leave the buffer until inserted again.
  Result<std::vector<data::Sample>> take_partials();
  // Returns up to `count` complete groups chosen by the selector; they leave the buffer. Groups
  // above the staleness limit at policy version `version` are dropped first. `draw` is the key of
  // random selectors.
  Result<std::vector<data::Group>> take(size_t count, int64_t version, uint64_t draw);

  // Keeps groups that are trained on for take_trained(), as take() returned them. Does nothing if
  // the limits allow no reuse.
  void keep_trained(std::vector<data::Group> groups);
  // Returns copies of up to `count` kept groups for one more use at policy version `version`: those
  // that were trained on most recently come first. Groups above the staleness limit are removed.
  std::vector<data::Group> take_trained(size_t count, int64_t version);
  // The number of groups that take_trained() could return.
  size_t reusable(int64_t version) const;

  size_t groups() const { return table_.size(); }  // unfinished and complete ones
  // The prompts of the unfinished groups, by prompt id and seed.
  std::map<Table::Key, data::Prompt> unfinished() const;
  // Whether an unfinished group is within the staleness limit at policy version `version`, but not
  // at the next one.
  bool has_last_chance(int64_t version) const;
  const data::Prompt* find_prompt(const std::string& prompt_id, uint64_t seed);

  // mark() remembers the current content: unfinished groups, complete ones that were not handed
  // out, and trained ones that are kept. save() durably writes the content of the last mark() as a
  // file of records (replay/records.h), regardless of later changes.
  void mark();
  Status save(const std::string& path) const;
  // Replaces the content by that of such a file and marks it. On an error the buffer is unchanged.
  Status load(const std::string& path);

  // Returns replay/groups, replay/waiting (complete groups), replay/partials, and
  // replay/dropped_stale since the last call; if groups may be reused also replay/trained (kept
  // ones).
  Metrics take_metrics();
  std::string debug_string() const;

 private:
  // Returns the oldest version among the trained tokens of the finished samples; INT64_MAX without
  // such tokens.
  int64_t oldest_version(const std::vector<data::Sample>& finished) const;
  bool is_stale(const std::vector<data::Sample>& finished, int64_t version) const;
  void drop_stale(int64_t version);

  std::unique_ptr<Selector> selector_;
  Limits limits_;
  Table table_, marked_;
  std::vector<TrainedGroup> trained_, marked_trained_;  // the newest last
  int64_t dropped_stale_ = 0;
};

}  // namespace longshot::replay
