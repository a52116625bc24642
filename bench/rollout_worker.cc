// Our side of bench/side_by_side: `rollout_worker MODEL|tiny FORMAT THREADS MAX_SEQUENCE` loads once, then answers one
// JSON line per request on standard input. Request {"samples", "prompt": [ids], "response"}: exactly `response` tokens
// for each sample at temperature 1 over the whole vocabulary; answer {"tokens", "seconds", "kv_blocks"}. Request
// {"peak": true}: {"peak_gflops", "bound"}, the f32 multiply-add peak of all threads now and the tokens/s that it allows
// this model.

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "base/clock.h"
#include "base/json.h"
#include "bench/peak.h"
#include "bench/shapes.h"
#include "rollout/engine.h"
#include "rollout/random_model.h"

namespace longshot::bench {
namespace {

[[noreturn]] void die(const std::string& message) {
  fmt::print(stderr, "rollout_worker: {}\n", message);
  std::exit(1);
}

// What a view borrows, and the view.
std::unique_ptr<rollout::RandomModel> load(const std::string& path) {
  if (path == "tiny") return rollout::random_model(tiny_shape(), 1);
  Result<model::ModelFiles> files = model::read_model(path);
  if (!files.ok()) die(files.status().to_string());
  auto model = std::make_unique<rollout::RandomModel>();
  model->tensors = std::move(files->weights);
  model->view.config = files->config;
  for (const auto& tensor : model->tensors)
    model->view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  return model;
}

// Multiply-adds of the matrices for one token, counted as two operations each; attention is left out.
double flops_per_token(const model::ModelConfig& c) {
  const double q = static_cast<double>(c.num_heads) * c.head_dim;
  const double kv = static_cast<double>(c.num_kv_heads) * c.head_dim;
  const double layer = c.hidden_size * (2 * q + 2 * kv + 3.0 * c.intermediate_size);
  return 2 * (c.num_layers * layer + static_cast<double>(c.hidden_size) * c.vocab_size);
}

Json generate(rollout::Engine& engine, const Json& request) {
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
  if (!done.ok()) die(done.status().to_string());
  size_t tokens = 0;
  for (const data::Sample& sample : *done) tokens += sample.tokens.size();
  return {{"tokens", tokens},
          {"seconds", seconds},
          {"kv_blocks", engine.metrics().at("rollout/kv_peak_blocks")}};
}

void serve(int argc, char** argv) {
  if (argc != 5) die("usage: rollout_worker MODEL|tiny FORMAT THREADS MAX_SEQUENCE");
  const int threads = std::atoi(argv[3]);
  const auto format = rollout::parse_number_format(argv[2]);
  if (!format.ok()) die(format.status().to_string());
  const auto model = load(argv[1]);
  rollout::RunnerLimits limits{256, std::atoi(argv[4])};
  limits.weights = *format;
  auto runner = rollout::make_cpu_runner(limits, threads);
  if (const Status status = runner->load_weights(model->view); !status.ok()) die(status.to_string());
  const double flops = flops_per_token(model->view.config);
  model->tensors.clear();
  rollout::Engine engine(std::move(runner), nullptr, threads);
  fmt::print("{}\n", dump_json(Json{{"ready", "longshot"}}));
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = parse_json(line, "request");
    if (!request.ok()) die(request.status().to_string());
    if (request->contains("peak")) {
      const double peak = measured_peak_gflops(threads, 0.3);
      fmt::print("{}\n", dump_json(Json{{"peak_gflops", peak}, {"bound", peak * 1e9 / flops}}));
    } else {
      fmt::print("{}\n", dump_json(generate(engine, *request)));
    }
  }
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  setlinebuf(stdout);
  longshot::bench::serve(argc, argv);
}
