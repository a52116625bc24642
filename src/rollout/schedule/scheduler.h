#pragma once
// Decides what the next forward pass computes, on ids only: no model, no memory, no text.
// Continuous batching: sequences enter and leave between any two passes, and prompts are prefilled
// in chunks next to the decoding of others. The prompt of a group is computed once; its members
// share it and draw their first tokens from the same logits. When KV blocks run out, the sequence
// that arrived last releases its blocks and is computed again later. The time to plan a pass
// depends on the running sequences, and only logarithmically on the waiting ones. Not thread-safe.

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "rollout/schedule/block_pool.h"

namespace longshot::rollout {

struct SchedulerLimits {
  int blocks = 0;       // total number of KV blocks
  int max_running = 0;  // sequences in one pass
  // Tokens in one pass, raised to at least max_running + kBlockTokens. Prompts are cut to fit next
  // to one token of each decoding sequence.
  int max_rows = 0;
  bool prefix_cache = true;
};

// Feeds tokens [start, start + count) of a sequence whose first `start` tokens are in its blocks.
// If count is 0, the sequence draws from the first requested logits of the last feed before it that
// has tokens, because that feed computes the same prompt.
struct Feed {
  int64_t id = 0;
  int start = 0;
  int count = 0;
  bool draw = false;  // these are its last known tokens: the logits give the next one
  // Number of draft tokens fed after `count`; their logits are returned as well.
  int drafts = 0;
};

struct BlockCopy {
  int from = 0, to = 0;
};

struct Plan {
  std::vector<BlockCopy> copies;  // to be done in this order, before the feeds
  std::vector<Feed> feeds;        // in order of arrival, decoding sequences first
};

struct PlanOptions {
  int max_draws = std::numeric_limits<int>::max();
  // No sequence draws before all that can run are ready to, so how often each has drawn does not
  // depend on what was cached.
  bool lockstep = false;
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits);

  // Adds a sequence with at least one token. The first `shared` >= 1 tokens and the adapter (an id;
  // 0: none) are the same in all sequences of `group` (>= 0). The sequence must fit by itself:
  // blocks_for() of its maximum length is at most limits.blocks. Ids are chosen by the caller and
  // must ascend.
  void add(int64_t id, int64_t group, std::vector<int32_t> tokens, int shared, int64_t adapter = 0);

  // Plans the next pass. The caller must execute all of it. Not empty unless nothing is left to do
  // or max_draws is 0.
  Plan plan(const PlanOptions& options = {});
  // Appends a token that was drawn after the pass. A sequence that was fed drafts draws again after
  // each token that equals the next one of its draft.
  void append(int64_t id, int32_t token);
  // Sets a guess of what a sequence of decoding() will draw. The next plan() feeds as much of it as
  // fits into the rows, draws and blocks that no other sequence needs, and none of it in lockstep.
  void draft(int64_t id, std::span<const int32_t> guess);
  // Removes a sequence, in any state. With `keep` everything computed for it stays in the prefix
  // cache, without it only the group's tokens: a finished sample is never continued, so caching its
  // response would waste memory.
  void remove(int64_t id, bool keep);
  // Discards everything that was computed: all sequences start over from their tokens.
  void weights_changed();

  std::span<const int> blocks(int64_t id) const { return sequences_.at(id).blocks; }
  std::span<const int32_t> tokens(int64_t id) const { return sequences_.at(id).tokens; }
  std::span<const int32_t> fed(const Feed& feed) const;  // by the latest plan, including drafts
  std::vector<int64_t> decoding() const;  // running, and all but the last token computed
  bool idle() const { return sequences_.empty(); }
  int running() const { return static_cast<int>(running_.size()); }
  int waiting() const { return static_cast<int>(sequences_.size() - running_.size()); }
  int blocks_in_use() const { return pool_.total() - pool_.available(); }

