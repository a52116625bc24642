#include "loop/rl/rounds_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "base/rng.h"
#include "replay/replay_buffer.h"
#include "rollout/jobs.h"
#include "rollout/remote/rounds_in_flight.h"

namespace longshot::loop {
namespace {

using data::FinishReason;
using rollout::WorkerId;

// What a case has in common with all of its courses.
struct Setting {
  uint64_t seed = 0;
  int64_t staleness = 2;
  int batch = 2, per_prompt = 2, segment_tokens = 10, iterations = 8;
  bool earlier_segments = false;
  replay::SelectorKind selector = replay::SelectorKind::fifo;
};

constexpr int kLongest = 40;

data::TokenId token_of(const data::Sample& s, int position, int64_t version) {
  return static_cast<data::TokenId>(
      hash_combine(hash_combine(hash64(s.prompt_id), s.index * 100 + position), version) % 50000);
}

// Many short responses, and few that are up to kLongest.
int length_of(const data::Sample& s) {
  CounterRng rng(hash_combine(hash64(s.prompt_id), s.index));
  const double u = rng.next_double();
  return 1 + static_cast<int>(u * u * u * (kLongest - 1));
}

// Workers with a course of events of their own, given by the seed: they are slow, need time to load
// weights, stall, leave and are replaced.
class SimulatedWorkers final : public rollout::RoundGenerator {
 public:
  SimulatedWorkers(const Setting& setting, uint64_t seed) : setting_(setting), rng_(seed) {}

  void publish(int64_t version) {
    offered_.push_back(version);
    if (offered_.size() > 2) offered_.erase(offered_.begin());
  }
  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
  }

  void set_cut(std::vector<data::Sample> samples) override { rounds_.set_cut(std::move(samples)); }
  Status begin_round(rollout::RoundRequest request) override {
    std::vector<wire::Job> jobs;
    for (data::Sample& sample : request.jobs) jobs.push_back(job_of(std::move(sample)));
    rounds_.begin({std::move(jobs), offered_.back(),
                   [this](data::Sample sample) { return job_of(std::move(sample)); },
                   std::move(request.groups)},
                  now_);
    return ok_status();
  }
  void abandon_rounds() override {}
  Result<rollout::RoundResult> end_round(bool) override {
    for (int i = 0; i < 20000 && !rounds_.oldest_has_ended(); ++i) step();
    if (!rounds_.oldest_has_ended()) return internal_error("the round does not end");
    auto ended = rounds_.take_oldest();
    return rollout::RoundResult{
        ended.version,
        std::move(ended.samples),
        {{"rollout/generated_tokens", static_cast<double>(ended.new_tokens)}}};
  }

 private:
  struct Running {
    wire::Job job;
    int done = 0;
  };
  struct Worker {
    int speed = 1, slots = 1;
    double busy_until = 0;  // stalls, or loads
    int64_t version = -1, loading = -1;
    bool gone = false;
    std::vector<Running> running;
    std::vector<rollout::Order> orders;
  };

  wire::Job job_of(data::Sample sample) const {
    return {.id = 0,
            .sample = std::move(sample),
            .max_response_length = kLongest,
            .segment_tokens = setting_.segment_tokens,
            .forced = {}};
  }
  bool chance(uint64_t in) { return rng_.next_below(in) == 0; }

  void step() {
    now_ += 0.1;
    change_workers();
    for (auto& [id, worker] : workers_) work(id, worker);
    std::erase_if(workers_, [](const auto& w) { return w.second.gone; });
    for (rollout::Order& order : pool_.orders(now_))
      workers_.at(order.worker).orders.push_back(std::move(order));
  }

  void change_workers() {
    if (workers_.empty() || (workers_.size() < 3 && chance(30))) {
      const WorkerId id = next_++;
      Worker& worker = workers_[id];
      worker.speed = 1 + static_cast<int>(rng_.next_below(12));
      worker.slots = 1 + static_cast<int>(rng_.next_below(8));
      pool_.join(id, worker.slots, now_);
      load(id, worker, offered_.back());
    }
    for (auto& [id, worker] : workers_) {
      if (chance(80)) {
        worker.gone = true;
        pool_.leave(id);
      } else if (chance(60)) {
        worker.busy_until = now_ + 4 * rng_.next_double();
      }
    }
  }

