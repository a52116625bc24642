// The part of the scheduler that handles groups: which sequences wait for a prompt that is being
// computed, and which share a computed one.

#include "rollout/schedule/scheduler.h"

namespace longshot::rollout {

void Scheduler::list(Queue& queue, bool admissible) {
  const int64_t first = admissible && !queue.ids.empty() ? *queue.ids.begin() : -1;
  if (first == queue.listed) return;
  if (queue.listed >= 0) admissible_.erase(queue.listed);
  if (first >= 0) admissible_.insert(first);
  queue.listed = first;
}

// To be called after each change of what the waiting members of a group wait for: a prompt that is
// being computed, or the first draw from it.
void Scheduler::list(Group& group) {
  const bool prompt_is_coming = group.leader != nullptr && !group.ready;
  const bool draw_is_coming = group.leader != nullptr && group.leader->undrawn();
  list(group.undrawn, !prompt_is_coming && !draw_is_coming);
  list(group.continued, !prompt_is_coming);
}

void Scheduler::drop_prompt(Group& group) {
  for (const int block : group.blocks) pool_.release(block);
  group.blocks.clear();
  group.ready = false;
  with_prompt_.erase(group.id);
  list(group);
}

void Scheduler::drop_prompts() {
  while (!with_prompt_.empty()) drop_prompt(*with_prompt_.begin()->second);
}

// Once the leader has computed the prompt, keeps its blocks for the waiting members that cannot
// join its first draw.
void Scheduler::offer_to_group(Sequence& s) {
  Group& group = *s.group;
  if (group.leader != &s || s.cached < s.shared - 1) return;
  if (s.undrawn() && group.continued.ids.empty()) return;
  if (!s.undrawn()) group.leader = nullptr;
  if (group.waiting() > 0 && !group.ready) {
    group.blocks.assign(s.blocks.begin(), s.blocks.begin() + blocks_for(s.shared - 1));
    for (const int block : group.blocks) pool_.hold(block);
    group.ready = true;
    with_prompt_.emplace(group.id, &group);
  }
  list(group);
}

// Gives a sequence the computed prompt of its group or the blocks found in the prefix cache,
// whichever has more tokens. At least one token remains to be computed.
void Scheduler::share_prefix(Sequence& s) {
  std::vector<int> chain;
  if (limits_.prefix_cache) {
    for (size_t end = kBlockTokens; end < s.tokens.size(); end += kBlockTokens) {
      const auto tokens = std::span(s.tokens).subspan(end - kBlockTokens, kBlockTokens);
      const int block = pool_.find(chain.empty() ? s.group->root : chain.back(), tokens);
      if (block < 0) break;
      chain.push_back(block);
    }
  }
  const Group& group = *s.group;
  const int chained = static_cast<int>(chain.size()) * kBlockTokens;
  const bool from_group = group.ready && s.shared - 1 >= chained;
  s.blocks = from_group ? group.blocks : chain;
  s.cached = from_group ? s.shared - 1 : chained;
  for (const int block : s.blocks) pool_.hold(block);
}

// Number of sequences that wait for the first draw of `s`.
size_t Scheduler::joining(const Sequence& s) {
  return s.group->leader == &s && s.undrawn() ? s.group->undrawn.ids.size() : 0;
}

// If `leader`, which draws in this pass, has only its group's prompt, the sequences that wait with
// the same tokens share its blocks and draw from its logits.
void Scheduler::join(Sequence& leader, Room& room, Plan& plan) {
  Group& group = *leader.group;
  if (group.leader != &leader || !leader.undrawn()) return;
  while (!group.undrawn.ids.empty()) {
    Sequence& s = sequences_.at(*group.undrawn.ids.begin());
    const bool block_for_each = pool_.available() > running();  // each may soon need one more
    if (room.draws == 0 || running() == limits_.max_running || !block_for_each) return;
    s.blocks = leader.blocks;
    for (const int block : s.blocks) pool_.hold(block);
    s.cached = s.shared;
    enter(s);
    plan.feeds.push_back({s.id, s.cached, 0, true});
    --room.draws;
  }
}

}  // namespace longshot::rollout
