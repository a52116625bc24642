#include "loop/forecast/memory_forecast.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/machine.h"
#include "model/compute.h"
#include "model/format/adapters/adapter.h"
#include "model/format/architecture.h"
#include "model/format/model_files.h"
#include "rollout/runner.h"

namespace longshot::loop {
namespace {

constexpr double kFloat = sizeof(float);

double count_of(const std::vector<int64_t>& shape) {
  double count = 1;
  for (const int64_t extent : shape) count *= static_cast<double>(extent);
  return count;
}

// Bytes per weight in the rollout's kernels, scales included.
double weight_bytes(NumberFormat format) {
  switch (format) {
    case NumberFormat::f32:
      return kFloat;
    case NumberFormat::bf16:
      return 2;
    case NumberFormat::int8:
      return 1.02;
    case NumberFormat::int4:
      return 0.6;
  }
  return kFloat;
}

// Bytes of both moments of a weight, scales included.
double moment_bytes(NumberFormat format) {
  if (format == NumberFormat::bf16) return 4;
  return format == NumberFormat::int8 ? 2.04 : 2 * kFloat;
}

double kv_token_bytes(const model::ModelConfig& c, NumberFormat format) {
  const double value = format == NumberFormat::f32 ? 4 : format == NumberFormat::bf16 ? 2 : 1;
  return 2.0 * c.num_layers * c.num_kv_heads * (c.head_dim * value + (value == 1 ? 4 : 0));
}

struct AdapterSize {
  int rank = 0;
  double parameters = 0;
  double beside = 0;  // parameters of the adapted weights
};

Result<AdapterSize> adapter_size(const config::ModelOptions& options,
                                 const model::ModelConfig& model) {
  AdapterSize size;
  if (!options.lora_adapter_path.empty()) {
    model::ModelConfig adapted = model;  // a reward model's adapter brings the score head
    LS_RETURN_IF_ERROR(model::apply_adapter_config(options.lora_adapter_path, adapted));
    LS_ASSIGN_OR_RETURN(const model::Adapter adapter,
                        model::read_adapter(options.lora_adapter_path, adapted));
    size.rank = adapter.lora.rank;
    for (const model::AdapterPair& pair : adapter.pairs) {
      size.parameters += static_cast<double>(size.rank) * (pair.in + pair.out);
      size.beside += static_cast<double>(pair.in) * pair.out;
    }
    return size;
  }
  if (options.lora.rank == 0) return size;
  size.rank = options.lora.rank;
  LS_ASSIGN_OR_RETURN(const auto modules, model::adapter_modules(model, options.lora_targets));
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const model::WeightSpec& spec : model::expected_weights(model))
    shapes[spec.name] = spec.shape;
  for (const std::string& module : modules) {
    const std::vector<int64_t>& shape = shapes[module + ".weight"];
    size.parameters += static_cast<double>(size.rank) * static_cast<double>(shape[0] + shape[1]);
    size.beside += count_of(shape);
  }
  return size;
}

double trained_of(const config::ModelOptions& options, const model::ModelConfig& model,
                  const AdapterSize& adapter) {
  if (adapter.rank > 0) return adapter.parameters;
  double trained = 0;
  for (const model::WeightSpec& spec : model::expected_weights(model)) {
    const auto& patterns = options.freeze;
    const bool frozen = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) {
      return ::fnmatch(p.c_str(), spec.name.c_str(), 0) == 0;
    });
    trained += frozen ? 0 : count_of(spec.shape);
  }
  return trained;
}

// The fixed model of GRPO's KL penalty. It needs no memory if it is the base of the adapter.
Result<ForecastItem> kl_model(const config::TrainConfig& config, const AdapterSize& adapter) {
  const std::string& path = config.algorithm.kl_reference;
  ForecastItem item{"KL model", 0, "none"};
  if (!config::has_kl_model(config.algorithm)) return item;
  if (adapter.rank > 0 && path == config.model.path) return item;
  const auto model = model::read_model_config(path);
  if (!model.ok()) return model.status().with_context("algorithm.kl_reference");
  item.value = kFloat * static_cast<double>(model::parameter_count(*model));
  item.note = path;
  return item;
}

