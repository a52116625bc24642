// The longshot side of bench/side_by_side trainer: `trainer_worker MODEL|smollm2|tiny THREADS
// [OPTIONS]` loads once, then answers one JSON line per request on standard input.
//
// --format FORMAT: format of the products, float32 or bfloat16. --checkpointing KIND: as
// trainer.checkpointing. --layers N: a random model of that shape with N layers.
//
// {"sequences": N, "length": L}: a supervised step (forward, backward, AdamW) over N packed rows of
// L random tokens. {"groups": G, "samples": S, "prompt": P, "response": R}: a policy update of one
// optimizer step over G prompts with S responses each. {"pairs": [{"prompt_ids", "chosen_ids",
// "rejected_ids"}, ...]}: a step of preference optimization with precomputed log-probabilities of
// the reference; with {"reference": true} their computation instead. A process answers one of these
// three kinds of requests. Answer: {"seconds", "useful_tokens",
// "packed_tokens", "useful_flops", "peak_bytes"}. useful_flops are the multiply-adds, two
// operations each, that the batch needs without recomputation and without wasted work. {"peak":
// true}: answers {"peak_gflops"}, the current multiply-add peak.

#include <ATen/Parallel.h>
#include <fmt/core.h>
#include <getopt.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <optional>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/rng.h"
#include "bench/bench_model.h"
#include "bench/peak.h"
#include "bench/shapes.h"
#include "kernels/products/gemm.h"
#include "model/format/cost.h"
#include "model/sequence_logprobs.h"
#include "model/torch/runtime.h"
#include "train/policy/policy_trainer.h"
#include "train/preference/dpo_trainer.h"
#include "train/supervised/supervised_trainer.h"

namespace longshot::bench {
namespace {

std::vector<data::TokenId> random_tokens(int64_t count, uint64_t key, int vocab) {
  CounterRng rng(key);
  std::vector<data::TokenId> out(count);
  for (auto& token : out) token = static_cast<data::TokenId>(rng.next_below(vocab));
  return out;
}

double peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

Json supervised(train::SupervisedTrainer& trainer, const model::ModelConfig& c, const Json& request,
                uint64_t key) {
  const int64_t sequences = request.at("sequences"), length = request.at("length");
  std::vector<std::vector<data::TokenId>> tokens;
  const std::vector<uint8_t> mask(length, 1);
  std::vector<train::SupervisedRow> rows;
  for (int64_t i = 0; i < sequences; ++i)
    tokens.push_back(
        random_tokens(length, hash_combine(key, static_cast<uint64_t>(i)), c.vocab_size));
  for (const auto& row : tokens) rows.push_back({row, mask});
  const Stopwatch watch;
  const auto metrics = trainer.step(rows);
  const double seconds = watch.seconds();
  must(metrics.status());
  const double count = static_cast<double>(sequences * length), l = static_cast<double>(length);
  return {
      {"seconds", seconds},
      {"useful_tokens", count},
      {"packed_tokens", count},
      {"loss", metrics->at("train/loss")},
      {"useful_flops",
       model::training_flops(c, {count, count, static_cast<double>(sequences) * l * (l + 1) / 2})},
      {"peak_bytes", peak_rss()}};
}

// Log-probabilities as a rollout of these weights would record them.
void record_logprobs(train::PolicyTrainer& trainer, data::Sample& sample) {
  std::vector<data::TokenId> sequence = sample.prompt_tokens;
  sequence.insert(sequence.end(), sample.tokens.begin(), sample.tokens.end());
  // Those of every token except the first.
  const auto all = model::sequence_logprobs(trainer.model().compute(), {sequence}, 1.0).front();
  sample.logprobs.assign(all.end() - static_cast<long>(sample.tokens.size()), all.end());
}

Json policy_update(train::PolicyTrainer& trainer, const model::ModelConfig& c, const Json& request,
                   uint64_t key) {
  const int64_t prompts = request.at("groups"), samples = request.at("samples"),
                p = request.at("prompt"), r = request.at("response");
  std::vector<data::Group> groups;
  for (int64_t g = 0; g < prompts; ++g) {
    data::Group& group = groups.emplace_back();
    group.prompt.id = std::to_string(g);
    const auto prompt = random_tokens(p, hash_combine(key, static_cast<uint64_t>(g)), c.vocab_size);
    for (int64_t s = 0; s < samples; ++s) {
      data::Sample sample;
      sample.prompt_id = group.prompt.id;
      sample.prompt_tokens = prompt;
      sample.tokens = random_tokens(
          r, hash_combine(key, static_cast<uint64_t>(1000 + g * samples + s)), c.vocab_size);
      record_logprobs(trainer, sample);
      sample.segments = {{0, static_cast<int>(r), 0}};
      sample.finish = data::FinishReason::length;
      data::Verdict verdict;
      verdict.scored = true;
      verdict.score = static_cast<double>(s % 2);
      group.samples.push_back(std::move(sample));
      group.verdicts.push_back(verdict);
    }
  }
  const Stopwatch watch;
  const auto metrics = trainer.fit(groups, {0, key, 0});
  const double seconds = watch.seconds();
  must(metrics.status());
  const double n = static_cast<double>(prompts), m = n * static_cast<double>(samples),
               a = static_cast<double>(p), b = static_cast<double>(r);
  // The last token of a response predicts nothing.
  const double tokens = n * a + m * (b - 1),
               pairs = n * a * (a + 1) / 2 + m * (a * (b - 1) + b * (b - 1) / 2);
  return {{"seconds", seconds},
          {"useful_tokens", m * b},
          {"packed_tokens", metrics->at("perf/train_tokens")},
          {"useful_flops", model::training_flops(c, {tokens, m * b, pairs})},
          {"peak_bytes", peak_rss()}};
}

// The pairs of a request, as sequences whose last tokens are the responses.
struct Pairs {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<std::vector<uint8_t>> masks;
  std::vector<train::PairSequences> sequences;

