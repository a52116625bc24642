#include "replay/replay_buffer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/os/fs.h"
#include "base/rng.h"

namespace longshot::replay {
namespace {

using data::FinishReason;

data::Draw draw(const std::string& id, uint64_t seed = 1) {
  data::Draw d;
  d.prompt.id = id;
  d.prompt.extra_info = Json::object();
  d.seed = seed;
  return d;
}

data::Sample sample(const std::string& id, uint32_t index, FinishReason finish, int64_t version = 0,
                    uint64_t seed = 1) {
  data::Sample s;
  s.prompt_id = id;
  s.seed = seed;
  s.index = index;
  s.tokens = {1, 2, 3};
  s.logprobs = {-0.1f, -0.2f, -0.3f};
  s.segments = {{0, 3, version}};
  s.finish = finish;
  return s;
}

data::Verdict verdict(double score) {
  data::Verdict v;
  v.scored = true;
  v.score = score;
  return v;
}

class ReplayBufferTest : public ::testing::Test {
 protected:
  ~ReplayBufferTest() override { std::filesystem::remove(path_); }

  std::unique_ptr<ReplayBuffer> make(Limits limits = {}) {
    return std::make_unique<ReplayBuffer>(make_selector(SelectorKind::fifo), limits);
  }
  static void add(ReplayBuffer& b, std::vector<data::Sample> samples) {
    std::vector<data::Verdict> verdicts(samples.size(), verdict(1));
    ASSERT_TRUE(b.insert(std::move(samples), std::move(verdicts)).ok());
  }