// Per worker: the embedding table in f32, and every matrix in the rollout's format.
double rollout_bytes(const config::TrainConfig& config, const model::ModelConfig& model) {
  const double table = static_cast<double>(model.vocab_size) * model.hidden_size;
  double matrices = model.tie_word_embeddings ? table : 0;  // the head
  for (const model::WeightSpec& spec : model::expected_weights(model)) {
    if (spec.shape.size() > 1 && spec.name != model::weight_of(model::names::kEmbedding))
      matrices += count_of(spec.shape);
  }
  const double one = kFloat * table + weight_bytes(config.rollout.dtype) * matrices;
  return one * config.rollout.workers;
}

ForecastItem activations(const config::TrainConfig& config, const model::ModelConfig& model,
                         const IterationSize& size, int lora_rank) {
  const double rows = std::ceil(size.groups / config.algorithm.mini_batches) * size.group_tokens();
  const model::ComputeOptions& options = config.algorithm.compute;
  const model::PassSize pass = model::forecast_pass_size(model, options, config.machine.device,
                                                         config.algorithm.micro_batch_tokens);
  const double unit =
      std::min(size.group_tokens(), static_cast<double>(pass.prompts) * size.prompt);
  const double micro = std::min(std::max(static_cast<double>(pass.tokens), unit), rows);
  const double targets = micro * size.n * size.response / size.group_tokens();
  const auto bytes = model::forecast_activation_bytes(model, options, config.machine.device,
                                                      static_cast<int64_t>(micro),
                                                      static_cast<int64_t>(targets), lora_rank);
  if (!bytes) return {"activations", 0, "not known with libtorch"};
  return {"activations", static_cast<double>(*bytes), fmt::format("{:.0f} tokens together", micro)};
}

ForecastItem kv_cache(const config::TrainConfig& config, const model::ModelConfig& model,
                      const IterationSize& size, double running) {
  const double blocks = rollout::blocks_for(static_cast<int>(size.response)) + 1;
  const double prompts =
      std::ceil(running / size.n) * rollout::blocks_for(static_cast<int>(size.prompt));
  double all = running * blocks + prompts;
  if (config.rollout.kv_blocks > 0) all = std::min<double>(all, config.rollout.kv_blocks);
  return {"KV cache", all * rollout::kBlockTokens * kv_token_bytes(model, config.rollout.kv_dtype),
          fmt::format("{}, {:.0f} samples in flight", name_of(config.rollout.kv_dtype), running)};
}

ForecastItem published(const config::TrainConfig& config, const model::ModelConfig& model) {
  const double version =
      weight_bytes(config.rollout.dtype == NumberFormat::bf16 ? NumberFormat::bf16
                                                              : NumberFormat::f32) *
      static_cast<double>(model::parameter_count(model));
  return {"store", 2 * version, "two versions, for all of the host"};
}

// Bytes that this process has {mapped, resident}, from /proc/self/statm.
std::pair<double, double> own_pages() {
  std::ifstream file("/proc/self/statm");
  double mapped = 0, resident = 0;
  file >> mapped >> resident;
  const double page = 4096;
  return {mapped * page, resident * page};
}

