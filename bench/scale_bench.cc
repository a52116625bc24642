// Scaling of the parts around rollout and training: replay with waiting groups, prompts and their
// sampler, the reward stage, packing, and the logs of long runs. Prints a table; asserts nothing.
//
//   build/bench/bench/scale_bench [LARGEST]     items of the largest size, 1,000,000 by default
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/os/clock.h"
#include "base/rng.h"
#include "base/run_log/metrics_log.h"
#include "base/run_log/step_lines.h"
#include "datasets/prompts.h"
#include "prompts/sampler.h"
#include "replay/replay_buffer.h"
#include "reward/reward.h"
#include "train/pass/packing.h"

namespace {

using namespace longshot;

void must(const Status& status) {
  LS_CHECK(status.ok(), status.message());
}

double resident_gib() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * 4096 / (1 << 30);
}

void row(const char* what, size_t items, double seconds, double gib = 0) {
  std::printf("| %-44s | %9zu | %9.3f | %9.0f |", what, items, seconds,
              seconds * 1e9 / static_cast<double>(items));
  gib > 0 ? std::printf(" %6.2f |\n", gib) : std::printf("        |\n");
  std::fflush(stdout);
}

std::filesystem::path scratch() {
  return std::filesystem::temp_directory_path() / ("scale_bench" + std::to_string(::getpid()));
}

// Rows of about 330 bytes, like verl's GSM8K rows.
std::string prompt_file(size_t count) {
  const auto path = scratch() / ("prompts_" + std::to_string(count) + ".jsonl");
  std::ofstream file(path);
  for (size_t i = 0; i < count; ++i) {
    file
        << R"({"data_source":"openai/gsm8k","prompt":[{"role":"user","content":"A baker sells )"
        << i << R"( loaves a day at )" << i % 97
        << R"( cents each and pays a third of it for flour. How much is left after a week? Think step by step and put the answer behind ####."}],"reward_model":{"style":"rule","ground_truth":")"
        << i * 7 % 1000 << R"("},"extra_info":{"split":"train","index":)" << i << "}}\n";
  }
  return path.string();
}

void bench_prompts(size_t count) {
  const std::string file = prompt_file(count);
  const double before = resident_gib();
  Stopwatch watch;
  auto prompts = datasets::read_prompts({file}, {});
  must(prompts.status());
  row("prompts: read JSONL rows", count, watch.seconds(), resident_gib() - before);
  std::filesystem::remove(file);
  for (const auto order : {prompts::Order::uniform, prompts::Order::prioritized}) {
    prompts::SamplerOptions options;
    options.order = order;
    const std::string prefix = std::string("sampler, ") + name_of(order) + ": ";
    watch.restart();
    auto sampler = prompts::PromptSampler::create(*prompts, options, 1);
    must(sampler.status());
    row((prefix + "made").c_str(), count, watch.seconds());
    std::vector<std::string> ids;
    watch.restart();
    for (int i = 0; i < 10; ++i) {
      for (auto& draw : sampler->next(64, i)) ids.push_back(draw.prompt.id);
    }
    row((prefix + "10 draws of 64").c_str(), count, watch.seconds());
    watch.restart();
    for (const std::string& id : ids) sampler->record(id, 0.5);
    row((prefix + "640 success rates").c_str(), count, watch.seconds());
    watch.restart();
    for (int i = 0; i < 10; ++i) {
      const auto snapshot = sampler->snapshot();
      LS_CHECK(snapshot.visits.size() == count, "a snapshot has all prompts");
    }
    row((prefix + "10 snapshots").c_str(), count, watch.seconds());
    watch.restart();
    std::string text = sampler->state().dump();
    row((prefix + "state for a checkpoint, 640 seen").c_str(), count, watch.seconds());
    for (const data::Prompt& p : *prompts) sampler->record(p.id, 0.5);
    watch.restart();
    text = sampler->state().dump();
    row((prefix + "the same, all seen").c_str(), count, watch.seconds());
    watch.restart();
    must(sampler->restore(Json::parse(text)));
    row((prefix + "restored").c_str(), count, watch.seconds());
  }
}

data::Sample sample_of(const data::Draw& draw, uint32_t index) {
  data::Sample s;
  s.prompt_id = draw.prompt.id;
  s.seed = draw.seed;
  s.index = index;
  s.tokens.assign(64, 7);
  s.logprobs.assign(64, -0.5f);
  s.segments = {{0, 64, 0}};
  s.finish = data::FinishReason::stop;
  s.text = "an answer of some words";
  return s;
}