  // A worker that slept does not find weights that nobody needs any more; it joins again.
  void load(WorkerId id, Worker& worker, int64_t version) {
    ASSERT_TRUE(worker.running.empty());
    if (std::ranges::count(offered_, version) == 0) {
      worker.gone = true;
      return pool_.leave(id);
    }
    worker.loading = version;
    worker.busy_until = std::max(worker.busy_until, now_ + rng_.next_double());
  }

  void work(WorkerId id, Worker& worker) {
    if (worker.gone || now_ < worker.busy_until) return;
    if (worker.loading >= 0) {
      worker.version = std::exchange(worker.loading, -1);
      pool_.set_version(id, worker.version, now_);
    }
    for (const rollout::Order& order : std::exchange(worker.orders, {})) accept(id, worker, order);
    if (worker.gone) return;
    pool_.heard(id, now_);
    for (Running& running : worker.running) send(id, worker, running);
    std::erase_if(worker.running, [](const Running& r) { return r.done < 0; });
  }

  void accept(WorkerId id, Worker& worker, const rollout::Order& order) {
    std::erase_if(worker.running,
                  [&](const Running& r) { return std::ranges::count(order.drop, r.job.id) > 0; });
    for (const wire::Job& job : order.jobs) worker.running.push_back({job});
    if (order.load) load(id, worker, *order.load);
  }

  void send(WorkerId id, const Worker& worker, Running& running) {
    const wire::Job& job = running.job;
    const int known = static_cast<int>(job.sample.tokens.size()), whole = length_of(job.sample);
    const int cap = job.segment_tokens, cut = cap > 0 ? std::min(whole, known + cap) : whole;
    wire::Piece piece{.job = job.id,
                      .begin = known + running.done,
                      .tokens = {},
                      .logprobs = {},
                      .version = worker.version,
                      .finished = false,
                      .finish = FinishReason::partial,
                      .text = ""};
    const int end = std::min(cut, piece.begin + worker.speed);
    for (int at = piece.begin; at < end; ++at) {
      piece.tokens.push_back(token_of(job.sample, at, worker.version));
      piece.logprobs.push_back(-1);
    }
    piece.finished = end == cut;
    if (end == whole) piece.finish = FinishReason::stop;
    running.done = piece.finished ? -1 : end - known;
    const auto ended = pool_.receive(id, piece, now_);
    ASSERT_TRUE(ended.ok()) << ended.status().message();
    if (*ended) rounds_.complete(**ended, now_);
  }

  const Setting setting_;
  CounterRng rng_;
  rollout::Pool pool_{{.silence_seconds = 1}};
  rollout::RoundsInFlight rounds_{pool_};
  std::vector<int64_t> offered_;  // the two newest versions
  std::map<WorkerId, Worker> workers_;
  WorkerId next_ = 1;
  double now_ = 0;
};

// The iterations of a run: what Run does with prompts, rounds, buffer and weights.
class Course {
 public:
  Course(const Setting& setting, uint64_t seed)
      : setting_(setting), rng_(hash_combine(seed, 5)), seed_(seed) {
    start();
  }

  // `resumes`: the run is lost at random moments and continues from a checkpoint.
  void run(bool resumes) {
    while (iteration_ < setting_.iterations && !::testing::Test::HasFatalFailure()) {
      iterate();
      if (resumes && rng_.next_below(2) == 0) resume();
    }
  }

  const std::vector<std::string>& batches() const { return batches_; }
  double dropped() const { return dropped_; }
  int spanning() const { return spanning_; }

