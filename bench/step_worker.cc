// The longshot side of bench/side_by_side step: `step_worker MODEL|tiny|tiny_wide THREADS` loads
// once. Each request {"groups": G, "samples": S, "prompt": P, "response": R} on standard input is
// one RL iteration: G prompts of P random tokens, S samples of exactly R tokens each, a reward, one
// optimizer step, and the transfer of the new weights to the rollout. Answer: {"seconds",
// "generate_seconds", "update_seconds", "publish_seconds", "useful_tokens", "peak_bytes"}.

#include <fmt/core.h>
#include <sys/resource.h>

#include <cstdlib>
#include <iostream>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/rng.h"
#include "bench/bench_model.h"
#include "bench/shapes.h"
#include "model/torch/runtime.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "train/policy/policy_trainer.h"

namespace longshot::bench {
namespace {

struct Step {
  rollout::Engine& engine;
  train::PolicyTrainer& trainer;
  int64_t iteration = 0;

  Json run(const Json& request);
};

Json Step::run(const Json& request) {
  const int prompts = request.at("groups"), samples = request.at("samples"),
            prompt = request.at("prompt"), response = request.at("response");
  const int vocab = trainer.model().weights().config().vocab_size;
  const Stopwatch whole;
  std::vector<data::Sample> jobs;
  ++iteration;
  for (int g = 0; g < prompts; ++g) {
    CounterRng rng(hash_combine(static_cast<uint64_t>(iteration), static_cast<uint64_t>(g)));
    data::Sample job;
    job.prompt_id = fmt::format("{}.{}", iteration, g);
    for (int t = 0; t < prompt; ++t)
      job.prompt_tokens.push_back(static_cast<int32_t>(rng.next_below(vocab)));
    for (int s = 0; s < samples; ++s) {
      job.index = static_cast<uint32_t>(s);
      jobs.push_back(job);
    }
  }
  rollout::EngineOptions options;
  options.sampling.max_response_length = response;
  options.repetition.enabled = false;
  auto done = engine.generate(std::move(jobs), options);
  must(done.status());
  const double generate_seconds = whole.seconds();
  std::vector<data::Group> groups(prompts);
  for (size_t i = 0; i < done->size(); ++i) {
    data::Group& group = groups[i / samples];
    data::Verdict verdict;
    verdict.scored = true;
    for (const auto token : (*done)[i].tokens)
      verdict.score += token % 10 == 0 ? 1.0 / response : 0.0;
    group.prompt.id = (*done)[i].prompt_id;
    group.samples.push_back(std::move((*done)[i]));
    group.verdicts.push_back(verdict);
  }
  const Stopwatch update;
  const int64_t version = groups.front().samples.front().segments.back().version;
  must(trainer.fit(groups, {version, 1, iteration}).status());
  const double update_seconds = update.seconds();
  const Stopwatch publish;
  std::vector<at::Tensor> host;
  must(engine.load_weights(trainer.model().weights().view(iteration, host)));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"seconds", whole.seconds()},
          {"generate_seconds", generate_seconds},
          {"update_seconds", update_seconds},
          {"publish_seconds", publish.seconds()},
          {"useful_tokens", prompts * samples * response},
          {"peak_bytes", static_cast<double>(usage.ru_maxrss) * 1024}};
}

void serve(int argc, char** argv) {
  if (argc != 3) must(invalid_argument("usage: step_worker MODEL|tiny|tiny_wide THREADS"));
  const int threads = std::atoi(argv[2]);
  model::configure_compute(threads);
  const std::string name = argv[1];
  std::unique_ptr<rollout::RandomModel> loaded;
  if (name == "tiny" || name == "tiny_wide") {
    model::ModelConfig shape = tiny_shape();
    shape.num_kv_heads = 2;
    if (name == "tiny_wide") shape.vocab_size = 49152;
    loaded = rollout::random_model(shape, 1);
  } else {
    loaded = load_bench_model(name);
  }
  auto weights = model::Weights::from_host(loaded->view.config, loaded->tensors, "cpu");
  must(weights.status());
  loaded.reset();
  train::AlgorithmOptions algorithm;
  algorithm.name = train::Algorithm::grpo;
  algorithm.mini_batches = 1;
  train::OptimizerOptions optimizer;
  optimizer.lr = 1e-9;
  train::PolicyTrainer trainer(std::move(*weights), optimizer, algorithm, 1'000'000);
  auto runner = rollout::make_cpu_runner({256, 256}, threads);
  std::vector<at::Tensor> host;
  must(runner->load_weights(trainer.model().weights().view(0, host)));
  rollout::Engine engine(std::move(runner), nullptr, threads);
  Step step{engine, trainer};
  fmt::print("{}\n", dump_json(Json{{"ready", "longshot"}}));
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = parse_json(line, "request");
    must(request.status());
    fmt::print("{}\n", dump_json(step.run(*request)));
  }
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  setlinebuf(stdout);
  longshot::bench::serve(argc, argv);
}
