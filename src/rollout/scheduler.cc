#include "rollout/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace longshot::rollout {

Scheduler::Scheduler(const SchedulerLimits& limits) : limits_(limits), pool_(limits.blocks) {
  LS_CHECK(limits.max_running > 0, "no sequence may run");
  limits_.max_rows = std::max(limits.max_rows, limits.max_running + kBlockTokens);
}

void Scheduler::add(int64_t id, int64_t group, std::vector<int32_t> tokens, int shared) {
  LS_CHECK(!tokens.empty() && shared >= 1 && shared <= static_cast<int>(tokens.size()),
           "a sequence begins with its group's tokens");
  LS_CHECK(sequences_.empty() || id > sequences_.rbegin()->first, "ids must ascend");
  Group& g = groups_[group];
  ++g.members;
  ++g.waiting;
  Sequence& s = sequences_[id];
  s.group = group;
  s.shared = shared;
  s.tokens = std::move(tokens);
  waiting_.insert(id);
}

void Scheduler::append(int64_t id, int32_t token) {
  Sequence& s = sequences_.at(id);
  LS_CHECK(s.pending() == 0, "a token was drawn before all others were fed");
  s.tokens.push_back(token);
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
  std::ranges::copy_if(running_, std::back_inserter(ids),
                       [&](int64_t id) { return sequences_.at(id).pending() == 1; });
  return ids;
}

void Scheduler::drop_blocks(Sequence& s) {
  // The last ones first: of a remembered chain the beginning is worth keeping longest.
  for (auto it = s.blocks.rbegin(); it != s.blocks.rend(); ++it) pool_.release(*it);
  s.blocks.clear();
  s.draft.clear();
  s.cached = s.remembered = 0;
}

void Scheduler::drop_prompt(Group& group) {
  for (const int block : group.blocks) pool_.release(block);
  group.blocks.clear();
  group.ready = false;
}

// Out of the running set, with its blocks given back.
void Scheduler::leave(int64_t id) {
  Sequence& s = sequences_.at(id);
  running_.erase(id);
  drop_blocks(s);
  Group& group = groups_.at(s.group);
  if (group.leader == id) group.leader = -1;
}

void Scheduler::preempt(int64_t id) {
  leave(id);
  waiting_.insert(id);
  ++groups_.at(sequences_.at(id).group).waiting;
}

// Blocks that others still hold or share stay remembered.
void Scheduler::forget_response(Sequence& s) {
  for (size_t b = s.shared / kBlockTokens; b < s.blocks.size(); ++b) {
    if (pool_.holders(s.blocks[b]) == 1) pool_.forget(s.blocks[b]);
  }
}

void Scheduler::remove(int64_t id, bool keep) {
  const int64_t group_id = sequences_.at(id).group;
  Group& group = groups_.at(group_id);
  if (is_running(id)) {
    if (keep) {
      offer_to_cache(sequences_.at(id));
    } else {
      forget_response(sequences_.at(id));
    }
    leave(id);
  } else {
    waiting_.erase(id);
    if (--group.waiting == 0) drop_prompt(group);
  }
  sequences_.erase(id);
  if (--group.members == 0) groups_.erase(group_id);
}

void Scheduler::weights_changed() {
  const std::set<int64_t> running = running_;
  for (const int64_t id : running) preempt(id);
  drop_prompts();
  pool_.forget_all();
}

void Scheduler::offer_to_cache(Sequence& s) {
  for (; (s.remembered + 1) * kBlockTokens <= s.cached; ++s.remembered) {
    const int block = s.blocks[s.remembered];
    if (pool_.remembered(block)) continue;
    const auto tokens = std::span(s.tokens).subspan(s.remembered * kBlockTokens, kBlockTokens);
    pool_.remember(block, s.remembered == 0 ? -1 : s.blocks[s.remembered - 1], tokens);
  }
}

// Whether somebody who waits has drawn before.
bool Scheduler::is_continued(int64_t group) const {
  return std::ranges::any_of(waiting_, [&](int64_t id) {
    const Sequence& s = sequences_.at(id);
    return s.group == group && !s.undrawn();
  });
}

// The leader has computed the prompt: kept for those who wait and do not join it.
void Scheduler::offer_to_group(int64_t id, const Sequence& s) {
  Group& group = groups_.at(s.group);
  if (group.leader != id || s.cached < s.shared - 1) return;
  if (s.undrawn() && !is_continued(s.group)) return;
  if (!s.undrawn()) group.leader = -1;
  if (group.waiting == 0 || group.ready) return;
  group.blocks.assign(s.blocks.begin(), s.blocks.begin() + blocks_for(s.shared - 1));
  for (const int block : group.blocks) pool_.hold(block);
  group.ready = true;
}

