// Courses of a buffer over many iterations, with responses that take several of them.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "replay/replay_buffer.h"

namespace longshot::replay {
namespace {

constexpr size_t kBatch = 2;

// A response of `rounds` iterations, of which each generates one token.
struct Response {
  data::Sample sample;
  int rounds = 0;
};

// Half of the prompts have two responses of 2 tokens. The others have one of 1 token and one of 4,
// so their groups are longer, and become stale earlier because the short response waits.
class Course {
 public:
  Course(SelectorKind kind, int capacity, Limits limits, uint64_t seed)
      : rng_(seed), capacity_(capacity), limits_(limits), buffer_(make_selector(kind), limits) {}

  void run(int iterations) {
    for (version_ = 0; version_ < iterations; ++version_) {
      open();
      generate();
      take();
      dropped_ += buffer_.take_metrics().at("replay/dropped_stale");
    }
  }

  double dropped() const { return dropped_; }
  double mean_length() const { return tokens_ / static_cast<double>(samples_); }
  const std::map<std::string, int>& taken() const { return taken_; }
  const std::map<std::string, int>& reused() const { return reused_; }
  int64_t opened() const { return opened_; }
  size_t left() const { return buffer_.groups(); }

 private:
  void open() {
    while (static_cast<int>(buffer_.groups()) < capacity_) {
      data::Draw draw;
      draw.prompt.id = std::to_string(opened_++);
      const bool even = rng_.next_below(2) == 0;
      ASSERT_TRUE(buffer_.open_groups({draw}, 2).ok());
      for (const uint32_t index : {0u, 1u}) {
        Response& response = running_.emplace_back();
        response.sample.prompt_id = draw.prompt.id;
        response.sample.index = index;
        response.sample.finish = data::FinishReason::partial;
        response.rounds = even ? 2 : index == 0 ? 1 : 4;
      }
    }
  }

  void generate() {
    for (Response& response : running_) {
      data::Sample& s = response.sample;
      const int begin = static_cast<int>(s.tokens.size());
      s.tokens.push_back(begin);
      s.logprobs.push_back(0);
      s.segments.push_back({begin, begin + 1, version_});
      if (begin + 1 < response.rounds) continue;
      s.finish = data::FinishReason::stop;
      const bool dropped = buffer_.find_prompt(s.prompt_id, s.seed) == nullptr;
      ASSERT_TRUE(dropped || buffer_.insert({s}, {data::Verdict{}}).ok());
    }
    std::erase_if(running_, [](const Response& r) { return r.sample.finish != kPartial; });
  }

  void take() {
    for (const data::Group& group : buffer_.take_trained(1, version_)) {
      ++reused_[group.prompt.id];
      for (const data::Sample& sample : group.samples)
        EXPECT_GE(sample.segments.back().version, version_ - limits_.staleness);
    }
    const auto groups = buffer_.take(kBatch, version_, 0).value();
    buffer_.keep_trained(groups);
    for (const data::Group& group : groups) {
      ++taken_[group.prompt.id];
      for (const data::Sample& sample : group.samples) {
        tokens_ += static_cast<double>(sample.tokens.size());
        ++samples_;
        EXPECT_GE(sample.segments.back().version, version_ - limits_.staleness);
      }
    }
  }

  static constexpr data::FinishReason kPartial = data::FinishReason::partial;
  CounterRng rng_;
  const int capacity_;
  const Limits limits_;
  ReplayBuffer buffer_;
  std::vector<Response> running_;
  int64_t version_ = 0, opened_ = 0, samples_ = 0;
  double dropped_ = 0, tokens_ = 0;
  std::map<std::string, int> taken_, reused_;
};

// AstraFlow's reason for the order (arXiv 2605.15565).
TEST(ReplayCourse, FirstInFirstOutDropsMoreGroupsAndPrefersShortOnes) {
  Course fifo(SelectorKind::fifo, 12, {.staleness = 4}, 1);
  Course edf(SelectorKind::edf, 12, {.staleness = 4}, 1);
  fifo.run(300);
  edf.run(300);
  printf("fifo: %g dropped, mean length %.3f; edf: %g dropped, mean length %.3f\n", fifo.dropped(),
         fifo.mean_length(), edf.dropped(), edf.mean_length());
  EXPECT_GT(fifo.dropped(), edf.dropped());
  EXPECT_LT(fifo.mean_length(), edf.mean_length());
}

TEST(ReplayCourse, NoGroupIsTakenTwiceOrLost) {
  for (const SelectorKind kind : all_of<SelectorKind>()) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const int capacity = 2 + static_cast<int>(seed % 13);
      Course course(kind, capacity, {.staleness = 3 + static_cast<int64_t>(seed % 4)}, seed);
      course.run(60);
      for (const auto& [id, times] : course.taken()) ASSERT_EQ(times, 1) << id;
      const auto ended = static_cast<double>(course.taken().size()) + course.dropped();
      ASSERT_EQ(ended + static_cast<double>(course.left()), static_cast<double>(course.opened()));
    }
  }
}

TEST(ReplayCourse, TrainedGroupsAreReusedAtMostAsOftenAsAllowed) {
  for (const int most : {1, 3}) {
    int reached = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Course course(SelectorKind::edf, 4, {.staleness = 6, .reuse = most, .trained = 4}, seed);
      course.run(60);
      EXPECT_FALSE(course.reused().empty());
      for (const auto& [id, times] : course.reused()) {
        ASSERT_EQ(course.taken().count(id), 1u) << "not trained on before";
        ASSERT_LE(times, most);
        reached += times == most ? 1 : 0;
      }
    }
    EXPECT_GT(reached, 0);
  }
}

}  // namespace
}  // namespace longshot::replay