  std::string path_ = ::testing::TempDir() + "replay_buffer_test.records";
};

TEST_F(ReplayBufferTest, AGroupLeavesOnceAllItsSamplesAreFinishedInIndexOrder) {
  auto b = make();
  ASSERT_TRUE(b->open_groups({draw("a"), draw("b")}, 2).ok());
  add(*b, {sample("a", 1, FinishReason::stop), sample("b", 0, FinishReason::stop)});
  EXPECT_EQ(b->take(9, 0, 0)->size(), 0u);
  add(*b, {sample("a", 0, FinishReason::length)});
  const auto groups = b->take(9, 0, 0);
  ASSERT_EQ(groups->size(), 1u);
  EXPECT_EQ(groups->at(0).prompt.id, "a");
  EXPECT_EQ(groups->at(0).samples[0].index, 0u);
  EXPECT_EQ(groups->at(0).samples[1].index, 1u);
  EXPECT_EQ(b->groups(), 1u);
}

TEST_F(ReplayBufferTest, PartialsLeaveAndComeBackFinished) {
  auto b = make();
  ASSERT_TRUE(b->open_groups({draw("a")}, 1).ok());
  add(*b, {sample("a", 0, FinishReason::partial)});
  auto partials = b->take_partials();
  ASSERT_EQ(partials->size(), 1u);
  EXPECT_EQ(b->take_partials()->size(), 0u);
  partials->at(0).finish = FinishReason::stop;
  add(*b, {partials->at(0)});
  EXPECT_EQ(b->take(9, 0, 0)->size(), 1u);
}

TEST_F(ReplayBufferTest, StaleGroupsAreDroppedAndCounted) {
  auto b = make({.staleness = 2});
  ASSERT_TRUE(b->open_groups({draw("old"), draw("new")}, 1).ok());
  add(*b, {sample("old", 0, FinishReason::stop, 1), sample("new", 0, FinishReason::stop, 3)});
  const auto groups = b->take(9, 4, 0);
  ASSERT_EQ(groups->size(), 1u);
  EXPECT_EQ(groups->at(0).prompt.id, "new");
  EXPECT_EQ(b->take_metrics()["replay/dropped_stale"], 1);
}

TEST_F(ReplayBufferTest, AnUnfinishedGroupThatHasBecomeStaleIsGivenUpWithItsPartials) {
  auto b = make({.staleness = 1});
  ASSERT_TRUE(b->open_groups({draw("a"), draw("b")}, 2).ok());
  add(*b, {sample("a", 0, FinishReason::stop, 3), sample("a", 1, FinishReason::partial, 3),
           sample("b", 0, FinishReason::partial, 3), sample("b", 1, FinishReason::partial, 3)});
  ASSERT_EQ(b->take(9, 4, 0)->size(), 0u);
  EXPECT_EQ(b->groups(), 2u);
  ASSERT_EQ(b->take(9, 5, 0)->size(), 0u);
  EXPECT_EQ(b->groups(), 1u);  // no sample of b is finished, so its last segment may still be new
  EXPECT_EQ(b->take_partials()->size(), 2u);
  EXPECT_EQ(b->take_metrics()["replay/dropped_stale"], 1);
}

TEST_F(ReplayBufferTest, AnUnfinishedGroupHasItsLastChanceAtTheLimit) {
  auto b = make({.staleness = 2});
  ASSERT_TRUE(b->open_groups({draw("a"), draw("b")}, 2).ok());
  add(*b, {sample("a", 0, FinishReason::stop, 3)});
  for (const int64_t version : {3, 4, 5, 6}) EXPECT_EQ(b->has_last_chance(version), version == 5);
  add(*b, {sample("a", 1, FinishReason::stop, 3)});
  EXPECT_FALSE(b->has_last_chance(5));  // it is complete
}

TEST_F(ReplayBufferTest, StalenessCountsTheTokensThatAreTrainedOn) {
  for (const bool earlier : {false, true}) {
    auto b = make({.staleness = 1, .train_earlier_segments = earlier});
    ASSERT_TRUE(b->open_groups({draw("a")}, 1).ok());
    data::Sample continued = sample("a", 0, FinishReason::stop);
    continued.segments = {{0, 1, 2}, {1, 3, 5}};
    add(*b, {continued});
    EXPECT_EQ(b->take(9, 5, 0)->size(), earlier ? 0u : 1u);
  }
}

TEST_F(ReplayBufferTest, CompleteGroupsWaitForTheirTurn) {
  const auto order = [&](SelectorKind selector) {
    ReplayBuffer b(make_selector(selector), {});
    EXPECT_TRUE(b.open_groups({draw("a"), draw("b"), draw("c"), draw("d")}, 1).ok());
    add(b, {sample("a", 0, FinishReason::stop, 1), sample("b", 0, FinishReason::stop, 3),
            sample("c", 0, FinishReason::stop, 2), sample("d", 0, FinishReason::stop, 3)});
    std::string ids;
    for (const uint64_t key : {1, 2}) {
      const auto groups = b.take(2, 3, key).value();
      for (const auto& group : groups) ids += group.prompt.id;
      EXPECT_EQ(b.take_metrics()["replay/waiting"], key == 1 ? 2 : 0);
    }
    return ids;
  };
  EXPECT_EQ(order(SelectorKind::fifo), "abcd");
  EXPECT_EQ(order(SelectorKind::freshest), "dbca");
  const std::string any = order(SelectorKind::uniform);
  EXPECT_NE(any, "abcd");
  EXPECT_NE(any, "dbca");
}

// Random operations: from every checkpoint position a restored buffer continues exactly like the
// first one.
TEST_F(ReplayBufferTest, RestoringAnyCheckpointContinuesLikeTheUninterruptedRun) {
  struct Event {
    int kind;
    std::string id;
    FinishReason finish;
  };
  CounterRng rng(4);
  std::vector<Event> events;
  std::vector<std::string> ids;
  for (int i = 0; i < 60; ++i) {
    const int kind = ids.empty() ? 0 : static_cast<int>(rng.next_below(3));
    if (kind == 0) ids.push_back("p" + std::to_string(i));
    events.push_back({kind, ids[rng.next_below(ids.size())],
                      rng.next_below(2) ? FinishReason::stop : FinishReason::partial});
  }
  const auto run = [&](ReplayBuffer& b, size_t from, size_t to, std::string* log) {
    for (size_t i = from; i < to; ++i) {
      const Event& e = events[i];
      if (e.kind == 0) {
        ASSERT_TRUE(b.open_groups({draw(e.id, i)}, 1).ok());
        add(b, {sample(e.id, 0, e.finish, 0, i)});
      } else if (e.kind == 1) {
        const auto groups = b.take(2, 0, i).value();
        for (const auto& group : groups) *log += group.prompt.id + ",";
      } else {
        auto partials = *b.take_partials();
        for (auto& p : partials) {
          *log += p.prompt_id + "~";
          p.finish = FinishReason::stop;
        }
        add(b, partials);
      }
    }
  };
  // kind-0 events name a fresh id only when it was pushed in that step
  for (size_t i = 0, fresh = 0; i < events.size(); ++i) {
    if (events[i].kind == 0) events[i].id = ids[fresh++];
  }
  std::string whole;
  auto first = make();
  std::vector<std::string> saved;
  std::vector<size_t> log_sizes;
  for (size_t i = 0; i < events.size(); ++i) {
    run(*first, i, i + 1, &whole);
    first->mark();
    ASSERT_TRUE(first->save(path_).ok());
    saved.push_back(read_file(path_).value());
    log_sizes.push_back(whole.size());
  }
  ASSERT_GT(whole.size(), 20u);
  for (size_t i = 0; i < saved.size(); ++i) {
    auto again = make();
    ASSERT_TRUE(write_file_durable(path_, saved[i]).ok());
    ASSERT_TRUE(again->load(path_).ok());
    std::string log = whole.substr(0, log_sizes[i]);
    run(*again, i + 1, events.size(), &log);
    EXPECT_EQ(log, whole) << "restored after event " << i;
  }
}

TEST_F(ReplayBufferTest, TrainedGroupsComeBackNewestFirstAsOftenAsAllowed) {
  auto b = make({.staleness = 4, .reuse = 2, .trained = 3});
  for (const char* id : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(b->open_groups({draw(id)}, 1).ok());
    add(*b, {sample(id, 0, FinishReason::stop, 1)});
    b->keep_trained(b->take(9, 1, 0).value());  // there is room for three, so a leaves
  }
  const auto ids = [&](size_t count, int64_t version) {
    std::string text;
    for (const data::Group& group : b->take_trained(count, version)) text += group.prompt.id;
    return text;
  };
  EXPECT_EQ(b->reusable(1), 3u);
  EXPECT_EQ(ids(2, 2), "dc");
  EXPECT_EQ(ids(2, 3), "dc");  // for the second time, so they leave
  EXPECT_EQ(ids(2, 5), "b");
  EXPECT_EQ(b->reusable(5), 1u);
  EXPECT_EQ(b->reusable(6), 0u);
  EXPECT_EQ(ids(2, 6), "");  // stale
  EXPECT_EQ(b->groups(), 0u);
}

TEST_F(ReplayBufferTest, TrainedGroupsAreInTheCheckpoint) {
  const Limits limits{.reuse = 2, .trained = 8};
  auto b = make(limits);
  ASSERT_TRUE(b->open_groups({draw("a"), draw("b")}, 1).ok());
  add(*b, {sample("a", 0, FinishReason::stop, 1), sample("b", 0, FinishReason::stop, 2)});
  const auto taken = b->take(2, 2, 0).value();
  b->keep_trained(taken);
  ASSERT_EQ(b->take_trained(1, 3).size(), 1u);  // b, once
  b->mark();
  ASSERT_EQ(b->take_trained(2, 4).size(), 2u);
  ASSERT_TRUE(b->save(path_).ok());
  auto again = make(limits);
  ASSERT_TRUE(again->load(path_).ok());
  EXPECT_EQ(again->take_metrics().at("replay/trained"), 2);
  const auto groups = again->take_trained(2, 4);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].prompt.id, "b");
  EXPECT_EQ(groups[0].samples[0].tokens, taken[1].samples[0].tokens);
  EXPECT_EQ(groups[0].verdicts[0].score, taken[1].verdicts[0].score);
  ASSERT_EQ(again->take_trained(2, 4).size(), 1u);  // a; b has had its two uses
}

