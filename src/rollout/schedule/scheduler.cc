#include "rollout/schedule/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace longshot::rollout {

Scheduler::Scheduler(const SchedulerLimits& limits) : limits_(limits), pool_(limits.blocks) {
  LS_CHECK(limits.max_running > 0, "no sequence may run");
  limits_.max_rows = std::max(limits.max_rows, limits.max_running + kBlockTokens);
}

void Scheduler::add(int64_t id, int64_t group, std::vector<int32_t> tokens, int shared,
                    int64_t adapter) {
  LS_CHECK(!tokens.empty() && shared >= 1 && shared <= static_cast<int>(tokens.size()),
           "a sequence begins with its group's tokens");
  LS_CHECK(id > last_id_, "ids must ascend");
  last_id_ = id;
  Group& g = groups_[group];
  LS_CHECK(g.members == 0 || g.root == BlockPool::root(adapter), "a group has one adapter");
  g.id = group;
  g.root = BlockPool::root(adapter);
  ++g.members;
  Sequence& s = sequences_[id];
  s.id = id;
  s.group = &g;
  s.shared = shared;
  s.tokens = std::move(tokens);
  g.queue_of(s).ids.insert(id);
  list(g);
}

void Scheduler::append(int64_t id, int32_t token) {
  Sequence& s = sequences_.at(id);
  LS_CHECK(s.pending() == 0, "a token was drawn before all others were fed");
  s.tokens.push_back(token);
  if (s.group->leader == &s) list(*s.group);
  if (s.accepted < s.draft.size() && s.draft[s.accepted] == token) {
    ++s.accepted;
    ++s.cached;
    ++counts_.accepted_tokens;
  } else {
    s.draft.clear();
  }
}

void Scheduler::draft(int64_t id, std::span<const int32_t> guess) {
  Sequence& s = sequences_.at(id);
  LS_CHECK(is_running(id) && s.pending() == 1, "a draft for a sequence that is not decoding");
  s.draft.assign(1, s.tokens.back());
  s.draft.insert(s.draft.end(), guess.begin(), guess.end());
  s.accepted = 1;
}

std::span<const int32_t> Scheduler::fed(const Feed& feed) const {
  const Sequence& s = sequences_.at(feed.id);
  if (feed.drafts > 0) return s.draft;
  return std::span(s.tokens).subspan(feed.start, feed.count);
}

std::vector<int64_t> Scheduler::decoding() const {
  std::vector<int64_t> ids;
  for (const auto& [id, s] : running_) {
    if (s->pending() == 1) ids.push_back(id);
  }
  return ids;
}

void Scheduler::drop_blocks(Sequence& s) {
  // The last blocks first: the beginning of a remembered chain is worth keeping longest.
  for (auto it = s.blocks.rbegin(); it != s.blocks.rend(); ++it) pool_.release(*it);
  s.blocks.clear();
  s.draft.clear();
  s.cached = s.remembered = 0;
}

// Removes a sequence from the running set and releases its blocks.
void Scheduler::leave(Sequence& s) {
  running_.erase(s.id);
  drop_blocks(s);
  if (s.group->leader == &s) s.group->leader = nullptr;
  list(*s.group);
}

void Scheduler::preempt(Sequence& s) {
  leave(s);
  s.group->queue_of(s).ids.insert(s.id);
  list(*s.group);
}

// Forgets the blocks of the response, except those that other sequences still hold.
void Scheduler::forget_response(Sequence& s) {
  for (size_t b = s.shared / kBlockTokens; b < s.blocks.size(); ++b) {
    if (pool_.holders(s.blocks[b]) == 1) pool_.forget(s.blocks[b]);
  }
}

void Scheduler::remove(int64_t id, bool keep) {
  Sequence& s = sequences_.at(id);
  Group& group = *s.group;
  if (is_running(id)) {
    if (keep) {
      offer_to_cache(s);
    } else {
      forget_response(s);
    }
    leave(s);
  } else {
    group.queue_of(s).ids.erase(id);
    list(group);
    if (group.waiting() == 0) drop_prompt(group);
  }
  sequences_.erase(id);
  if (--group.members == 0) groups_.erase(group.id);
}

void Scheduler::weights_changed() {
  while (!running_.empty()) preempt(*running_.begin()->second);
  drop_prompts();
  pool_.forget_all();
}