  // Totals since construction.
  struct Counts {
    int64_t preemptions = 0;
    // Not computed, but taken from the group's prompt or the prefix cache.
    int64_t cached_tokens = 0;
    int64_t prefilled_tokens = 0;  // fed and not drawn from
    int64_t draft_tokens = 0;      // fed as guesses
    int64_t accepted_tokens = 0;   // of those, drawn
    int peak_blocks = 0;
  };
  const Counts& counts() const { return counts_; }
  void reset_peak() { counts_.peak_blocks = blocks_in_use(); }

 private:
  struct Group;
  struct Sequence {
    int64_t id = 0;
    Group* group = nullptr;
    int shared = 0;
    std::vector<int32_t> tokens;
    std::vector<int> blocks;
    int cached = 0;              // tokens in the blocks
    int remembered = 0;          // blocks offered to the prefix cache
    std::vector<int32_t> draft;  // the last known token and the guesses after it; empty: none
    size_t accepted = 0;         // drawn tokens of the draft, including the last known one
    int pending() const { return static_cast<int>(tokens.size()) - cached; }
    bool undrawn() const { return static_cast<int>(tokens.size()) == shared; }
  };
  // Waiting sequences of one group that can be admitted at the same time, by arrival.
  struct Queue {
    std::set<int64_t> ids;
    int64_t listed = -1;  // the id of this queue in admissible_; -1: none
  };
  // The prompt of a group is kept while members wait for it.
  struct Group {
    int64_t id = 0;
    int64_t root = 0;  // BlockPool::root() of its adapter
    int members = 0;
    Queue undrawn, continued;  // waiting members without and with drawn tokens
    // Computes the prompt for the others. If the leader is undrawn, they share the logits of its
    // next token as well.
    Sequence* leader = nullptr;
    std::vector<int> blocks;  // of all shared tokens but the last, once they are computed
    bool ready = false;
    size_t waiting() const { return undrawn.ids.size() + continued.ids.size(); }
    Queue& queue_of(const Sequence& s) { return s.undrawn() ? undrawn : continued; }
  };
  // The budget of a pass.
  struct Room {
    int rows, draws;
  };

  bool is_running(int64_t id) const { return running_.contains(id); }
  void list(Group& group);
  void list(Queue& queue, bool admissible);
  void settle();
  void trim(Sequence& s);
  void offer_to_cache(Sequence& s);
  void offer_to_group(Sequence& s);
  void admit_waiting(std::vector<BlockCopy>& copies);
  void enter(Sequence& s);  // moves it from waiting to running, with its cached tokens
  bool admit(Sequence& s, std::vector<BlockCopy>& copies);
  bool take_blocks(Sequence& s, std::vector<BlockCopy>& copies);
  void share_prefix(Sequence& s);
  void decode(Room& room, Plan& plan);
  void prefill(Room& room, bool lockstep, Plan& plan);
  static size_t joining(const Sequence& s);
  void join(Sequence& leader, Room& room, Plan& plan);
  void feed_drafts(Room& room, Plan& plan);
  int place_draft(Sequence& s, int max_drafts);
  bool make_room(Sequence& s, std::vector<BlockCopy>& copies);
  int take_block(const Sequence& s);
  void unshare_last(Sequence& s, int block, std::vector<BlockCopy>& copies);
  void leave(Sequence& s);
  void preempt(Sequence& s);
  void drop_blocks(Sequence& s);
  void forget_response(Sequence& s);
  void drop_prompt(Group& group);
  void drop_prompts();

  SchedulerLimits limits_;
  BlockPool pool_;
  std::unordered_map<int64_t, Sequence> sequences_;
  std::unordered_map<int64_t, Group> groups_;
  std::map<int64_t, Group*> with_prompt_;  // groups whose prompt is ready, by id
  std::map<int64_t, Sequence*> running_;   // by arrival
  std::set<int64_t> admissible_;           // the first id of each queue that may be admitted now
  int64_t last_id_ = -1;
  Counts counts_;
};

}  // namespace longshot::rollout