TEST_F(ReplayBufferTest, WhatHappensAfterAMarkIsNotSaved) {
  auto b = make();
  ASSERT_TRUE(b->open_groups({draw("a")}, 1).ok());
  add(*b, {sample("a", 0, FinishReason::partial)});
  b->mark();
  ASSERT_EQ(b->take_partials()->size(), 1u);
  ASSERT_TRUE(b->open_groups({draw("b")}, 1).ok());
  ASSERT_TRUE(b->save(path_).ok());
  auto again = make();
  ASSERT_TRUE(again->load(path_).ok());
  EXPECT_EQ(again->groups(), 1u);
  EXPECT_EQ(again->take_partials()->size(), 1u);
}

TEST_F(ReplayBufferTest, AFileThatCannotBeReadChangesNothing) {
  auto b = make();
  ASSERT_TRUE(b->open_groups({draw("a")}, 1).ok());
  b->mark();
  ASSERT_TRUE(b->save(path_).ok());
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  auto other = make();
  ASSERT_TRUE(other->open_groups({draw("b"), draw("c")}, 1).ok());
  EXPECT_EQ(other->load(path_).code(), StatusCode::corrupt);
  EXPECT_EQ(other->groups(), 2u);
  EXPECT_EQ(other->load(path_ + ".missing").code(), StatusCode::not_found);
}

}  // namespace
}  // namespace longshot::replay