 private:
  void start() {
    ahead_.reset();
    workers_ = std::make_unique<SimulatedWorkers>(setting_, hash_combine(seed_, starts_++));
    workers_->publish(iteration_);
    ahead_ = std::make_unique<RoundsAhead>(*workers_);
    buffer_ = std::make_unique<replay::ReplayBuffer>(
        replay::make_selector(setting_.selector),
        replay::Limits{setting_.staleness, setting_.earlier_segments});
  }

  void begin_round(size_t in_batch) {
    const auto capacity = static_cast<size_t>((setting_.staleness + 1) * setting_.batch);
    std::vector<data::Draw> draws;
    while (buffer_->groups() + in_batch + draws.size() < capacity) {
      data::Draw& draw = draws.emplace_back();
      draw.prompt.id = std::to_string(setting_.seed) + "/" + std::to_string(opened_++);
      draw.prompt.tokens = {1};
    }
    ASSERT_TRUE(buffer_->open_groups(draws, setting_.per_prompt).ok());
    rollout::RoundRequest request;
    request.jobs = rollout::make_jobs(draws, setting_.per_prompt);
    for (const auto& [group, prompt] : buffer_->unfinished()) request.groups.insert(group);
    ASSERT_TRUE(ahead_->begin(std::move(request), iteration_).ok());
  }

  void iterate() {
    std::vector<data::Group> batch;
    const auto size = static_cast<size_t>(setting_.batch);
    begin_round(0);
    while (ahead_->has_round_older_than(iteration_ - 1) ||
           (ahead_->has_round_older_than(iteration_) && buffer_->has_last_chance(iteration_)))
      take_in_oldest();
    while (true) {
      auto more = buffer_->take(size - batch.size(), iteration_, 0).value();
      std::ranges::move(more, std::back_inserter(batch));
      if (batch.size() == size) break;
      if (!ahead_->has_round()) begin_round(batch.size());
      take_in_oldest();
    }
    check(batch);
    workers_->run(static_cast<int>(rng_.next_below(20)));  // the trainer works
    ASSERT_TRUE(ahead_->end_older_than(iteration_).ok());
    dropped_ += buffer_->take_metrics().at("replay/dropped_stale");
    ++iteration_;
    snapshot_ = ahead_->snapshot();
    buffer_->mark();
    workers_->publish(iteration_);
  }

  void take_in_oldest() {
    auto given = ahead_->take_oldest();
    ASSERT_TRUE(given.ok()) << given.status().message();
    std::vector<data::Sample> samples = std::move(given->samples);
    std::erase_if(samples, [&](const data::Sample& s) {
      return s.finish == FinishReason::partial ||
             buffer_->find_prompt(s.prompt_id, s.seed) == nullptr;
    });
    const std::vector<data::Verdict> verdicts(samples.size());
    ASSERT_TRUE(buffer_->insert(std::move(samples), verdicts).ok());
  }

  void check(const std::vector<data::Group>& batch) {
    std::string text;
    for (const data::Group& group : batch) {
      ASSERT_TRUE(seen_.insert(group.prompt.id).second) << "twice";
      ASSERT_EQ(group.samples.size(), static_cast<size_t>(setting_.per_prompt));
      text += group.prompt.id + ":";
      for (const data::Sample& sample : group.samples) text += check(sample);
    }
    batches_.push_back(text);
  }

  // Returns the segments as a text.
  std::string check(const data::Sample& s) {
    EXPECT_EQ(s.tokens.size(), static_cast<size_t>(length_of(s))) << "a token is lost";
    std::string text;
    int64_t before = -1;
    for (const data::Segment& segment : s.segments) {
      text += std::to_string(segment.end) + "@" + std::to_string(segment.version) + " ";
      for (int at = segment.begin; at < segment.end; ++at)
        EXPECT_EQ(s.tokens[at], token_of(s, at, segment.version));
      EXPECT_GT(segment.version, before);
      before = segment.version;
    }
    spanning_ += s.segments.size() > 1 ? 1 : 0;
    const auto& trained = setting_.earlier_segments ? s.segments.front() : s.segments.back();
    EXPECT_LE(iteration_ - trained.version, setting_.staleness) << "too old";
    return text;
  }

