// The longshot side of bench/side_by_side: `rollout_worker MODEL|tiny FORMAT THREADS MAX_SEQUENCE
// [KV_FORMAT]` loads once, then answers one JSON line per request on standard input. The "ready"
// line contains "kv_token_bytes", the KV memory per token. Request {"samples", "prompt": [ids],
// "response"}: generates exactly `response` tokens for each sample at temperature 1 over the whole
// vocabulary. Answer: {"tokens", "seconds", "kv_bytes"}, where kv_bytes is the peak size of the KV
// blocks in use. Request {"peak": true}; answer {"peak_gflops", "bound"}: the current f32
// multiply-add peak of all threads, and the tokens/s that it allows for this model.

#include <fmt/core.h>

#include <cstdlib>
#include <iostream>

#include "base/json.h"
#include "base/os/clock.h"
#include "bench/bench_model.h"
#include "bench/peak.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"

namespace longshot::bench {
namespace {

// Multiply-adds of the matrices for one token, counted as two operations each, without attention.
double flops_per_token(const model::ModelConfig& c) {
  const double q = static_cast<double>(c.num_heads) * c.head_dim;
  const double kv = static_cast<double>(c.num_kv_heads) * c.head_dim;
  const double layer = c.hidden_size * (2 * q + 2 * kv + 3.0 * c.intermediate_size);
  return 2 * (c.num_layers * layer + static_cast<double>(c.hidden_size) * c.vocab_size);
}

Json generate(rollout::Engine& engine, const Json& request, double token_bytes) {
  const int samples = request.at("samples"), response = request.at("response");
  std::vector<data::Sample> jobs(samples);
  for (int i = 0; i < samples; ++i) {
    jobs[i].prompt_id = "p";
    jobs[i].index = static_cast<uint32_t>(i);
    jobs[i].prompt_tokens = request.at("prompt").get<std::vector<data::TokenId>>();
  }
  rollout::EngineOptions options;
  options.sampling.max_response_length = response;
  options.repetition.enabled = false;
  const Stopwatch watch;
  const auto done = engine.generate(std::move(jobs), options);
  const double seconds = watch.seconds();
  must(done.status());
  size_t tokens = 0;
  for (const data::Sample& sample : *done) tokens += sample.tokens.size();
  return {{"tokens", tokens},
          {"seconds", seconds},
          {"kv_bytes", engine.metrics().at("rollout/kv_peak_blocks") * 16 * token_bytes}};
}

// Keys and values of one token. int8 has one scale per head for the keys and one for the values.
double kv_token_bytes(const model::ModelConfig& c, NumberFormat format) {
  using enum NumberFormat;
  const double value = format == f32 ? 4 : format == bf16 ? 2 : 1, scale = format == int8 ? 4 : 0;
  return 2.0 * c.num_layers * c.num_kv_heads * (c.head_dim * value + scale);
}

NumberFormat format_of(const std::string& name) {
  const auto format = value_of<NumberFormat>(name);
  if (!format) must(invalid_argument("unknown number format '" + name + "'"));
  return *format;
}

void serve(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    must(invalid_argument(
        "usage: rollout_worker MODEL|tiny FORMAT THREADS MAX_SEQUENCE [KV_FORMAT]"));
  }
  const int threads = std::atoi(argv[3]);
  const NumberFormat format = format_of(argv[2]);
  const auto model = load_bench_model(argv[1]);
  rollout::RunnerLimits limits{256, std::atoi(argv[4])};
  limits.weights = format;
  if (argc == 6) limits.kv = format_of(argv[5]);
  auto runner = rollout::make_cpu_runner(limits, threads);
  must(runner->load_weights(model->view));
  const double flops = flops_per_token(model->view.config);
  const double token_bytes = kv_token_bytes(model->view.config, limits.kv);
  model->tensors.clear();
  rollout::Engine engine(std::move(runner), nullptr, threads);
  fmt::print("{}\n", dump_json(Json{{"ready", "longshot"}, {"kv_token_bytes", token_bytes}}));
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = parse_json(line, "request");
    must(request.status());
    if (request->contains("peak")) {
      const double peak = measured_peak_gflops(threads, 0.3);
      fmt::print("{}\n", dump_json(Json{{"peak_gflops", peak}, {"bound", peak * 1e9 / flops}}));
    } else {
      fmt::print("{}\n", dump_json(generate(engine, *request, token_bytes)));
    }
  }
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  setlinebuf(stdout);
  longshot::bench::serve(argc, argv);
}
