// Generation with and without speculation, in turns: `speculation_bench MODEL FORMAT THREADS
// SAMPLES [TASK [PAIRS [TEMPERATURE]]]`. MODEL is a Hugging Face directory or .gguf of an instruct
// model. TASK is sums, copy or story; by default all tasks run at the temperatures 0, 0.6 and 1.
// Prints for each task and temperature the median ratio of tokens/s and of tokens per processor
// second (of all threads; less affected by other programs on the machine). Fails if a sample
// differs. At temperature 0 every sample has its own prompt; otherwise 8 samples share one. Each
// pair uses new prompts.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/rng.h"
#include "model/format/model_files.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"

namespace longshot::bench {
namespace {

constexpr int kGroup = 8, kResponse = 128;

[[noreturn]] void die(const std::string& message) {
  fmt::print(stderr, "speculation_bench: {}\n", message);
  std::exit(1);
}

std::string sums_prompt(CounterRng& rng) {
  std::vector<int64_t> numbers(8);
  for (int64_t& n : numbers) n = rng.next_int(1, 50);
  return fmt::format(
      "Add these numbers one after another and write the running total after each step, one step a "
      "line: {}.",
      fmt::join(numbers, ", "));
}

std::string copy_prompt(CounterRng& rng) {
  const std::vector<std::string> things = {"lamp",   "river",  "garden", "letter",
                                           "window", "engine", "market", "coat",
                                           "bridge", "violin", "ladder", "kettle"};
  std::string text;
  for (int i = 0; i < 8; ++i) {
    const auto thing = [&] { return things[rng.next_below(things.size())]; };
    text += fmt::format("The old {} stood beside the {} for {} years. ", thing(), thing(),
                        rng.next_int(2, 90));
  }
  return "Copy this text, but write 'new' for 'old' everywhere:\n\n" + text;
}

std::string story_prompt(CounterRng& rng) {
  return fmt::format("Write a story about a sailor of {} years and {} storms.",
                     rng.next_int(20, 80), rng.next_int(2, 40));
}

struct Task {
  const char* name;
  std::string (*prompt)(CounterRng&);
};
constexpr Task kTasks[] = {{"sums", sums_prompt}, {"copy", copy_prompt}, {"story", story_prompt}};

std::vector<data::Sample> make_jobs(const model::ModelFiles& files, const Task& task, int samples,
                                    int per_prompt, uint64_t round) {
  std::vector<data::Sample> jobs;
  for (int i = 0; i < samples; ++i) {
    CounterRng rng(hash_combine(round, static_cast<uint64_t>(i / per_prompt)));
    data::Sample& job = jobs.emplace_back();
    job.prompt_id = fmt::format("{} {} {}", task.name, round, i / per_prompt);
    job.index = static_cast<uint32_t>(i % per_prompt);
    const auto tokens =
        files.chat_template.encode(*files.tokenizer, {{"user", task.prompt(rng)}}, true);
    if (!tokens.ok()) die(tokens.status().to_string());
    job.prompt_tokens = *tokens;
  }
  return jobs;
}

struct Run {
  double tokens_per_second = 0, cpu_seconds = 0, acceptance = 0, per_forward = 0;
  std::vector<data::Sample> samples;
};

Run generate(rollout::Engine& engine, const std::vector<data::Sample>& jobs,
             rollout::EngineOptions options, rollout::Speculation speculation) {
  options.speculation = speculation;
  const std::clock_t start = std::clock();
  auto done = engine.generate(jobs, options);
  const double cpu = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  if (!done.ok()) die(done.status().to_string());
  Metrics metrics = engine.metrics();
  return {metrics["rollout/tokens_per_second"], cpu, metrics["rollout/acceptance_rate"],
          metrics["rollout/tokens_per_forward"], std::move(*done)};
}

void expect_same(const Run& a, const Run& b) {
  for (size_t i = 0; i < a.samples.size(); ++i) {
    if (a.samples[i].tokens != b.samples[i].tokens ||
        a.samples[i].logprobs != b.samples[i].logprobs)
      die("a sample is not the same with speculation");
  }
}

// Makes both sides find the prompts in the prefix cache.
void compute_prompts(rollout::Engine& engine, const std::vector<data::Sample>& jobs,
                     rollout::EngineOptions options) {
  options.sampling.max_response_length = 1;
  (void)generate(engine, jobs, options, rollout::Speculation::off);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

void compare(rollout::Engine& engine, const model::ModelFiles& files, const Task& task,
             double temperature, int samples, int pairs) {
  static uint64_t round = 0;
  rollout::EngineOptions options;
  options.sampling.max_response_length = kResponse;
  options.sampling.temperature = temperature;
  for (const int id : files.config.eos_token_ids) options.sampling.stop_tokens.push_back(id);
  std::vector<double> ratio, cpu, plain, acceptance, per_forward;
  for (int pair = 0; pair < pairs; ++pair) {
    const auto jobs = make_jobs(files, task, samples, temperature == 0 ? 1 : kGroup, ++round);
    compute_prompts(engine, jobs, options);
    Run off, on;
    if (pair % 2 == 0) off = generate(engine, jobs, options, rollout::Speculation::off);
    on = generate(engine, jobs, options, rollout::Speculation::ngram);
    if (pair % 2 == 1) off = generate(engine, jobs, options, rollout::Speculation::off);
    expect_same(off, on);
    ratio.push_back(on.tokens_per_second / off.tokens_per_second);
    cpu.push_back(off.cpu_seconds / on.cpu_seconds);
    plain.push_back(off.tokens_per_second);
    acceptance.push_back(on.acceptance);
    per_forward.push_back(on.per_forward);
  }
  fmt::print(
      "{:<6} temperature {:<3} {:>3} samples: ratio {:.2f} ({:.2f} to {:.2f}), of processor time "
      "{:.2f}; without {:.0f} tokens/s; "
      "accepted {:.0f} %, {:.2f} tokens per forward\n",
      task.name, temperature, samples, median(ratio), *std::ranges::min_element(ratio),
      *std::ranges::max_element(ratio), median(cpu), median(plain), 100 * median(acceptance),
      median(per_forward));
}

void run(int argc, char** argv) {
  if (argc < 5 || argc > 8)
    die("usage: speculation_bench MODEL FORMAT THREADS SAMPLES [TASK [PAIRS [TEMPERATURE]]]");
  const int threads = std::atoi(argv[3]), samples = std::atoi(argv[4]),
            pairs = argc > 6 ? std::atoi(argv[6]) : 3;
  const auto format = value_of<NumberFormat>(argv[2]);
  if (!format) die(std::string("unknown number format '") + argv[2] + "'");
  auto files = model::read_model(argv[1]);
  if (!files.ok()) die(files.status().to_string());
  if (files->tokenizer == nullptr || threads < 1 || samples < 1 || pairs < 1)
    die("a model with a tokenizer and positive numbers are needed");
  auto runner = rollout::make_cpu_runner(
      {.max_running = samples, .max_sequence = 512, .weights = *format}, threads);
  model::WeightsView view;
  view.config = files->config;
  for (const auto& tensor : files->weights)
    view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  if (const Status status = runner->load_weights(view); !status.ok()) die(status.to_string());
  files->weights.clear();
  rollout::Engine engine(std::move(runner), files->tokenizer.get(), threads);
  std::vector<double> temperatures = {0.0, 0.6, 1.0};
  if (argc > 7) temperatures = {std::atof(argv[7])};
  fmt::print("{} weights, {} threads\n", argv[2], threads);
  for (const Task& task : kTasks) {
    if (argc > 5 && std::string(argv[5]) != task.name) continue;
    for (const double temperature : temperatures)
      compare(engine, *files, task, temperature, samples, pairs);
  }
}

}  // namespace
}  // namespace longshot::bench

int main(int argc, char** argv) {
  setlinebuf(stdout);
  longshot::bench::run(argc, argv);
}
