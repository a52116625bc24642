// Speed of the CPU rollout: GEMM compared with the measured peak of this machine, then generation
// with random weights in the shapes of SmolLM2-135M and of a tiny model. `rollout_bench [threads]
// [waiting]` takes about two minutes on two free cores. With `waiting`, measures only the cost of
// waiting samples.

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <thread>

#include "base/os/clock.h"
#include "bench/peak.h"
#include "bench/shapes.h"
#include "kernels/products/gemm.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "rollout/testing.h"

namespace longshot::bench {
namespace {

// Best of several runs, because the machine may run other programs.
template <typename Body>
double best_seconds(int runs, const Body& body) {
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const Stopwatch watch;
    body();
    best = std::min(best, watch.seconds());
  }
  return best;
}

// Processor time of all threads, which does not depend on other programs.
double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

void report_gemm(int m, int n, int k) {
  namespace cpu = kernels;
  cpu::PanelMatrix w;
  w.reset(n, k);
  const std::vector<float> weights(static_cast<size_t>(n) * k, 0.5f);
  w.set_rows(0, n, weights.data());
  const int ldx = cpu::row_stride(k), ldy = cpu::row_stride(n);
  const std::vector<float> x(static_cast<size_t>(m) * ldx, 0.25f);
  std::vector<float> y(static_cast<size_t>(m) * ldy);
  const double flops = 2.0 * m * n * k;
  const int repeats = std::max(1, static_cast<int>(2e8 / flops));
  const double seconds = best_seconds(20, [&] {
    for (int i = 0; i < repeats; ++i) {
      cpu::gemm(w, x.data(), ldx, m, y.data(), ldy, 0, w.panels(), cpu::Store::set);
    }
  });
  const double rate = flops * repeats / seconds / 1e9;
  const double peak = measured_peak_gflops(1, 0.1);
  fmt::print("gemm {:>4} x {:>6} x {:>5}  {:7.1f} GF/s  {:3.0f} % of peak\n", m, n, k, rate,
             100 * rate / peak);
}

void report_generation(const char* name, const model::ModelConfig& config, int samples, int prompt,
                       int response, int threads, double top_p,
                       NumberFormat weights = NumberFormat::f32,
                       NumberFormat kv = NumberFormat::f32) {
  const auto model = rollout::random_model(config, 1);
  rollout::RunnerLimits limits{256, prompt + response};
  limits.weights = weights;
  limits.kv = kv;
  auto runner = rollout::make_cpu_runner(limits, threads);
  const Stopwatch loading;
  if (const Status status = runner->load_weights(model->view); !status.ok()) {
    fmt::print(stderr, "{}\n", status.to_string());
    std::exit(1);
  }
  const double load_seconds = loading.seconds();
  rollout::Engine engine(std::move(runner), nullptr, threads);
  std::vector<data::Sample> jobs(samples);
  for (int i = 0; i < samples; ++i) {
    jobs[i].prompt_id = "p";
    jobs[i].index = static_cast<uint32_t>(i);
    for (int t = 0; t < prompt; ++t) jobs[i].prompt_tokens.push_back(t * 7 % config.vocab_size);
  }
  rollout::EngineOptions options;
  options.sampling.max_response_length = response;
  options.sampling.top_p = top_p;
  options.repetition.enabled = false;
  const double cpu_start = cpu_seconds();
  const Stopwatch watch;
  (void)*engine.generate(jobs, options);
  const double seconds = watch.seconds(), cpu = cpu_seconds() - cpu_start;
  const double tokens = static_cast<double>(samples) * response;
  fmt::print(
      "{:<8} {:>4} weights {:>4} KV {} samples x {} tokens, prompt {}, top_p {}: {:.0f} tokens/s; "
      "{:.0f} per core-second; load {:.2f} s\n",
      name, name_of(weights), name_of(kv), samples, response, prompt, top_p, tokens / seconds,
      tokens / cpu, load_seconds);
}

// Waiting jobs must not slow down running ones. Returns tokens/s of the tiny model with `count`
// jobs in groups of 16, from the first token to the `tokens`-th. Repeats the call if the jobs are
// too few for that.
double waiting_rate(rollout::Engine& engine, int count, int64_t tokens) {
  std::vector<data::Sample> jobs(count);
  for (int i = 0; i < count; ++i) {
    const int group = i / 16;
    jobs[i].prompt_id = fmt::format("p{}", group);
    jobs[i].index = static_cast<uint32_t>(i % 16);
    for (int t = 0; t < 16; ++t) jobs[i].prompt_tokens.push_back((group >> t) & 1);
  }
  rollout::EngineOptions options;
  options.sampling.max_response_length = 96;
  options.repetition.enabled = false;
  std::atomic<bool> cancel = false;
  options.cancel = &cancel;
  double seconds = 0;
  int64_t done = 0;
  while (done < tokens) {
    Stopwatch watch;
    int64_t first = 0, now = 0;
    (void)*engine.generate(jobs, options, [&](const rollout::Progress& progress) {
      now = progress.generated_tokens;
      if (first == 0) {
        first = now;
        watch.restart();
      }
      if (done + now - first < tokens) return;
      if (!cancel.exchange(true)) seconds += watch.seconds();
    });
    if (!cancel) seconds += watch.seconds();
    done += now - first;
  }
  return static_cast<double>(done) / seconds;
}

void report_waiting(int threads) {
  const auto model = rollout::random_model(tiny_shape(), 1);
  auto runner = rollout::make_cpu_runner({256, 16 + 96}, threads);
  (void)runner->load_weights(model->view);
  rollout::Engine engine(std::move(runner), nullptr, threads);
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const double few = waiting_rate(engine, 256, 100000);
    const double many = waiting_rate(engine, 100000, 100000);
    ratios.push_back(many / few);
    fmt::print("tiny, 256 run at once: {:.0f} tokens/s of 256 jobs, {:.0f} of 100,000: {:.3f}\n",
               few, many, ratios.back());
  }
  std::ranges::sort(ratios);
  fmt::print("median ratio {:.3f}\n", ratios[ratios.size() / 2]);
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  setlinebuf(stdout);
  using namespace longshot::bench;
  const int threads =
      argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
  if (argc > 2) {
    if (std::string_view(argv[2]) != "waiting") {
      fmt::print(stderr, "rollout_bench [threads] [waiting]\n");
      return 2;
    }
    report_waiting(threads);
    return 0;
  }
  const double peak = measured_peak_gflops(1, 0.5);
  fmt::print("peak of one core: {:.1f} GF/s (f32 multiply-adds in registers)\n", peak);
  for (const int m : {1, 8, 64, 256}) {
    for (const auto& [n, k] :
         {std::pair{960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {49152, 576}}) {
      report_gemm(m, n, k);
    }
  }
  for (const auto& [n, k] : {std::pair{576, 192}, {192, 192}, {1024, 192}, {192, 512}, {128, 192}})
    report_gemm(128, n, k);
  fmt::print("{} threads\n", threads);
  report_waiting(threads);
  report_generation("tiny", tiny_shape(), 256, 16, 96, threads, 1.0);
  report_generation("smollm2", smollm2_shape(), 64, 64, 64, threads, 0.95);
  using longshot::NumberFormat;
  for (const int samples : {64, 16, 8, 1}) {
    for (const NumberFormat format :
         {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8, NumberFormat::int4}) {
      report_generation("smollm2", smollm2_shape(), samples, 64, 64, threads, 1.0, format);
    }
  }
  for (const NumberFormat kv : {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8})
    report_generation("smollm2", smollm2_shape(), 16, 1024, 64, threads, 1.0, NumberFormat::int8,
                      kv);
}