double swap_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    double kibibytes = 0;
    if (name == "SwapTotal:" && file >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

std::string gib(double bytes) {
  return fmt::format("{:.2f} GiB", bytes / kGiB);
}

// Memory items that training of any model needs.
std::vector<ForecastItem> training_items(const model::ModelConfig& model,
                                         const AdapterSize& adapter, double trained,
                                         NumberFormat moments) {
  const double weights = static_cast<double>(model::parameter_count(model)) + adapter.parameters;
  return {{"program", own_pages().second, "libraries and the like"},
          {"weights", kFloat * weights, "f32, of the trainer"},
          {"gradients", kFloat * trained, "f32"},
          {"moments", moment_bytes(moments) * trained, name_of(moments)}};
}

// A hybrid run needs less than all items together. For each of its turns, the items that it does
// not need: an update, a hand-over of the weights or a checkpoint, and the rollout.
std::vector<std::set<std::string>> unneeded(const config::HybridOptions& o) {
  const std::set<std::string> of_updates = {"gradients", "activations", "lanes", "undo"};
  std::set<std::string> update = {"logits", "merged weights", "checkpoint"};
  std::set<std::string> hand_over = of_updates, rollout = of_updates;
  hand_over.insert("logits");
  rollout.insert({"merged weights", "checkpoint"});
  if (o.free_cache_engine) update.insert({"rollout weights", "KV cache"});
  if (o.free_cache_engine) hand_over.insert("KV cache");
  if (o.optimizer_offload) rollout.insert("moments");
  if (o.param_offload) rollout.insert("weights");
  return {update, hand_over, rollout};
}

// Keeps the items of the turn that needs most.
std::vector<ForecastItem> of_largest_turn(const std::vector<ForecastItem>& items,
                                          const config::HybridOptions& options) {
  if (!options.on()) return items;
  std::vector<ForecastItem> largest;
  for (const std::set<std::string>& names : unneeded(options)) {
    std::vector<ForecastItem> turn = items;
    std::erase_if(turn, [&](const ForecastItem& item) { return names.contains(item.name); });
    if (total(turn) >= total(largest)) largest = std::move(turn);
  }
  return largest;
}

constexpr const char* kAdvice =
    "optim.moments=int8, model.lora_rank and [hybrid] need less; for `longshot train`, `longshot "
    "doctor "
    "--plan` "
    "lists what takes how much";

Status check_certain(double certain) {
  const MemoryLimit limit = hard_memory_limit();
  if (certain <= limit.bytes) return ok_status();
  return invalid_argument(
      fmt::format("the run needs {} of memory for weights, gradients and moments alone, and {} has "
                  "{}: {}",
                  gib(certain), limit.name, gib(std::max(0.0, limit.bytes)), kAdvice));
}

}  // namespace

double total(const std::vector<ForecastItem>& items) {
  double sum = 0;
  for (const ForecastItem& item : items) sum += item.value;
  return sum;
}

// Each part of the size is the largest of all phases.
IterationSize largest_size(const config::TrainConfig& config) {
  IterationSize size{0, 0, static_cast<double>(config.data.max_prompt_length), 0};
  const auto phases = config::all_phases(config);
  for (const config::TrainConfig& phase : phases.ok() ? *phases : std::vector{config}) {
    const auto grow = [](double& part, int value) { part = std::max<double>(part, value); };
    grow(size.groups, phase.data.train_batch_size);
    grow(size.n, phase.rollout.n);
    grow(size.response, phase.rollout.engine.sampling.max_response_length);
  }
  return size;
}

Result<MemoryForecast> forecast_memory(const config::TrainConfig& config,
                                       const model::ModelConfig& model, const IterationSize& size) {
  LS_ASSIGN_OR_RETURN(const AdapterSize adapter, adapter_size(config.model, model));
  MemoryForecast forecast;
  forecast.parameters = model::parameter_count(model);
  const double trained = trained_of(config.model, model, adapter);
  forecast.trained = static_cast<int64_t>(trained);
  const NumberFormat moments = config.optimizer.moments;
  forecast.items = training_items(model, adapter, trained, moments);
  if (!config.cluster.on())
    forecast.items.push_back(
        {"rollout weights", rollout_bytes(config, model), name_of(config.rollout.dtype)});
  LS_ASSIGN_OR_RETURN(ForecastItem fixed, kl_model(config, adapter));
  if (fixed.value > 0) forecast.items.push_back(std::move(fixed));
  forecast.certain = total(of_largest_turn(forecast.items, config.hybrid));
  const double running = std::min<double>(config.rollout.max_concurrent, size.samples());
  forecast.items.push_back(activations(config, model, size, adapter.rank));
  if (config.cluster.on()) {  // workers generate
    forecast.items.push_back(published(config, model));
  } else {
    forecast.items.push_back(kv_cache(config, model, size, running));
    forecast.items.push_back(
        {"logits", running * model.vocab_size * kFloat, "of the samples in flight"});
  }
  if (adapter.rank > 0)
    forecast.items.push_back(
        {"merged weights", kFloat * adapter.beside, "while they are published"});
  if (config.trainer.lanes > 1)
    forecast.items.push_back({"lanes", kFloat * trained * std::log2(config.trainer.lanes),
                              "gradients of the lanes that are not added yet"});
  if (config.algorithm.mini_batches * config.algorithm.epochs > 1) {
    const double kept = config.algorithm.reset_optimizer ? 0 : moment_bytes(moments);
    forecast.items.push_back({"undo", (kFloat + kept) * trained,
                              "copy of what an update changes; left out where memory is short"});
  }
  // The checkpoint writer converts bfloat16 moments to f32.
  const double copied = moments == NumberFormat::bf16 ? 2 * kFloat * trained : 0;
  forecast.items.push_back({"checkpoint", copied, "copies while one is written"});
  forecast.items = of_largest_turn(forecast.items, config.hybrid);
  return forecast;
}