// `waiting` complete groups remain in the buffer while iterations add and remove 32 groups each.
void bench_replay(size_t waiting) {
  const auto folder = scratch() / "replay";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  replay::ReplayBuffer buffer(replay::make_selector(replay::SelectorKind::uniform), {});
  const auto save = [&] {
    buffer.mark();
    must(buffer.save((folder / "replay.records").string()));
  };
  size_t made = 0;
  const auto add = [&](size_t groups) {
    std::vector<data::Draw> draws(groups);
    std::vector<data::Sample> samples;
    for (data::Draw& draw : draws) {
      draw.prompt.id = "p" + std::to_string(made++);
      draw.prompt.extra_info = Json::object();
      for (uint32_t j = 0; j < 2; ++j) samples.push_back(sample_of(draw, j));
    }
    must(buffer.open_groups(draws, 2));
    data::Verdict verdict;
    verdict.scored = true;
    const std::vector<data::Verdict> verdicts(samples.size(), verdict);
    must(buffer.insert(std::move(samples), verdicts));
  };
  Stopwatch watch;
  add(waiting);
  row("replay: groups of 2 x 64 tokens inserted", waiting, watch.seconds());
  watch.restart();
  save();
  row("replay: checkpoint", waiting, watch.seconds());
  watch.restart();
  for (uint64_t i = 0; i < 10; ++i) {
    add(32);
    must(buffer.take_partials().status());
    must(buffer.take(32, 0, i).status());
    save();
    (void)buffer.take_metrics();
  }
  row("replay: 10 iterations of 32 groups beside them", waiting, watch.seconds());
  std::filesystem::remove_all(folder);
}

void bench_rewards(size_t count) {
  auto stage = reward::RewardStage::create({});
  must(stage.status());
  std::vector<data::Prompt> prompts(count);
  std::vector<data::Sample> samples(count);
  std::vector<const data::Prompt*> prompt_of;
  std::vector<const data::Sample*> sample_list;
  for (size_t i = 0; i < count; ++i) {
    prompts[i].id = samples[i].prompt_id = "p" + std::to_string(i);
    prompts[i].ground_truth = std::to_string(i);
    samples[i].text = "The answer is \\boxed{" + std::to_string(i) + "}.";
    samples[i].finish = data::FinishReason::stop;
    prompt_of.push_back(&prompts[i]);
    sample_list.push_back(&samples[i]);
  }
  Stopwatch watch;
  for (size_t i = 0; i < count; ++i) (*stage)->judge_ahead(prompts[i], samples[i]);
  (void)(*stage)->judge(prompt_of, sample_list);
  row("rewards: easy answers judged ahead", count, watch.seconds());
}

void bench_packing(size_t count) {
  CounterRng rng(1);
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < count; ++i) lengths.push_back(rng.next_int(100, 900));
  Stopwatch watch;
  const auto packs = train::pack_sequences(lengths, 1024);
  LS_CHECK(!packs.empty(), "rows make packs");
  row("packing: rows into passes of 1,024 tokens", count, watch.seconds());
}

void bench_logs(size_t iterations) {
  const auto path = scratch() / "metrics.jsonl";
  Metrics metrics;
  for (int i = 0; i < 100; ++i) metrics["group/metric_" + std::to_string(i)] = 0.1 * i;
  {
    std::filesystem::remove(path);
    auto log = MetricsLog::open(path);
    must(log.status());
    Stopwatch watch;
    for (size_t step = 1; step <= iterations; ++step)
      must(log->append(static_cast<int64_t>(step), metrics));
    row("metrics.jsonl: 100 figures a step, written", iterations, watch.seconds());
  }
  Stopwatch watch;
  must(drop_lines_after(path, static_cast<int64_t>(iterations) - 10));
  must(MetricsLog::open(path).status());
  row("metrics.jsonl: opened to resume 10 steps before", iterations, watch.seconds());
  std::filesystem::remove(path);
}

}  // namespace

int main(int argc, char** argv) {
  const size_t largest = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  std::filesystem::create_directories(scratch());
  std::printf("| what | items | seconds | ns / item | GiB |\n|---|---|---|---|---|\n");
  for (size_t n = largest / 100; n <= largest; n *= 10) bench_prompts(n);
  for (size_t n = largest / 1000; n <= largest / 10; n *= 10) bench_replay(n);
  for (size_t n = largest / 1000; n <= largest / 10; n *= 10) bench_rewards(n);
  for (size_t n = largest / 1000; n <= largest / 10; n *= 10) bench_packing(n);
  for (size_t n = largest / 1000; n <= largest / 10; n *= 10) bench_logs(n);
  std::filesystem::remove_all(scratch());
  return 0;
}