  explicit Pairs(const Json& list) {
    for (const Json& row : list) {
      for (const char* side : {"chosen_ids", "rejected_ids"}) {
        auto ids = row.at("prompt_ids").get<std::vector<data::TokenId>>();
        std::vector<uint8_t> mask(ids.size(), 0);
        for (const auto& id : row.at(side)) ids.push_back(id.get<data::TokenId>());
        mask.resize(ids.size(), 1);
        tokens.push_back(std::move(ids));
        masks.push_back(std::move(mask));
      }
    }
    for (size_t i = 0; i < tokens.size(); i += 2) {
      const auto prompt = std::ranges::count(masks[i], uint8_t{0});
      sequences.push_back(
          {{tokens[i], masks[i]}, {tokens[i + 1], masks[i + 1]}, static_cast<int>(prompt)});
    }
  }

  // Operations of a step, or of one pass forward, on prompts that are computed once.
  double flops(const model::ModelConfig& config, bool step) const {
    model::Work work;
    for (const train::PairSequences& pair : sequences) {
      const double p = pair.prompt;
      work.tokens += p;
      work.pairs += p * (p + 1) / 2;
      for (const train::PairSide* side : {&pair.chosen, &pair.rejected}) {
        const double n = static_cast<double>(side->tokens.size()) - p;
        work.targets += n;
        work.tokens += n - 1;  // the last token predicts nothing
        work.pairs += p * (n - 1) + (n - 1) * n / 2;
      }
    }
    return step ? model::training_flops(config, work) : model::forward_flops(config, work);
  }
};

Json preference(train::DpoTrainer& trainer, const model::ModelConfig& c, const Json& request) {
  const Pairs pairs(request.at("pairs"));
  const bool reference = request.value("reference", false);
  std::vector<train::DpoRow> rows;
  for (const train::PairSequences& pair : pairs.sequences) rows.push_back({pair, {}});
  double loss = 0;
  const Stopwatch watch;
  if (reference) {
    trainer.logprobs(pairs.sequences);
  } else {
    const auto metrics = trainer.step(rows);
    must(metrics.status());
    loss = metrics->at("train/loss");
  }
  const double seconds = watch.seconds();
  return {{"seconds", seconds},
          {"pairs", rows.size()},
          {"loss", loss},
          {"useful_flops", pairs.flops(c, !reference)},
          {"peak_bytes", peak_rss()}};
}

struct Arguments {
  std::string model;
  int threads = 0, layers = 0;
  model::ComputeOptions compute;
};

[[noreturn]] void usage() {
  fmt::print(stderr,
             "usage: trainer_worker MODEL|smollm2|tiny THREADS [--format float32|bfloat16] "
             "[--checkpointing auto|none|selective|full] [--layers N]\n");
  std::exit(2);
}

template <Spelled E>
E parse_or_usage(const char* name) {
  const auto value = value_of<E>(name);
  if (!value) usage();
  return *value;
}

Arguments parse(int argc, char** argv) {
  static const option kOptions[] = {{"format", required_argument, nullptr, 'f'},
                                    {"checkpointing", required_argument, nullptr, 'c'},
                                    {"layers", required_argument, nullptr, 'l'},
                                    {}};
  Arguments out;
  for (int key; (key = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (key == 'f') out.compute.dtype = parse_or_usage<NumberFormat>(optarg);
    if (key == 'c') out.compute.checkpointing = parse_or_usage<model::CheckpointingChoice>(optarg);
    if (key == 'l') out.layers = std::atoi(optarg);
    if (key == '?' || (key == 'l' && out.layers < 1)) usage();
  }
  if (argc - optind != 2) usage();
  out.model = argv[optind];
  out.threads = std::atoi(argv[optind + 1]);
  const NumberFormat dtype = out.compute.dtype;
  if (out.threads < 1 || (dtype != NumberFormat::f32 && dtype != NumberFormat::bf16)) usage();
  if (out.layers > 0 && out.model != "smollm2" && out.model != "tiny") usage();
  if (dtype == NumberFormat::bf16 && !kernels::has_bf16_products())
    must(invalid_argument("this processor does not multiply bf16 (avx512_bf16)"));
  return out;
}

std::unique_ptr<rollout::RandomModel> load(const Arguments& arguments) {
  if (arguments.layers == 0) return load_bench_model(arguments.model);
  model::ModelConfig shape = arguments.model == "tiny" ? tiny_shape() : smollm2_shape();
  shape.num_layers = arguments.layers;
  shape.max_position_embeddings = 1 << 20;
  return rollout::random_model(shape, 1);
}

// The trainer of the first request, made from the weights that were loaded.
class Trainers {
 public:
  Trainers(model::Weights weights, const train::ComputeOptions& compute)
      : weights_(std::move(weights)), compute_(compute) {
    optimizer_.lr = 1e-9;  // tiny, so that every step does the same work
    if (const char* most = std::getenv("MICRO_BATCH_TOKENS")) micro_batch_tokens_ = std::atoi(most);
  }

  train::PolicyTrainer& policy() {
    if (policy_) return *policy_;
    train::AlgorithmOptions options;
    options.mini_batches = 1;
    options.compute = compute_;
    options.micro_batch_tokens = micro_batch_tokens_;
    return policy_.emplace(take_weights(), optimizer_, options, kSteps);
  }
  train::DpoTrainer& preference() {
    if (preference_) return *preference_;
    train::BatchOptions options;
    options.compute = compute_;
    options.micro_batch_tokens = micro_batch_tokens_;
    return preference_.emplace(take_weights(), optimizer_, train::DpoOptions{}, options, kSteps);
  }
  train::SupervisedTrainer& supervised() {
    if (supervised_) return *supervised_;
    train::BatchOptions options;
    options.compute = compute_;
    options.micro_batch_tokens = micro_batch_tokens_;
    return supervised_.emplace(take_weights(), optimizer_, options, kSteps);
  }

 private:
  static constexpr int64_t kSteps = 1'000'000;

  model::Weights take_weights() {
    if (policy_ || supervised_ || preference_)
      must(invalid_argument("requests of several kinds in one process"));
    return std::move(weights_);
  }

  model::Weights weights_;
  train::ComputeOptions compute_;
  train::OptimizerOptions optimizer_;
  int micro_batch_tokens_ = 0;
  std::optional<train::PolicyTrainer> policy_;
  std::optional<train::SupervisedTrainer> supervised_;
  std::optional<train::DpoTrainer> preference_;
};

void serve(const Arguments& arguments) {
  const int threads = arguments.threads;
  model::configure_compute(threads);
  std::unique_ptr<rollout::RandomModel> loaded = load(arguments);
  const model::ModelConfig config = loaded->view.config;
  auto weights = model::Weights::from_host(config, loaded->tensors, "cpu");
  must(weights.status());
  loaded.reset();
  Trainers trainers(std::move(*weights), arguments.compute);
  fmt::print("{}\n", dump_json(Json{{"ready", "longshot"}}));
  uint64_t key = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = parse_json(line, "request");
    must(request.status());
    Json answer;
    if (request->contains("peak")) {
      answer = {{"peak_gflops", measured_peak_gflops(threads, 0.3)}};
    } else if (request->contains("pairs")) {
      answer = preference(trainers.preference(), config, *request);
    } else if (request->contains("groups")) {
      answer = policy_update(trainers.policy(), config, *request, ++key);
    } else {
      answer = supervised(trainers.supervised(), config, *request, ++key);
    }
    fmt::print("{}\n", dump_json(answer));
  }
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  setlinebuf(stdout);
  longshot::bench::serve(longshot::bench::parse(argc, argv));
}