namespace {

// The kept checkpoints and the one being written. Of a run whose length follows from the number of
// its prompts, as many as a long run has.
int64_t checkpoints_on_disk(const config::TrainerOptions& trainer) {
  const int64_t most = trainer.keep_checkpoints + 1;
  if (trainer.save_freq == 0) return 1;
  if (trainer.counts_epochs()) return most;
  return std::min(trainer.total_iterations / trainer.save_freq + 1, most);
}

}  // namespace

DiskForecast forecast_disk(const config::TrainConfig& config, const model::ModelConfig&,
                           const MemoryForecast& memory) {
  DiskForecast forecast;
  const double written =
      static_cast<double>(config.model.has_adapter() ? memory.trained : memory.parameters);
  forecast.checkpoint = kFloat * written + moment_bytes(config.optimizer.moments) *
                                               static_cast<double>(memory.trained);
  forecast.run = forecast.checkpoint * static_cast<double>(checkpoints_on_disk(config.trainer));
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(config.trainer.output);
  while (folder.has_relative_path() && !std::filesystem::exists(folder, error))
    folder = folder.parent_path();
  const auto space = std::filesystem::space(folder, error);
  forecast.free = error ? 0 : static_cast<double>(space.available);
  return forecast;
}

MemoryLimit hard_memory_limit() {
  const Machine machine = inspect_machine();
  const auto [mapped, resident] = own_pages();
  MemoryLimit limit{static_cast<double>(machine.memory_total) + swap_bytes(), "this machine"};
  const auto take = [&](double bytes, const char* name) {
    if (bytes < limit.bytes) limit = {bytes, name};
  };
  if (machine.memory_limit)
    take(static_cast<double>(*machine.memory_limit), "the control group's limit");
  rlimit space{};
  if (::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
    take(static_cast<double>(space.rlim_cur) - mapped + resident, "the limit of the address space");
  return limit;
}

double memory_at_hand() {
  const double available = static_cast<double>(usable_memory(inspect_machine()));
  return std::min(available + own_pages().second, hard_memory_limit().bytes);
}

Status check_resources(const config::OfflineConfig& config) {
  if (!config.machine.is_cpu() || config.model.path.empty()) return ok_status();
  LS_ASSIGN_OR_RETURN(const model::ModelConfig model,
                      model::read_model_config(config.model.source()));
  LS_ASSIGN_OR_RETURN(const AdapterSize adapter, adapter_size(config.model, model));
  const double trained = trained_of(config.model, model, adapter);
  return check_certain(total(training_items(model, adapter, trained, config.optimizer.moments)));
}

Status check_resources(const config::TrainConfig& config) {
  if (!config.machine.is_cpu()) return ok_status();
  LS_ASSIGN_OR_RETURN(const model::ModelConfig model,
                      model::read_model_config(config.model.source()));
  LS_ASSIGN_OR_RETURN(const MemoryForecast memory,
                      forecast_memory(config, model, largest_size(config)));
  LS_RETURN_IF_ERROR(check_certain(memory.certain));
  const double peak = total(memory.items), at_hand = memory_at_hand();
  if (peak > at_hand) {
    log::warn("the run may need {} of memory with the longest responses, {} can be had: {}",
              gib(peak), gib(at_hand), kAdvice);
  }
  const DiskForecast disk = forecast_disk(config, model, memory);
  if (disk.run > disk.free) {
    log::warn(
        "checkpoints take {} ({} each), {} of disk are free in {}: fewer "
        "trainer.keep_checkpoints, or another trainer.default_local_dir",
        gib(disk.run), gib(disk.checkpoint), gib(disk.free), config.trainer.output);
  }
  return ok_status();
}

}  // namespace longshot::loop
