#include "rollout/scheduler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>

namespace longshot::rollout {
namespace {

TEST(Scheduler, AdmitsInOrderAsSlotsBecomeFree) {
  Scheduler scheduler(2);
  for (int i = 0; i < 4; ++i) scheduler.add(i);
  const auto first = scheduler.admit();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].job, 0);
  EXPECT_EQ(first[1].job, 1);
  EXPECT_TRUE(scheduler.admit().empty());
  scheduler.finish(1);
  const auto next = scheduler.admit();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].job, 2);
  EXPECT_EQ(next[0].slot, first[1].slot);
}

TEST(Scheduler, OneMemberOfAGroupHasNoPrefixAndTheOthersCopyIt) {
  Scheduler scheduler(8);
  for (int i = 0; i < 4; ++i) scheduler.add(0);
  const auto admitted = scheduler.admit();
  EXPECT_EQ(admitted[0].prefix_from, -1);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(admitted[i].prefix_from, admitted[0].slot);
}

TEST(Scheduler, AGroupLargerThanTheSlotsKeepsItsPrompt) {
  Scheduler scheduler(1);
  for (int i = 0; i < 3; ++i) scheduler.add(7);
  EXPECT_EQ(scheduler.admit()[0].prefix_from, -1);
  for (int i = 0; i < 2; ++i) {
    scheduler.finish(i);
    const auto next = scheduler.admit();
    EXPECT_EQ(next[0].prefix_from, next[0].slot);
  }
}

// Random groups, slots and endings. What must hold at every step is checked against a plain model of the slots.
TEST(SchedulerProperty, NoJobIsLostAndEveryPrefixIsReal) {
  EXPECT_TRUE(rc::check("scheduler invariants", [] {
    const int slots = *rc::gen::inRange(1, 7);
    const auto groups = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5));
    Scheduler scheduler(slots);
    for (const int g : groups) scheduler.add(g);
    std::map<int, int> running;  // slot -> job
    std::map<int, int> content;  // slot -> group whose prompt is computed there
    int next_job = 0;
    while (!scheduler.idle()) {
      for (const Admission& a : scheduler.admit()) {
        RC_ASSERT(a.job == next_job++);
        RC_ASSERT(a.slot >= 0 && a.slot < slots);
        RC_ASSERT(running.count(a.slot) == 0u);
        if (a.prefix_from >= 0) {
          RC_ASSERT(content.at(a.prefix_from) == groups[a.job]);
          // A source other than the slot itself belongs to somebody, so nobody else can be given it.
          RC_ASSERT(a.prefix_from == a.slot || running.count(a.prefix_from) == 1u);
        } else {
          for (const auto& [slot, group] : content)
            RC_ASSERT(group != groups[a.job] || slot == a.slot);
        }
        running[a.slot] = a.job;
        content[a.slot] = groups[a.job];
        RC_ASSERT(scheduler.slot_of(a.job) == a.slot);
      }
      RC_ASSERT(scheduler.running() == static_cast<int>(running.size()));
      // Work-conserving: a slot stays free only if nobody waits.
      RC_ASSERT(static_cast<int>(running.size()) == slots ||
                next_job == static_cast<int>(groups.size()));
      auto at =
          std::next(running.begin(), *rc::gen::inRange<int>(0, static_cast<int>(running.size())));
      scheduler.finish(at->second);
      running.erase(at);
    }
    RC_ASSERT(next_job == static_cast<int>(groups.size()));
  }));
}

}  // namespace
}  // namespace longshot::rollout
