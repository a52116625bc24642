#pragma once
// What the next forward pass computes, decided on ids alone: no model, no memory, no text. Continuous batching:
// sequences enter and leave between any two passes, prompts are prefilled in chunks beside the decoding of others,
// the prompt of a group is computed once, its members share it and draw their first tokens from the same logits, and when
// KV blocks run out the sequence that came last gives its own back and is computed again later. The time of a pass
// depends on the running sequences, not on the waiting ones (but for a logarithm). Not thread-safe.

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
  int blocks = 0;       // KV blocks there are
  int max_running = 0;  // sequences in one pass
  int max_rows =
      0;  // tokens in one pass; prompts are cut to fit beside one token of each decoding sequence
  bool prefix_cache = true;
};

// Feed tokens [start, start + count) of a sequence, whose first `start` tokens are in its blocks. Where count is 0 the
// last feed before it with tokens computes the same prompt: draw from the first of that one's logits too.
struct Feed {
  int64_t id = 0;
  int start = 0;
  int count = 0;
  bool draw = false;  // these are its last known tokens: the logits give the next one
  int drafts =
      0;  // so many tokens of its draft are fed after them, and their logits are wanted too
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
  // Nobody draws before all that can run are ready to, so who has drawn how often does not depend on what was cached.
  bool lockstep = false;
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits);

  // `tokens`, at least one, of which the first `shared` are the same in all sequences of `group` (>= 0).
  // The sequence must fit alone: blocks_for() of its most tokens is at most limits.blocks. Ids are the caller's, larger than all before.
  void add(int64_t id, int64_t group, std::vector<int32_t> tokens, int shared);

  // The next pass; the caller is taken to do it all. Not empty unless nothing is left to do or max_draws is 0.
  Plan plan(const PlanOptions& options = {});
  // Drawn after the pass. A sequence that was fed drafts draws again after each token that is the draft's next one.
  void append(int64_t id, int32_t token);
  // A guess at what a sequence of decoding() will draw. The next plan() feeds as much of it as there are rows, draws
  // and blocks that nobody else needs, and none in lockstep.
  void draft(int64_t id, std::span<const int32_t> guess);
  // Out, in any state. What was computed for it stays in the prefix cache, without `keep` only the group's tokens:
  // nobody goes on from a finished sample, and its blocks would only make the cache's memory grow.
  void remove(int64_t id, bool keep);
  // All that was computed is void: everybody starts over from their tokens.
  void weights_changed();

  std::span<const int> blocks(int64_t id) const { return sequences_.at(id).blocks; }
  std::span<const int32_t> tokens(int64_t id) const { return sequences_.at(id).tokens; }
  std::span<const int32_t> fed(const Feed& feed) const;  // by the latest plan; drafts included
  std::vector<int64_t> decoding() const;  // running, and all but the last token computed
  bool idle() const { return sequences_.empty(); }
  int running() const { return static_cast<int>(running_.size()); }
  int waiting() const { return static_cast<int>(sequences_.size() - running_.size()); }
  int blocks_in_use() const { return pool_.total() - pool_.available(); }

  // Totals since construction.
  struct Counts {
    int64_t preemptions = 0;
    int64_t cached_tokens =
        0;  // did not have to be computed: taken from the group's prompt or the prefix cache
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
    size_t accepted = 0;         // of the draft, the last known token included
    int pending() const { return static_cast<int>(tokens.size()) - cached; }
    bool undrawn() const { return static_cast<int>(tokens.size()) == shared; }
  };
  // Waiting sequences of one group that can be admitted at the same moments, by arrival.
  struct Queue {
    std::set<int64_t> ids;
    int64_t listed = -1;  // the id of this queue in admissible_; -1: none
  };
  // The prompt of a group is kept while members wait for it.
  struct Group {
    int64_t id = 0;
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
  void enter(Sequence& s);  // from waiting to running, with what its blocks hold
  bool admit(Sequence& s, std::vector<BlockCopy>& copies);
  bool take_blocks(Sequence& s, std::vector<BlockCopy>& copies);
  void share_prefix(Sequence& s);
  void decode(Room& room, Plan& plan);
  void prefill(Room& room, bool lockstep, Plan& plan);
  static size_t joining(const Sequence& s);
  void join(Sequence& leader, Room& room, Plan& plan);
  void feed_drafts(Room& room, Plan& plan);
  int place_draft(Sequence& s, int most);
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