// Blocks that only rejected drafts needed are free for all again.
void Scheduler::trim(Sequence& s) {
  while (static_cast<int>(s.blocks.size()) > blocks_for(static_cast<int>(s.tokens.size()))) {
    pool_.release(s.blocks.back());
    s.blocks.pop_back();
  }
}

// What the pass before this one has computed can now be shared.
void Scheduler::settle() {
  for (const int64_t id : running_) {
    Sequence& s = sequences_.at(id);
    trim(s);
    if (limits_.prefix_cache) offer_to_cache(s);
    offer_to_group(id, s);
  }
}

bool Scheduler::prompt_is_coming(const Sequence& s) const {
  const Group& group = groups_.at(s.group);
  if (group.leader < 0) return false;
  return !group.ready || (s.undrawn() && sequences_.at(group.leader).undrawn());
}

// Takes the computed prompt of its group or what the prefix cache has, whichever is more. At least one token remains.
void Scheduler::share_prefix(Sequence& s) {
  std::vector<int> chain;
  if (limits_.prefix_cache) {
    for (size_t end = kBlockTokens; end < s.tokens.size(); end += kBlockTokens) {
      const auto tokens = std::span(s.tokens).subspan(end - kBlockTokens, kBlockTokens);
      const int block = pool_.find(chain.empty() ? -1 : chain.back(), tokens);
      if (block < 0) break;
      chain.push_back(block);
    }
  }
  const Group& group = groups_.at(s.group);
  const int chained = static_cast<int>(chain.size()) * kBlockTokens;
  const bool from_group = group.ready && s.shared - 1 >= chained;
  s.blocks = from_group ? group.blocks : chain;
  s.cached = from_group ? s.shared - 1 : chained;
  for (const int block : s.blocks) pool_.hold(block);
}

// `block`, the last of the sequence's, becomes its own.
void Scheduler::unshare_last(Sequence& s, int block, std::vector<BlockCopy>& copies) {
  copies.push_back({s.blocks.back(), block});
  pool_.release(s.blocks.back());
  s.blocks.back() = block;
}

// Blocks for all known tokens; false if there are not enough.
bool Scheduler::take_blocks(Sequence& s, std::vector<BlockCopy>& copies) {
  const bool part = s.cached % kBlockTokens != 0;
  const auto unshare = [&] { return part && pool_.holders(s.blocks.back()) > 1; };
  const auto enough = [&] {
    const int needed =
        blocks_for(static_cast<int>(s.tokens.size())) - static_cast<int>(s.blocks.size());
    const int reserve = running();  // everybody may soon want one more
    return pool_.available() >= needed + (unshare() ? 1 : 0) + reserve;
  };
  if (!enough()) {
    if (!running_.empty()) return false;
    drop_prompts();  // nobody else holds anything then
    LS_CHECK(enough(), "a sequence was added that does not fit");
  }
  if (unshare()) unshare_last(s, pool_.allocate(), copies);
  if (part) pool_.forget(s.blocks.back());  // as in make_room()
  while (static_cast<int>(s.blocks.size()) < blocks_for(static_cast<int>(s.tokens.size()))) {
    s.blocks.push_back(pool_.allocate());
  }
  return true;
}

void Scheduler::enter(int64_t id) {
  const Sequence& s = sequences_.at(id);
  Group& group = groups_.at(s.group);
  counts_.cached_tokens += s.cached;
  if (--group.waiting == 0) drop_prompt(group);
  waiting_.erase(id);
  running_.insert(id);
}

bool Scheduler::admit(int64_t id, std::vector<BlockCopy>& copies) {
  Sequence& s = sequences_.at(id);
  Group& group = groups_.at(s.group);
  share_prefix(s);
  if (!take_blocks(s, copies)) {
    drop_blocks(s);
    return false;
  }
  enter(id);
  if (group.leader < 0 && (!group.ready || s.undrawn())) group.leader = id;
  return true;
}

// In order of arrival; only those whose prompt is being computed are overtaken.
void Scheduler::admit_waiting(std::vector<BlockCopy>& copies) {
  bool admitted = true, room = true;
  while (admitted && room) {  // a leader whose prompt was cached makes room for its group at once
    admitted = false;
    const std::vector<int64_t> waiting(waiting_.begin(), waiting_.end());
    for (const int64_t id : waiting) {
      if (running() >= limits_.max_running) return;
      if (prompt_is_coming(sequences_.at(id))) continue;
      room = admit(id, copies);
      if (!room) return;
      admitted = true;
      offer_to_group(id, sequences_.at(id));
    }
  }
}

// A free block, if need be that of the sequence that came last; -1 if that is `id` itself.
int Scheduler::take_block(int64_t id) {
  int block = pool_.allocate();
  if (block >= 0) return block;
  drop_prompts();
  while ((block = pool_.allocate()) < 0) {
    const int64_t last = *running_.rbegin();
    LS_CHECK(running_.size() > 1, "a sequence was added that does not fit");
    preempt(last);
    ++counts_.preemptions;
    if (last == id) return -1;
  }
  return block;
}

