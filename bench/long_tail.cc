// Time saved by partial rollouts when a few samples are very long: `long_tail [MODEL [SAMPLES
// [WORKERS [THREADS]]]]`. 16 samples in flight (groups of 4, prompts of 64 tokens); lengths are
// log-normal with a median of 48 tokens and a maximum of 20 times that. In the first measurement
// every iteration waits for its longest sample. In the second, iterations have a token budget:
// unfinished samples continue in the next iteration, and each sample that ended makes room for a
// new one. Weights are loaded before every iteration, as in training, so the caches of the partial
// samples are recomputed.

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <thread>

#include "base/os/clock.h"
#include "base/rng.h"
#include "bench/bench_model.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine_group.h"

namespace longshot::bench {
namespace {

constexpr int kGroup = 4, kPrompt = 64, kMedian = 48, kTimesMedian = 20;
constexpr int kLongest = kMedian * kTimesMedian;

// The z below which the given share of a standard normal distribution lies, by bisection.
double normal_quantile(double share) {
  double low = -10, high = 10;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
  }
  return low;
}

// Splits the distribution into `count` equal shares and returns the length in the middle of each,
// in a shuffled order.
std::vector<int> lengths_of_a_batch(int count, uint64_t seed) {
  const double sigma = std::log(kTimesMedian) / normal_quantile(1 - 0.5 / count);
  std::vector<std::pair<uint64_t, int>> keyed;
  for (int i = 0; i < count; ++i) {
    const double z = normal_quantile((i + 0.5) / count);
    const int length = static_cast<int>(std::lround(kMedian * std::exp(sigma * z)));
    keyed.emplace_back(hash_combine(seed, static_cast<uint64_t>(i)),
                       std::clamp(length, 1, kLongest));
  }
  std::ranges::sort(keyed);
  std::vector<int> lengths;
  for (const auto& [key, length] : keyed) lengths.push_back(length);
  return lengths;
}

// Creates samples and chooses their lengths.
class Source {
 public:
  explicit Source(int samples) : samples_(samples) {}

  int samples() const { return samples_; }
  data::Sample next() {
    if (at_ % samples_ == 0) lengths_ = lengths_of_a_batch(samples_, static_cast<uint64_t>(at_));
    data::Sample s;
    const int group = at_ / kGroup;
    s.prompt_id = std::to_string(group);
    s.index = static_cast<uint32_t>(at_ % kGroup);
    for (int t = 0; t < kPrompt; ++t) s.prompt_tokens.push_back((t * 7 + group) % 100);
    s.finish = data::FinishReason::partial;
    length_[{s.prompt_id, s.index}] = lengths_[at_++ % samples_];
    return s;
  }
  int length(const data::Sample& s) const { return length_.at({s.prompt_id, s.index}); }

 private:
  int samples_, at_ = 0;
  std::vector<int> lengths_;
  std::map<std::pair<std::string, uint32_t>, int> length_;
};

struct Iteration {
  double seconds = 0, tokens = 0, idle = 0;
};

// One engine per worker; the workers share the threads equally.
class Rollout {
 public:
  Rollout(const model::WeightsView& view, int samples, int workers, int threads) : view_(view) {
    const rollout::RunnerLimits limits{(samples + workers - 1) / workers, kPrompt + kLongest};
    const int own = std::max(1, threads / workers);
    std::vector<std::unique_ptr<rollout::Engine>> engines;
    for (int w = 0; w < workers; ++w) {
      engines.push_back(
          std::make_unique<rollout::Engine>(rollout::make_cpu_runner(limits, own), nullptr, own));
    }
    workers_ = std::make_unique<rollout::EngineGroup>(std::move(engines));
  }

  // Samples that have reached their chosen length end with `length`.
  Iteration run(std::vector<data::Sample>& samples, const Source& source, int64_t budget) {
    rollout::EngineOptions options;
    options.sampling.max_response_length = kLongest;
    options.repetition.enabled = false;
    options.token_budget = budget;
    options.length_of = [&](const data::Sample& sample) { return source.length(sample); };
    const Stopwatch watch;
    view_.version = ++version_;
    must(workers_->load_weights(view_));
    auto done = workers_->generate(std::move(samples), options, nullptr);
    must(done.status());
    samples = std::move(*done);
    const Metrics& m = workers_->metrics();
    return {watch.seconds(), m.at("rollout/generated_tokens"), m.at("perf/rollout_idle_share")};
  }

 private:
  model::WeightsView view_;
  int64_t version_ = 0;
  std::unique_ptr<rollout::EngineGroup> workers_;
};

Iteration mean(const std::vector<Iteration>& all) {
  Iteration sum;
  const auto count = static_cast<double>(all.size());
  for (const Iteration& i : all) {
    sum.seconds += i.seconds / count;
    sum.tokens += i.tokens / count;
    sum.idle += i.idle / count;
  }
  return sum;
}

Iteration waiting(Rollout& rollout, Source source, int iterations) {
  std::vector<Iteration> all;
  for (int i = 0; i < iterations; ++i) {
    std::vector<data::Sample> samples;
    for (int s = 0; s < source.samples(); ++s) samples.push_back(source.next());
    all.push_back(rollout.run(samples, source, 0));
  }
  return mean(all);
}

// Measures after `warm_up` iterations, in which long samples accumulate.
Iteration partial(Rollout& rollout, Source source, int64_t budget, int warm_up, int iterations) {
  std::vector<Iteration> all;
  std::vector<data::Sample> samples;
  for (int i = 0; i < warm_up + iterations; ++i) {
    while (static_cast<int>(samples.size()) < source.samples()) samples.push_back(source.next());
    const Iteration now = rollout.run(samples, source, budget);
    std::erase_if(samples,
                  [](const data::Sample& s) { return s.finish != data::FinishReason::partial; });
    if (i >= warm_up) all.push_back(now);
  }
  return mean(all);
}

void report(const char* name, const Iteration& now, const Iteration& base) {
  fmt::print(
      "{:<26} {:7.2f} s an iteration ({:.2f}x shorter) {:7.0f} tokens {:7.1f} tokens/s ({:.2f}x), "
      "idle {:.1f} %\n",
      name, now.seconds, base.seconds / now.seconds, now.tokens, now.tokens / now.seconds,
      now.tokens / now.seconds / (base.tokens / base.seconds), 100 * now.idle);
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  using namespace longshot::bench;
  setlinebuf(stdout);
  const auto model = load_bench_model(argc > 1 ? argv[1] : "smollm2");
  const int samples = argc > 2 ? std::atoi(argv[2]) : 16,
            workers = argc > 3 ? std::atoi(argv[3]) : 1;
  const int threads =
      argc > 4 ? std::atoi(argv[4]) : static_cast<int>(std::thread::hardware_concurrency());
  if (samples < 1 || workers < 1 || threads < 1)
    must(longshot::invalid_argument("the numbers must be positive"));
  Rollout rollout(model->view, samples, workers, threads);
  int64_t batch = 0;
  for (const int length : lengths_of_a_batch(samples, 0)) batch += length;
  fmt::print("{} workers, {} threads; {} samples of {} tokens together, median {}, longest {}\n",
             workers, threads, samples, batch, kMedian, kLongest);
  const Source source(samples);
  const auto base = waiting(rollout, source, 2);
  report("waiting for the longest", base, base);
  report("budget of a whole batch", partial(rollout, source, batch, 2, 4), base);
  report("budget of half a batch", partial(rollout, source, batch / 2, 4, 6), base);
}