  // Only what a checkpoint has is left. Workers are others.
  void resume() {
    const std::string path = ::testing::TempDir() + "rounds_ahead_test.records";
    ASSERT_TRUE(ahead_->complete(snapshot_).ok());
    const Json json = to_json(snapshot_);
    ASSERT_TRUE(buffer_->save(path).ok());
    start();
    ASSERT_TRUE(buffer_->load(path).ok());
    std::filesystem::remove(path);
    ahead_->restore(rounds_ahead_from_json(json, "state.json").value());
  }

  const Setting setting_;
  CounterRng rng_;
  const uint64_t seed_;
  uint64_t starts_ = 0;
  std::unique_ptr<SimulatedWorkers> workers_;
  std::unique_ptr<RoundsAhead> ahead_;  // uses workers_
  std::unique_ptr<replay::ReplayBuffer> buffer_;
  RoundsAhead::Snapshot snapshot_;
  int64_t iteration_ = 0, opened_ = 0;
  double dropped_ = 0;
  int spanning_ = 0;
  std::set<std::string> seen_;
  std::vector<std::string> batches_;
};

// Settings x courses: whatever workers do, and however often the run continues from a checkpoint,
// its batches are the same; no token is lost, counted twice or too old.
TEST(RoundsAhead, AnyCourseGivesTheSameBatches) {
  double dropped = 0;
  int spanning = 0;
  for (uint64_t number = 0; number < 250; ++number) {
    CounterRng rng(hash_combine(number, 3));
    Setting setting{.seed = number};
    setting.staleness = std::array{0, 1, 2, 8}[number % 4];
    setting.batch = 1 + static_cast<int>(rng.next_below(3));
    setting.per_prompt = 1 + static_cast<int>(rng.next_below(3));
    setting.segment_tokens = number % 5 == 0 ? 0 : 3 + static_cast<int>(rng.next_below(30));
    setting.earlier_segments = rng.next_below(2) == 0;
    setting.selector =
        rng.next_below(2) == 0 ? replay::SelectorKind::fifo : replay::SelectorKind::edf;
    std::vector<std::string> first;
    for (uint64_t seed = 0; seed < 4; ++seed) {
      Course course(setting, hash_combine(number, seed));
      course.run(seed >= 2);
      ASSERT_FALSE(HasFailure()) << "setting " << number << ", course " << seed;
      if (seed == 0) first = course.batches();
      ASSERT_EQ(course.batches(), first) << "setting " << number << ", course " << seed;
      dropped += course.dropped();
      spanning += course.spanning();
    }
  }
  printf("1000 courses: %g groups dropped, %d samples of several versions\n", dropped, spanning);
  EXPECT_GT(dropped, 0);
  EXPECT_GT(spanning, 1000);
}

// The longest sample needs as many rounds as the limit has versions, or one less.
TEST(RoundsAhead, FewGroupsAreDroppedIfTheLongestSampleTakesAtMostSoManyRounds) {
  const auto dropped = [](replay::SelectorKind selector, int segment_tokens) {
    double dropped = 0;
    for (uint64_t number = 0; number < 30; ++number) {
      Setting setting{.seed = number, .staleness = 4, .iterations = 20};
      setting.earlier_segments = number % 2 == 0;
      setting.selector = selector;
      setting.segment_tokens = segment_tokens;
      Course course(setting, number);
      course.run(false);
      dropped += course.dropped();
    }
    return dropped;
  };
  using enum replay::SelectorKind;
  const int limit = kLongest / 4, less = (kLongest + 2) / 3;
  printf("of 1200 groups: %g dropped with edf, %g with fifo; with a round less %g and %g\n",
         dropped(edf, limit), dropped(fifo, limit), dropped(edf, less), dropped(fifo, less));
  EXPECT_LT(dropped(edf, limit), dropped(fifo, limit));
  EXPECT_LT(dropped(edf, limit), 0.02 * 1200);
  EXPECT_LE(dropped(edf, less), dropped(edf, limit));
}

}  // namespace
}  // namespace longshot::loop