// Its last token can be written. False if it had to give up its blocks.
bool Scheduler::make_room(int64_t id, std::vector<BlockCopy>& copies) {
  Sequence& s = sequences_.at(id);
  const bool grows =
      static_cast<int>(s.blocks.size()) < blocks_for(static_cast<int>(s.tokens.size()));
  if (grows || pool_.holders(s.blocks.back()) > 1) {
    const int block = take_block(id);
    if (block < 0) return false;
    if (grows) {
      s.blocks.push_back(block);
    } else if (pool_.holders(s.blocks.back()) > 1) {
      unshare_last(s, block, copies);
    } else {
      pool_.release(block);  // the other holder was a prompt, dropped for lack of room
    }
  }
  pool_.forget(s.blocks.back());  // somebody who shared it may have filled it with other tokens
  return true;
}

// If `leader`, which draws in this pass, has just its group's prompt: those who wait with the same tokens share its
// blocks and draw from its logits.
void Scheduler::join(int64_t leader, Room& room, Plan& plan) {
  const Sequence& first = sequences_.at(leader);
  Group& group = groups_.at(first.group);
  if (group.leader != leader || !first.undrawn()) return;
  for (auto it = waiting_.begin(); it != waiting_.end() && group.waiting > 0;) {
    const int64_t id = *it++;
    Sequence& s = sequences_.at(id);
    if (s.group != first.group || !s.undrawn()) continue;
    const bool block_for_each = pool_.available() > running();  // who may soon want one more
    if (room.draws == 0 || running() == limits_.max_running || !block_for_each) return;
    s.blocks = first.blocks;
    for (const int block : s.blocks) pool_.hold(block);
    s.cached = s.shared;
    enter(id);
    plan.feeds.push_back({id, s.cached, 0, true});
    --room.draws;
  }
}

void Scheduler::decode(Room& room, Plan& plan) {
  std::vector<int64_t> ready;
  const std::vector<int64_t> order(running_.begin(), running_.end());
  for (const int64_t id : order) {
    if (static_cast<int>(ready.size()) >= room.draws) break;
    if (!is_running(id) || sequences_.at(id).pending() != 1) continue;
    if (make_room(id, plan.copies)) ready.push_back(id);
  }
  for (const int64_t id : ready) {  // all have room before others join them
    if (room.draws <= 0) return;
    Sequence& s = sequences_.at(id);
    plan.feeds.push_back({id, s.cached, 1, true});
    ++s.cached;
    --room.rows;
    --room.draws;
    join(id, room, plan);
  }
}

void Scheduler::prefill(Room& room, bool lockstep, Plan& plan) {
  for (const int64_t id : running_) {
    Sequence& s = sequences_.at(id);
    if (s.pending() < 2) continue;
    const bool may_draw = !lockstep && room.draws > 0;
    const int count = std::min(s.pending() - (may_draw ? 0 : 1), room.rows);
    if (count <= 0) return;
    const bool draw = count == s.pending();
    plan.feeds.push_back({id, s.cached, count, draw});
    s.cached += count;
    room.rows -= count;
    counts_.prefilled_tokens += count - (draw ? 1 : 0);
    if (!draw) continue;
    --room.draws;
    join(id, room, plan);
  }
}

// How many of `most` drafts have room. The blocks that running sequences need for their next tokens are left alone.
int Scheduler::place_draft(Sequence& s, int most) {
  const int known = static_cast<int>(s.tokens.size());
  while (static_cast<int>(s.blocks.size()) < blocks_for(known + most) &&
         pool_.available() > running()) {
    s.blocks.push_back(pool_.allocate());
  }
  return std::min(most, static_cast<int>(s.blocks.size()) * kBlockTokens - known);
}

// Last of all, into what the others have left.
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
  for (const int64_t id : running_) {
    Sequence& s = sequences_.at(id);
    if (s.pending() > 0) s.draft.clear();  // not fed
  }
}

Plan Scheduler::plan(const PlanOptions& options) {
  settle();
  Plan plan;
  admit_waiting(plan.copies);
  const bool unready =
      std::ranges::any_of(running_, [&](int64_t id) { return sequences_.at(id).pending() > 1; });
  Room room{limits_.max_rows, options.max_draws};
  if (!options.lockstep || !unready) decode(room, plan);
  prefill(room, options.lockstep, plan);
  if (options.lockstep) room.draws = 0;
  feed_drafts(room, plan);
  counts_.peak_blocks = std::max(counts_.peak_blocks, blocks_in_use());
  return plan;
}

}  // namespace longshot::rollout