void Scheduler::offer_to_cache(Sequence& s) {
  for (; (s.remembered + 1) * kBlockTokens <= s.cached; ++s.remembered) {
    const int block = s.blocks[s.remembered];
    if (pool_.remembered(block)) continue;
    const auto tokens = std::span(s.tokens).subspan(s.remembered * kBlockTokens, kBlockTokens);
    pool_.remember(block, s.remembered == 0 ? s.group->root : s.blocks[s.remembered - 1], tokens);
  }
}

// Releases blocks that only rejected drafts needed.
void Scheduler::trim(Sequence& s) {
  while (static_cast<int>(s.blocks.size()) > blocks_for(static_cast<int>(s.tokens.size()))) {
    pool_.release(s.blocks.back());
    s.blocks.pop_back();
  }
}

// Lets other sequences share what the previous pass has computed.
void Scheduler::settle() {
  for (const auto& [id, s] : running_) {
    trim(*s);
    if (limits_.prefix_cache) offer_to_cache(*s);
    offer_to_group(*s);
  }
}

// Replaces the last block of a sequence, which it shares, by its own copy in `block`.
void Scheduler::unshare_last(Sequence& s, int block, std::vector<BlockCopy>& copies) {
  copies.push_back({s.blocks.back(), block});
  pool_.release(s.blocks.back());
  s.blocks.back() = block;
}

// Allocates blocks for all known tokens. Returns false if there are not enough.
bool Scheduler::take_blocks(Sequence& s, std::vector<BlockCopy>& copies) {
  const bool part = s.cached % kBlockTokens != 0;
  const auto unshare = [&] { return part && pool_.holders(s.blocks.back()) > 1; };
  const auto enough = [&] {
    const int needed =
        blocks_for(static_cast<int>(s.tokens.size())) - static_cast<int>(s.blocks.size());
    const int reserve = running();  // each running sequence may soon need one more
    return pool_.available() >= needed + (unshare() ? 1 : 0) + reserve;
  };
  if (!enough()) {
    if (!running_.empty()) return false;
    drop_prompts();  // then no blocks are held by others
    LS_CHECK(enough(), "a sequence was added that does not fit");
  }
  if (unshare()) unshare_last(s, pool_.allocate(), copies);
  if (part) pool_.forget(s.blocks.back());  // as in make_room()
  while (static_cast<int>(s.blocks.size()) < blocks_for(static_cast<int>(s.tokens.size()))) {
    s.blocks.push_back(pool_.allocate());
  }
  return true;
}

void Scheduler::enter(Sequence& s) {
  Group& group = *s.group;
  counts_.cached_tokens += s.cached;
  group.queue_of(s).ids.erase(s.id);
  running_.emplace(s.id, &s);
  list(group);
  if (group.waiting() == 0) drop_prompt(group);
}

bool Scheduler::admit(Sequence& s, std::vector<BlockCopy>& copies) {
  Group& group = *s.group;
  share_prefix(s);
  if (!take_blocks(s, copies)) {
    drop_blocks(s);
    return false;
  }
  enter(s);
  if (group.leader == nullptr && (!group.ready || s.undrawn())) group.leader = &s;
  list(group);
  return true;
}

// Admits sequences in order of arrival. Only sequences whose prompt is being computed are
// overtaken, and the places that they will take are kept for them.
void Scheduler::admit_waiting(std::vector<BlockCopy>& copies) {
  size_t places = limits_.max_running - running_.size();
  const auto keep = [&](size_t joining) { places -= std::min(places, joining); };
  for (const auto& [id, s] : running_) keep(joining(*s));
  while (!admissible_.empty() && places > 0) {
    Sequence& s = sequences_.at(*admissible_.begin());
    if (!admit(s, copies)) return;
    offer_to_group(s);  // a leader with a cached prompt can share it with its group at once
    keep(1 + joining(s));
  }
}

// Returns a free block. If there is none, drops the kept prompts first, then preempts the sequence
// that arrived last; -1 if that is `s` itself.
int Scheduler::take_block(const Sequence& s) {
  int block = pool_.allocate();
  if (block >= 0) return block;
  drop_prompts();
  while ((block = pool_.allocate()) < 0) {
    Sequence& last = *running_.rbegin()->second;
    LS_CHECK(running_.size() > 1, "a sequence was added that does not fit");
    preempt(last);
    ++counts_.preemptions;
    if (&last == &s) return -1;
  }
  return block;
}

