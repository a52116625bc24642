#include "rollout/sampling/drafter.h"

#include <algorithm>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::rollout {
namespace {

constexpr size_t kWays = 4;        // contexts in a set, one cache line; a key belongs to one set
constexpr int32_t kMaxVotes = 15;  // a new continuation outvotes an old one after this many tokens
constexpr int kMemory = 64;        // about how many guesses a record remembers

// Classes of counts: 0; 1 or 2; 3 to 7; more.
int class_of(int count) {
  return count == 0 ? 0 : count < 3 ? 1 : count < 8 ? 2 : 3;
}

}  // namespace

void keep_worthwhile(std::vector<Draft>& drafts, double overhead_rows) {
  double tokens = static_cast<double>(drafts.size());  // that the pass is expected to give
  double rows = overhead_rows + tokens;
  bool deeper = true;
  for (size_t depth = 0; deeper; ++depth) {
    deeper = false;
    for (Draft& draft : drafts) {
      if (draft.tokens.size() <= depth) continue;
      if (draft.odds[depth] * rows <= tokens) {
        draft.tokens.resize(depth);
        draft.odds.resize(depth);
        continue;
      }
      tokens += draft.odds[depth];
      rows += 1;
      deeper = true;
    }
  }
}

void Drafter::Record::add(bool right) {
  seen = std::min(seen + 1, kMemory);
  odds += ((right ? 1.0f : 0.0f) - odds) / static_cast<float>(seen);
}

Drafter::Drafter(int log2_contexts) {
  LS_CHECK(log2_contexts >= 2, "too few contexts");
  contexts_.resize(size_t{1} << log2_contexts);
}

Drafter::Keys Drafter::keys_after(uint64_t group, std::span<const int32_t> text) {
  Keys keys{};
  uint64_t hash = group;
  size_t order = 0;
  for (int n = 1; n <= kLongest && static_cast<size_t>(n) <= text.size(); ++n) {
    hash = hash_combine(hash, static_cast<uint64_t>(text[text.size() - n]));
    if (n == kOrders[order]) keys[order++] = hash | 1;
  }
  return keys;
}

const Drafter::Context* Drafter::find(uint64_t key) const {
  const size_t sets = contexts_.size() / kWays;
  const Context* set = &contexts_[(key >> 1) % sets * kWays];
  for (size_t way = 0; way < kWays; ++way) {
    if (set[way].key == key) return &set[way];
  }
  return nullptr;
}

void Drafter::vote(uint64_t key, int32_t token) {
  const size_t sets = contexts_.size() / kWays;
  Context* set = &contexts_[(key >> 1) % sets * kWays];
  Context* chosen = set;  // the context itself, else the one with the fewest votes
  for (size_t way = 0; way < kWays; ++way) {
    if (set[way].key == key) {
      chosen = &set[way];
      break;
    }
    if (set[way].votes < chosen->votes) chosen = &set[way];
  }
  if (chosen->key != key) {
    for (size_t way = 0; way < kWays; ++way) set[way].votes = std::max(set[way].votes - 1, 0);
    *chosen = {key, token, 1};
  } else if (chosen->token == token) {
    chosen->votes = std::min(chosen->votes + 1, kMaxVotes);
  } else if (--chosen->votes <= 0) {
    *chosen = {key, token, 1};
  }
}

void Drafter::learn(const Keys& keys, int32_t token) {
  for (const uint64_t key : keys) {
    if (key != 0) vote(key, token);
  }
}

// Index of the record of a guess: guesses of one kind are assumed to be right equally often.
size_t Drafter::kind(size_t order, int votes, int run) {
  return (order * kClasses + class_of(votes)) * kClasses + class_of(run);
}

// Returns the guess of the context whose kind was right most often, of all context lengths; on a
// tie the longest context wins.
Drafter::Guess Drafter::guess(const Keys& keys, int run) const {
  Guess best;
  for (size_t order = kOrders.size(); order-- > 0;) {
    const Context* context = keys[order] == 0 ? nullptr : find(keys[order]);
    if (context == nullptr) continue;
    const float odds = records_[kind(order, context->votes, run)].odds;
    if (odds > best.odds) best = {context->token, odds};
  }
  return best;
}

// Compares the guesses of all context lengths with the token that was drawn.
void Drafter::score(const Keys& keys, State& state, int32_t token) {
  const Guess best = guess(keys, state.run);
  for (size_t order = 0; order < kOrders.size(); ++order) {
    const Context* context = keys[order] == 0 ? nullptr : find(keys[order]);
    if (context == nullptr) continue;
    records_[kind(order, context->votes, state.run)].add(context->token == token);
  }
  state.run = best.token == token ? state.run + 1 : 0;
}

void Drafter::follow(int64_t id, uint64_t group, std::span<const int32_t> tokens, int shared) {
  const auto [it, fresh] = states_.try_emplace(id, State{.group = group});
  State& state = it->second;
  if (fresh && members_[group]++ > 0) state.seen = shared;  // another sample has added the prompt
  for (; state.seen < tokens.size(); ++state.seen) {
    const Keys keys = keys_after(group, tokens.first(state.seen));
    const int32_t token = tokens[state.seen];
    if (state.seen >= static_cast<size_t>(shared)) score(keys, state, token);
    learn(keys, token);
  }
}

Draft Drafter::propose(int64_t id, std::span<const int32_t> tokens, int max_tokens,
                       double min_odds) const {
  const State& state = states_.at(id);
  const size_t known = std::min(tokens.size(), static_cast<size_t>(kLongest));
  std::vector<int32_t> text(tokens.end() - static_cast<ptrdiff_t>(known), tokens.end());
  Draft draft;
  double odds = 1;
  for (int i = 0; i < max_tokens; ++i) {
    const Guess next = guess(keys_after(state.group, text), state.run + i);
    odds *= next.odds;
    if (next.token < 0 || odds <= min_odds) break;
    draft.tokens.push_back(next.token);
    draft.odds.push_back(static_cast<float>(odds));
    text.push_back(next.token);
  }
  return draft;
}

void Drafter::leave(int64_t id, std::span<const int32_t> tokens) {
  const auto it = states_.find(id);
  if (it == states_.end()) return;
  follow(id, it->second.group, tokens, 0);
  const auto group = members_.find(it->second.group);
  if (--group->second == 0) members_.erase(group);
  states_.erase(it);
}

}  // namespace longshot::rollout
