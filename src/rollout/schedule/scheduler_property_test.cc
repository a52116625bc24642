#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "rollout/schedule/scheduler.h"
#include "rollout/schedule/testing.h"

namespace longshot::rollout {
namespace {

// Models the KV memory: which token was written to each place of each block.
class Memory {
 public:
  explicit Memory(int blocks) : places_(blocks, std::vector<int32_t>(kBlockTokens, -1)) {}

  void run(const Plan& plan, const Scheduler& scheduler) {
    for (const BlockCopy& copy : plan.copies) places_[copy.to] = places_[copy.from];
    for (const Feed& feed : plan.feeds) {
      const auto fed = scheduler.fed(feed);
      for (size_t i = 0; i < fed.size(); ++i) {
        at(scheduler, feed.id, feed.start + static_cast<int>(i)) = fed[i];
      }
    }
  }
  // True if everything that a fed sequence attends to is its own history.
  bool holds(const Feed& feed, const Scheduler& scheduler) {
    for (int p = 0; p < feed.start + feed.count; ++p) {
      if (at(scheduler, feed.id, p) != scheduler.tokens(feed.id)[p]) return false;
    }
    return true;
  }
  // True if `other` computes the logits that `feed` draws from.
  static bool same(const Feed& feed, const Feed& other, const Scheduler& scheduler) {
    const auto mine = scheduler.tokens(feed.id), its = scheduler.tokens(other.id);
    return feed.start == other.start + other.count && std::ranges::equal(mine, its);
  }

 private:
  int32_t& at(const Scheduler& scheduler, int64_t id, int position) {
    return places_[scheduler.blocks(id)[position / kBlockTokens]][position % kBlockTokens];
  }
  std::vector<std::vector<int32_t>> places_;
};

// Random arrivals, lengths, drafts, abortions and weight changes on a pool that may be tight. Every
// pass must attend to the sequence's own tokens, every sequence must finish, and no block may be
// lost.
TEST(SchedulerProperty, EverySequenceSeesItsOwnHistory) {
  EXPECT_TRUE(rc::check("scheduler invariants", [] {
    const int most = 60;  // tokens of a sequence
    const SchedulerLimits limits{.blocks = *rc::gen::inRange(blocks_for(most), 24),
                                 .max_running = *rc::gen::inRange(1, 7),
                                 .max_rows = *rc::gen::inRange(1, 80),
                                 .prefix_cache = *rc::gen::arbitrary<bool>()};
    const bool lockstep = *rc::gen::arbitrary<bool>();
    Scheduler scheduler(limits);
    Memory memory(limits.blocks);
    std::map<int64_t, int> end;  // length at which the sequence is done
    int64_t next = 0;
    int arrivals = *rc::gen::inRange(1, 25);
    while (arrivals > 0 || !scheduler.idle()) {
      const int news = std::min(arrivals, *rc::gen::inRange(scheduler.idle() ? 1 : 0, 5));
      arrivals -= news;
      for (int i = 0; i < news; ++i, ++next) {
        const int group = *rc::gen::inRange(0, 4), shared = 1 + group * 13;  // 1, 14, 27, 40
        auto tokens = ramp(shared, group / 2);  // groups 0, 1 and 2, 3 begin alike
        const int more = *rc::gen::weightedElement<int>({{4, 0}, {1, 6}});
        for (int t = 0; t < more; ++t) tokens.push_back(*rc::gen::inRange(0, 3));
        end[next] = *rc::gen::inRange(static_cast<int>(tokens.size()) + 1, most + 1);
        scheduler.add(next, group, tokens, shared);
      }
      if (*rc::gen::inRange(0, 20) == 0) scheduler.weights_changed();
      if (*rc::gen::inRange(0, 10) == 0) {
        const auto victim =
            std::next(end.begin(), *rc::gen::inRange<int>(0, static_cast<int>(end.size())));
        scheduler.remove(victim->first, *rc::gen::arbitrary<bool>());
        end.erase(victim);
        if (scheduler.idle()) continue;
      }
      const int max_drafts = *rc::gen::weightedElement<int>({{1, 0}, {2, 5}, {1, 20}});
      for (const int64_t id : scheduler.decoding()) {
        const int room = end.at(id) - static_cast<int>(scheduler.tokens(id).size()) - 1;
        const auto guess = *rc::gen::container<std::vector<int32_t>>(
            static_cast<size_t>(std::min(room, max_drafts)), rc::gen::inRange(0, 3));
        if (!guess.empty()) scheduler.draft(id, guess);
      }
      const Plan plan = scheduler.plan({.lockstep = lockstep});
      RC_ASSERT(!plan.feeds.empty());
      memory.run(plan, scheduler);
      int rows = 0;
      const Feed* fed_last = nullptr;
      for (const Feed& feed : plan.feeds) {
        RC_ASSERT(memory.holds(feed, scheduler));
        RC_ASSERT(feed.draw ==
                  (feed.start + feed.count == static_cast<int>(scheduler.tokens(feed.id).size())));
        RC_ASSERT(feed.drafts == 0 || (feed.draw && feed.count == 1 && !lockstep));
        if (feed.count > 0) fed_last = &feed;
        RC_ASSERT(fed_last != nullptr);
        RC_ASSERT(feed.draw || feed.count > 0);
        if (feed.count == 0) RC_ASSERT(Memory::same(feed, *fed_last, scheduler));
        rows += feed.count + feed.drafts;
      }
      RC_ASSERT(rows <= std::max(limits.max_rows, limits.max_running + kBlockTokens));
      RC_ASSERT(scheduler.running() <= limits.max_running);
      for (const Feed& feed : plan.feeds) {
        if (!feed.draw) continue;
        const auto fed = scheduler.fed(feed);
        const std::vector<int32_t> guesses(fed.end() - feed.drafts, fed.end());
        for (int i = 0; i <= feed.drafts; ++i) {
          const int32_t token = *rc::gen::inRange(0, 3);
          scheduler.append(feed.id, token);
          if (static_cast<int>(scheduler.tokens(feed.id).size()) == end.at(feed.id)) {
            scheduler.remove(feed.id, *rc::gen::arbitrary<bool>());
            end.erase(feed.id);
            break;
          }
          if (i == feed.drafts || token != guesses[i]) break;
        }
      }
    }
    RC_ASSERT(end.empty());
    RC_ASSERT(scheduler.blocks_in_use() == 0);
  }));
}

}  // namespace
}  // namespace longshot::rollout
