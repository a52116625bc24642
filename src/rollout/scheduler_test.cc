#include "rollout/scheduler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

namespace longshot::rollout {
namespace {

std::vector<int32_t> ramp(int count, int first = 0) {
  std::vector<int32_t> tokens(count);
  for (int i = 0; i < count; ++i) tokens[i] = first + i;
  return tokens;
}

// Stands for the KV memory: which token was written to each place of each block.
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
  // Everything a fed sequence attends to is its own history.
  bool holds(const Feed& feed, const Scheduler& scheduler) {
    for (int p = 0; p < feed.start + feed.count; ++p) {
      if (at(scheduler, feed.id, p) != scheduler.tokens(feed.id)[p]) return false;
    }
    return true;
  }
  // What `feed` draws from is computed for `other`.
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

std::vector<int64_t> drawn(const Plan& plan) {
  std::vector<int64_t> ids;
  for (const Feed& feed : plan.feeds) {
    if (feed.draw) ids.push_back(feed.id);
  }
  return ids;
}

TEST(Scheduler, ThePromptOfAGroupIsFedOnceForAllFirstDraws) {
  Scheduler scheduler({.blocks = 64, .max_running = 8, .max_rows = 256});
  for (int i = 0; i < 4; ++i) scheduler.add(i, 0, ramp(40), 40);
  Plan plan = scheduler.plan();
  ASSERT_EQ(drawn(plan), (std::vector<int64_t>{0, 1, 2, 3}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(plan.feeds[i].count, i == 0 ? 40 : 0);
  EXPECT_EQ(scheduler.blocks_in_use(), 3);
  for (int i = 0; i < 4; ++i) scheduler.append(i, 7 + i);
  plan = scheduler.plan();
  ASSERT_EQ(plan.feeds.size(), 4u);
  for (const Feed& feed : plan.feeds)
    EXPECT_EQ(std::pair(feed.start, feed.count), std::pair(40, 1));
  EXPECT_EQ(plan.copies.size(), 3u);  // of the block that the prompt ends in; the last one keeps it
  EXPECT_EQ(scheduler.counts().cached_tokens, 3 * 40);
  EXPECT_EQ(scheduler.blocks(1)[1], scheduler.blocks(3)[1]);
  EXPECT_NE(scheduler.blocks(1)[2], scheduler.blocks(3)[2]);
  EXPECT_EQ(scheduler.blocks_in_use(), 2 + 4);
}

TEST(Scheduler, OfAPromptOfWholeBlocksNothingIsCopied) {
  Scheduler scheduler({.blocks = 64, .max_running = 8, .max_rows = 256});
  for (int i = 0; i < 4; ++i) scheduler.add(i, 0, ramp(48), 48);
  for (const int64_t id : drawn(scheduler.plan())) scheduler.append(id, 1);
  EXPECT_TRUE(scheduler.plan().copies.empty());
  EXPECT_EQ(scheduler.blocks_in_use(), 3 + 4);
}

// Three draws, then two of four may run, then blocks for three: the others draw from what is computed for the first of them.
TEST(Scheduler, ThoseForWhomThereIsNoRoomDrawLater) {
  Scheduler few({.blocks = 64, .max_running = 8, .max_rows = 256});
  Scheduler narrow({.blocks = 64, .max_running = 2, .max_rows = 256});
  Scheduler tight({.blocks = 5, .max_running = 8, .max_rows = 256, .prefix_cache = false});
  for (Scheduler* scheduler : {&few, &narrow, &tight}) {
    for (int i = 0; i < 4; ++i) scheduler->add(i, 0, ramp(32), 32);
  }
  EXPECT_EQ(drawn(few.plan({.max_draws = 3})), (std::vector<int64_t>{0, 1, 2}));
  for (const int id : {0, 1, 2}) few.append(id, 1);
  const Plan next = few.plan();
  EXPECT_EQ(drawn(next), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(next.feeds[3].start, 31);
  EXPECT_EQ(drawn(narrow.plan()), (std::vector<int64_t>{0, 1}));
  for (const int id : {0, 1}) {
    narrow.append(id, 1);
    narrow.remove(id, false);
  }
  EXPECT_EQ(drawn(narrow.plan()), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(drawn(tight.plan()), (std::vector<int64_t>{0, 1, 2}));
}

// 0 and 3 have not drawn yet, 1 and 2 go on with what they have.
TEST(Scheduler, WhoGoesOnTakesThePromptAndTheOthersDrawTogether) {
  using Ids = std::set<int64_t>;
  for (const bool lockstep : {false, true}) {
    Scheduler scheduler({.blocks = 64, .max_running = 8, .max_rows = 256});
    for (int i = 0; i < 4; ++i) scheduler.add(i, 0, ramp(i == 1 || i == 2 ? 50 : 40), 40);
    std::vector<Ids> draws;
    for (int pass = 0; pass < 3; ++pass) {
      const auto ids = drawn(scheduler.plan({.lockstep = lockstep}));
      for (const int64_t id : ids) scheduler.append(id, 1);
      draws.emplace_back(ids.begin(), ids.end());
    }
    EXPECT_EQ(draws[0], lockstep ? Ids{} : (Ids{0, 3}));
    EXPECT_EQ(draws[1], lockstep ? Ids{} : (Ids{0, 1, 2, 3}));
    EXPECT_EQ(draws[2], (Ids{0, 1, 2, 3}));
    EXPECT_EQ(scheduler.counts().prefilled_tokens, 39 + 2 * 10);
  }
}

TEST(Scheduler, LongPromptsAreCutBesideDecoding) {
  Scheduler scheduler({.blocks = 64, .max_running = 2, .max_rows = 50});
  scheduler.add(0, 0, ramp(3), 3);
  (void)scheduler.plan();
  scheduler.append(0, 5);
  scheduler.add(1, 1, ramp(120), 120);
  for (const int expected : {49, 49, 22}) {
    const Plan plan = scheduler.plan();
    ASSERT_EQ(plan.feeds.size(), 2u);
    EXPECT_EQ(plan.feeds[0].id, 0);
    EXPECT_EQ(plan.feeds[1].count, expected);
    EXPECT_EQ(plan.feeds[1].draw, expected == 22);
    scheduler.append(0, 5);
  }
}

TEST(Scheduler, InLockstepNobodyDrawsBeforeAllAreReady) {
  Scheduler scheduler({.blocks = 64, .max_running = 3, .max_rows = 50});
  scheduler.add(0, 0, ramp(3), 3);
  scheduler.add(1, 1, ramp(90), 90);
  scheduler.add(2, 1, ramp(90), 90);
  std::vector<std::vector<int64_t>> draws;
  for (int i = 0; i < 4; ++i) {
    draws.push_back(drawn(scheduler.plan({.lockstep = true})));
    for (const int64_t id : draws.back()) scheduler.append(id, 1);
  }
  EXPECT_EQ(draws, (std::vector<std::vector<int64_t>>{{}, {}, {0, 1, 2}, {0, 1, 2}}));
}

TEST(Scheduler, TheLastToComeGivesItsBlocksAndComesBack) {
  Scheduler scheduler({.blocks = 6, .max_running = 2, .max_rows = 64, .prefix_cache = false});
  scheduler.add(0, 0, ramp(30), 30);
  scheduler.add(1, 1, ramp(17), 17);
  for (int step = 0; step < 40; ++step) {
    for (const int64_t id : drawn(scheduler.plan())) scheduler.append(id, 1);
  }
  EXPECT_EQ(scheduler.counts().preemptions, 1);
  EXPECT_EQ(scheduler.running(), 1);
  EXPECT_GT(scheduler.tokens(1).size(), 17u);
  scheduler.remove(0, false);
  EXPECT_EQ(scheduler.plan().feeds[0].id, 1);
}

TEST(Scheduler, AFinishedPromptIsFoundInTheCacheUntilTheWeightsChange) {
  Scheduler scheduler({.blocks = 16, .max_running = 2, .max_rows = 64});
  scheduler.add(0, 0, ramp(40), 40);
  (void)scheduler.plan();
  scheduler.append(0, 1);
  (void)scheduler.plan();
  scheduler.remove(0, false);
  scheduler.add(1, 1, ramp(40), 40);
  EXPECT_EQ(scheduler.plan().feeds[0].start, 32);
  scheduler.remove(1, false);
  auto other = ramp(40);
  other[20] = 99;
  scheduler.add(2, 2, other, 40);
  EXPECT_EQ(scheduler.plan().feeds[0].start, 16);
  scheduler.remove(2, false);
  scheduler.weights_changed();
  scheduler.add(3, 3, ramp(40), 40);
  EXPECT_EQ(scheduler.plan().feeds[0].start, 0);
}

// Runs a sequence with a prompt of `shared` tokens until it has `length`, and takes it out. Its last blocks.
std::vector<int> run_alone(Scheduler& scheduler, int64_t id, std::vector<int32_t> prompt,
                           int length, bool keep) {
  const int shared = static_cast<int>(prompt.size());
  scheduler.add(id, id, std::move(prompt), shared);
  for (int tokens = shared; tokens < length; ++tokens) {
    (void)scheduler.plan();
    scheduler.append(id, 1);
  }
  const auto blocks = scheduler.blocks(id);
  std::vector<int> out(blocks.begin(), blocks.end());
  scheduler.remove(id, keep);
  return out;
}

TEST(Scheduler, AResponseStaysInTheCacheOnlyIfItIsKept) {
  for (const bool keep : {false, true}) {
    Scheduler scheduler({.blocks = 16, .max_running = 2, .max_rows = 64});
    (void)run_alone(scheduler, 0, ramp(20), 60, keep);
    auto whole = ramp(20);
    whole.resize(60, 1);
    scheduler.add(1, 1, whole, 20);
    // 59 of the 60 tokens went through a pass: three full blocks. Of the prompt one is full.
    EXPECT_EQ(scheduler.plan().feeds[0].start, keep ? 48 : 16);
  }
}

TEST(Scheduler, FinishedSequencesDoNotSpreadOverTheMemory) {
  for (const bool keep : {false, true}) {
    Scheduler scheduler({.blocks = 64, .max_running = 2, .max_rows = 64});
    std::set<int> used;
    for (int id = 0; id < 6; ++id) {
      for (const int block : run_alone(scheduler, id, ramp(20, 100 * id), 60, keep))
        used.insert(block);
    }
    // 59 tokens went through passes: of each sequence's four blocks one is the prompt's, two are full of its response
    // and the last has room. What is not remembered is used again.
    EXPECT_EQ(used.size(), keep ? 6u * 3 + 1 : 6u + 3);
  }
}

TEST(Scheduler, ChangedWeightsStartEverybodyOver) {
  Scheduler scheduler({.blocks = 16, .max_running = 2, .max_rows = 64});
  scheduler.add(0, 0, ramp(20), 20);
  (void)scheduler.plan();
  scheduler.append(0, 4);
  scheduler.weights_changed();
  const Plan plan = scheduler.plan();
  EXPECT_EQ(plan.feeds[0].start, 0);
  EXPECT_EQ(plan.feeds[0].count, 21);
}

TEST(Scheduler, AcceptedDraftsAreNotFedAgainAndRejectedOnesAreOverwritten) {
  Scheduler scheduler({.blocks = 16, .max_running = 2, .max_rows = 64});
  scheduler.add(0, 0, ramp(14), 14);
  (void)scheduler.plan();
  scheduler.append(0, 20);
  scheduler.draft(0, std::vector<int32_t>{21, 22, 23});
  Plan plan = scheduler.plan();
  EXPECT_EQ(plan.feeds[0].drafts, 3);
  EXPECT_EQ(std::vector<int32_t>(scheduler.fed(plan.feeds[0]).begin(),
                                 scheduler.fed(plan.feeds[0]).end()),
            (std::vector<int32_t>{20, 21, 22, 23}));
  EXPECT_EQ(scheduler.blocks(0).size(), 2u);
  for (const int32_t drawn : {21, 99}) scheduler.append(0, drawn);
  plan = scheduler.plan();
  EXPECT_EQ(plan.feeds[0].start, 16);
  EXPECT_EQ(plan.feeds[0].count, 1);
  EXPECT_EQ(plan.feeds[0].drafts, 0);
  EXPECT_EQ(scheduler.counts().draft_tokens, 3);
  EXPECT_EQ(scheduler.counts().accepted_tokens, 1);
}

TEST(Scheduler, BlocksOfRejectedDraftsAreGivenBack) {
  Scheduler scheduler({.blocks = 16, .max_running = 2, .max_rows = 64});
  scheduler.add(0, 0, ramp(4), 4);
  (void)scheduler.plan();
  scheduler.append(0, 20);
  scheduler.draft(0, std::vector<int32_t>(30, 7));
  (void)scheduler.plan();
  EXPECT_EQ(scheduler.blocks_in_use(), 3);
  scheduler.append(0, 21);
  (void)scheduler.plan();
  EXPECT_EQ(scheduler.blocks_in_use(), 1);
}

// Both need their last block; a draft that needs a third gets none, and one that fits the second is cut to it.
TEST(Scheduler, DraftsTakeOnlyWhatNobodyElseNeeds) {
  Scheduler scheduler({.blocks = 4, .max_running = 2, .max_rows = 18, .prefix_cache = false});
  for (int id = 0; id < 2; ++id) scheduler.add(id, id, ramp(13), 13);
  for (int pass = 0; pass < 2; ++pass) {
    for (const int64_t id : drawn(scheduler.plan())) scheduler.append(id, 1);
  }
  ASSERT_EQ(scheduler.decoding(), (std::vector<int64_t>{0, 1}));
  for (int id = 0; id < 2; ++id) scheduler.draft(id, std::vector<int32_t>(12, 5));
  const Plan plan = scheduler.plan();
  ASSERT_EQ(plan.feeds.size(), 2u);
  EXPECT_EQ(plan.feeds[0].drafts, 1);
  EXPECT_EQ(plan.feeds[1].drafts, 2);
  EXPECT_EQ(scheduler.blocks_in_use(), 2);
  EXPECT_EQ(scheduler.counts().preemptions, 0);
}

TEST(Scheduler, DraftsNeitherExceedTheDrawsNorComeInLockstep) {
  for (const bool lockstep : {false, true}) {
    Scheduler scheduler({.blocks = 16, .max_running = 2, .max_rows = 64});
    scheduler.add(0, 0, ramp(4), 4);
    (void)scheduler.plan();
    scheduler.append(0, 20);
    scheduler.draft(0, std::vector<int32_t>(8, 7));
    const Plan plan = scheduler.plan({.max_draws = 3, .lockstep = lockstep});
    EXPECT_EQ(plan.feeds[0].drafts, lockstep ? 0 : 2);
  }
}

// The leader fills the block of the prompt's last token with accepted guesses and ends; its tokens are remembered for that
// block, in which the other one then goes on.
TEST(Scheduler, WhatIsWrittenOverIsNoLongerRemembered) {
  Scheduler scheduler({.blocks = 32, .max_running = 8, .max_rows = 48});
  for (int i = 0; i < 2; ++i) scheduler.add(i, 0, ramp(49), 49);
  (void)scheduler.plan();  // the prompt but for its last token
  scheduler.draft(0, std::vector<int32_t>(15, 7));
  ASSERT_EQ(drawn(scheduler.plan()), (std::vector<int64_t>{0, 1}));
  for (int i = 0; i < 16; ++i) scheduler.append(0, 7);
  scheduler.append(1, 8);
  scheduler.remove(0, true);
  (void)scheduler.plan();
  std::vector<int32_t> same = ramp(49);
  same.resize(65, 7);
  scheduler.add(2, 1, same, 65);
  EXPECT_EQ(scheduler.plan().feeds.back().start, 48);
}

// Random arrivals, lengths, drafts, abortions and weight changes on a pool that may be tight. Every pass must attend to what
// the sequence's own tokens are, everybody must finish, and no block may be lost.
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
      const int most_drafts = *rc::gen::weightedElement<int>({{1, 0}, {2, 5}, {1, 20}});
      for (const int64_t id : scheduler.decoding()) {
        const int room = end.at(id) - static_cast<int>(scheduler.tokens(id).size()) - 1;
        const auto guess = *rc::gen::container<std::vector<int32_t>>(
            static_cast<size_t>(std::min(room, most_drafts)), rc::gen::inRange(0, 3));
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