// Makes room for the last token of a sequence. Returns false if the sequence was preempted.
bool Scheduler::make_room(Sequence& s, std::vector<BlockCopy>& copies) {
  const bool grows =
      static_cast<int>(s.blocks.size()) < blocks_for(static_cast<int>(s.tokens.size()));
  if (grows || pool_.holders(s.blocks.back()) > 1) {
    const int block = take_block(s);
    if (block < 0) return false;
    if (grows) {
      s.blocks.push_back(block);
    } else if (pool_.holders(s.blocks.back()) > 1) {
      unshare_last(s, block, copies);
    } else {
      pool_.release(block);  // the other holder was a prompt, dropped for lack of room
    }
  }
  pool_.forget(s.blocks.back());  // a sequence that shared it may have filled it with other tokens
  return true;
}

void Scheduler::decode(Room& room, Plan& plan) {
  std::vector<Sequence*> order, ready;
  for (const auto& [id, s] : running_) {
    if (s->pending() == 1) order.push_back(s);
  }
  for (Sequence* s : order) {
    if (static_cast<int>(ready.size()) >= room.draws) break;
    if (is_running(s->id) && make_room(*s, plan.copies)) ready.push_back(s);
  }
  for (Sequence* s : ready) {  // all have room before others join them
    if (room.draws <= 0) return;
    plan.feeds.push_back({s->id, s->cached, 1, true});
    ++s->cached;
    --room.rows;
    --room.draws;
    join(*s, room, plan);
  }
}

void Scheduler::prefill(Room& room, bool lockstep, Plan& plan) {
  std::vector<Sequence*> order;
  for (const auto& [id, s] : running_) {
    if (s->pending() >= 2) order.push_back(s);
  }
  for (Sequence* s : order) {
    const bool may_draw = !lockstep && room.draws > 0;
    const int count = std::min(s->pending() - (may_draw ? 0 : 1), room.rows);
    if (count <= 0) return;
    const bool draw = count == s->pending();
    plan.feeds.push_back({s->id, s->cached, count, draw});
    s->cached += count;
    room.rows -= count;
    counts_.prefilled_tokens += count - (draw ? 1 : 0);
    if (!draw) continue;
    --room.draws;
    join(*s, room, plan);
  }
}

// Returns how many of `max_drafts` drafts have room. The blocks that running sequences need for
// their next tokens are left to them.
int Scheduler::place_draft(Sequence& s, int max_drafts) {
  const int known = static_cast<int>(s.tokens.size());
  while (static_cast<int>(s.blocks.size()) < blocks_for(known + max_drafts) &&
         pool_.available() > running()) {
    s.blocks.push_back(pool_.allocate());
  }
  return std::min(max_drafts, static_cast<int>(s.blocks.size()) * kBlockTokens - known);
}

// Called last: drafts use only the room that the other feeds have left.
void Scheduler::feed_drafts(Room& room, Plan& plan) {
  for (Feed& feed : plan.feeds) {
    Sequence& s = sequences_.at(feed.id);
    if (s.draft.empty()) continue;
    const int guesses = static_cast<int>(s.draft.size()) - 1;
    feed.drafts = place_draft(s, std::min({guesses, room.rows, room.draws}));
    s.draft.resize(feed.drafts > 0 ? feed.drafts + 1 : 0);
    room.rows -= feed.drafts;
    room.draws -= feed.drafts;
    counts_.draft_tokens += feed.drafts;
  }
  for (const auto& [id, s] : running_) {
    if (s->pending() > 0) s->draft.clear();  // not fed
  }
}

Plan Scheduler::plan(const PlanOptions& options) {
  settle();
  Plan plan;
  admit_waiting(plan.copies);
  const bool unready =
      std::ranges::any_of(running_, [](const auto& entry) { return entry.second->pending() > 1; });
  Room room{limits_.max_rows, options.max_draws};
  if (!options.lockstep || !unready) decode(room, plan);
  prefill(room, options.lockstep, plan);
  if (options.lockstep) room.draws = 0;
  feed_drafts(room, plan);
  counts_.peak_blocks = std::max(counts_.peak_blocks, blocks_in_use());
  return plan;
}

}  // namespace longshot::rollout
