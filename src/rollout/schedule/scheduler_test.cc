#include "rollout/schedule/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "rollout/schedule/testing.h"

namespace longshot::rollout {
namespace {

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
  EXPECT_EQ(plan.copies.size(), 3u);  // of the prompt's last block; the last sequence keeps it
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

// Room for three draws, then for two of four sequences, then blocks for three: the other sequences
// draw later from the logits that are computed for the first of them.
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

// Three groups of four, and places for eight: the third group waits, although at first only the
// leaders of the others run. If it entered before them, three groups would never draw from one row
// of logits.
TEST(Scheduler, PlacesAreKeptForThoseWhoJoinAFirstDraw) {
  Scheduler scheduler({.blocks = 64, .max_running = 8, .max_rows = 24});
  for (int i = 0; i < 12; ++i) scheduler.add(i, i / 4, ramp(20), 20);
  std::set<int64_t> running;
  std::vector<int64_t> first;
  for (int pass = 0; pass < 8 && first.size() < 8; ++pass) {
    const Plan plan = scheduler.plan();
    for (const Feed& feed : plan.feeds) running.insert(feed.id);
    for (const int64_t id : drawn(plan)) {
      if (scheduler.tokens(id).size() == 20) first.push_back(id);
      scheduler.append(id, 1);
    }
  }
  EXPECT_EQ(first, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(running, (std::set<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  for (int64_t id = 0; id < 4; ++id) scheduler.remove(id, false);
  EXPECT_EQ(drawn(scheduler.plan()).size(), 8u);  // four that continue and the third group
}

// 0 and 3 have not drawn yet, 1 and 2 continue with the tokens they have.
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

// Runs a sequence with a prompt of `shared` tokens until it has `length` tokens, and removes it.
// Returns its last blocks.
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
    // 59 of the 60 tokens went through a pass: three full blocks. The prompt fills one block.
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
    // 59 tokens went through passes: of each sequence's four blocks the first is the prompt's, two
    // are full of its response and the last has room. Blocks that are not remembered are used
    // again.
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

// Both sequences have one block, and the two free ones are reserved for their next tokens, so each
// draft is cut to the room that is left in its sequence's block.
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

// The leader fills the block of the prompt's last token with accepted guesses and ends. Its tokens
// are remembered for that block, in which the other sequence then continues.
TEST(Scheduler, WhatIsWrittenOverIsNoLongerRemembered) {
  Scheduler scheduler({.blocks = 32, .max_running = 8, .max_rows = 48});
  for (int i = 0; i < 2; ++i) scheduler.add(i, 0, ramp(49), 49);
  (void)scheduler.plan();  // the prompt except its last token
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

// Five samples with the same prompt, one after the other.
TEST(Scheduler, APrefixIsFoundOnlyWithTheSameAdapter) {
  Scheduler scheduler({.blocks = 64, .max_running = 8, .max_rows = 256});
  std::vector<int64_t> cached;
  for (const int64_t adapter : {0, 7, 8, 7, 0}) {
    const auto id = static_cast<int64_t>(cached.size());
    const int64_t before = scheduler.counts().cached_tokens;
    scheduler.add(id, id, ramp(40), 40, adapter);
    scheduler.plan();
    scheduler.append(id, 1);
    scheduler.remove(id, true);
    cached.push_back(scheduler.counts().cached_tokens - before);
  }
  EXPECT_EQ(cached, (std::vector<int64_t>{0, 0, 0, 32, 32}));
}

}  // namespace
}  // namespace longshot::rollout
