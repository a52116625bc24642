#include "train/pass/pass.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "base/check.h"
#include "base/os/machine.h"

namespace longshot::train {
namespace {

// The number of tokens the forward needs: those before the last target.
int64_t forward_length(const PassRow& row) {
  for (size_t t = row.tokens.size(); t > 1; --t) {
    if (row.mask[t - 1]) return static_cast<int64_t>(t) - 1;
  }
  return 0;
}

// Rows that are computed together: one, or several with the same prompt.
struct Unit {
  std::vector<size_t> rows;
  int64_t prompt = 0;  // shared tokens; 0: nothing is shared
  int64_t length = 0;  // packed tokens
};

std::string_view prompt_bytes(const PassRow& row) {
  return {reinterpret_cast<const char*>(row.tokens.data()), row.prompt * sizeof(data::TokenId)};
}

// More tokens overflow the last-level cache with the activations of a layer; fewer do not amortize
// packing the weights.
constexpr int64_t kPassTokens = 1024;
constexpr int64_t kPassPrompts = 16;        // recomputing a prompt costs at most 1/16 of the pass
constexpr int64_t kLibtorchTokens = 16384;  // libtorch parallelizes over tokens

// Groups rows with equal prompts into units, in the order of their first rows.
std::vector<Unit> make_units(const std::vector<PassRow>& rows, const PassSize& size) {
  std::vector<Unit> units;
  std::unordered_map<std::string_view, size_t> last;  // unit with that prompt
  for (size_t i = 0; i < rows.size(); ++i) {
    LS_CHECK(rows[i].tokens.size() == rows[i].mask.size(), "one mask entry per token");
    const int64_t length = forward_length(rows[i]);
    if (length == 0) continue;
    const int64_t prompt = size.share_prompts ? rows[i].prompt : 0;
    const int64_t most = std::max(size.tokens, size.prompts * prompt);
    LS_CHECK(prompt <= length, "a prompt has no targets");
    if (prompt > 0) {
      const auto found = last.find(prompt_bytes(rows[i]));
      if (found != last.end() && units[found->second].length + length - prompt <= most) {
        units[found->second].rows.push_back(i);
        units[found->second].length += length - prompt;
        continue;
      }
      last[prompt_bytes(rows[i])] = units.size();
    }
    units.push_back({{i}, prompt, length});
  }
  return units;
}

void append_targets(const PassRow& row, size_t index,
                    const std::function<int64_t(int64_t)>& position, MicroBatch& micro) {
  const int64_t length = forward_length(row);
  for (int64_t t = 1; t <= length; ++t) {
    if (!row.mask[t]) continue;
    micro.predictors.push_back(position(t - 1));
    micro.targets.push_back(row.tokens[t]);
  }
  micro.rows.push_back(index);
  micro.begins.push_back(micro.targets.size());
  micro.unshared += length;
}

void append_unit(const std::vector<PassRow>& rows, const Unit& unit, MicroBatch& micro) {
  const bool alone = unit.rows.size() == 1;
  const auto prompt = static_cast<size_t>(alone ? 0 : unit.prompt);
  const auto parent = static_cast<int>(micro.batch.sequences());
  const int64_t first = micro.batch.total();
  if (!alone) micro.batch.append(rows[unit.rows[0]].tokens.first(prompt));
  for (const size_t i : unit.rows) {
    const int64_t begin = micro.batch.total();
    const auto length = static_cast<size_t>(forward_length(rows[i]));
    if (length > prompt)
      micro.batch.append(rows[i].tokens.subspan(prompt, length - prompt), alone ? -1 : parent);
    append_targets(
        rows[i], i,
        [&](int64_t t) {
          const auto shared = static_cast<int64_t>(prompt);
          return t < shared ? first + t : begin + t - shared;
        },
        micro);
  }
}

int64_t activation_budget(const model::ComputeOptions& options) {
  if (options.activation_gib > 0)
    return static_cast<int64_t>(options.activation_gib * (int64_t{1} << 30));
  return static_cast<int64_t>(usable_memory(inspect_machine()) / 2);
}

model::cpu::Checkpointing checkpointing_of(const model::ModelConfig& config,
                                           model::CheckpointingChoice choice, int64_t tokens,
                                           int64_t budget) {
  using model::CheckpointingChoice;
  using model::cpu::Checkpointing;
  if (choice == CheckpointingChoice::automatic)
    return model::cpu::choose_checkpointing(config, tokens, budget);
  if (choice == CheckpointingChoice::selective) return Checkpointing::selective;
  return choice == CheckpointingChoice::full ? Checkpointing::full : Checkpointing::none;
}

at::Tensor index_of(const std::vector<int64_t>& positions, const at::Device& device) {
  at::Tensor index =
      at::empty({static_cast<int64_t>(positions.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(positions.begin(), positions.end(), index.mutable_data_ptr<int64_t>());
  return index.to(device);
}

}  // namespace

int64_t target_count(const PassRow& row) {
  int64_t count = 0;
  for (size_t t = 1; t < row.tokens.size(); ++t) count += row.mask[t] != 0;
  return count;
}

model::Work work_of(const MicroBatch& micro, const model::ModelConfig& config) {
  return {.tokens = static_cast<double>(micro.batch.total()),
          .targets = static_cast<double>(micro.targets.size()),
          .pairs = micro.batch.pairs(config)};
}

std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows, const PassSize& size) {
  const std::vector<Unit> units = make_units(rows, size);
  std::vector<int64_t> lengths;
  for (const Unit& unit : units) lengths.push_back(unit.length);
  std::vector<MicroBatch> out;
  for (const auto& pack : pack_sequences(lengths, size.tokens)) {
    MicroBatch& micro = out.emplace_back();
    micro.begins.push_back(0);
    for (const size_t i : pack) append_unit(rows, units[i], micro);
  }
  return out;
}

Compute::Compute(const model::Weights& weights, const model::ComputeOptions& options)
    : config_(weights.config()),
      checkpointing_(options.checkpointing),
      activation_bytes_(activation_budget(options)) {
  if (options.kernels != model::KernelChoice::libtorch && model::CpuCompute::supports(weights)) {
    cpu_ =
        std::make_unique<model::CpuCompute>(weights.config(), at::get_num_threads(), options.dtype);
  }
}

PassSize own_pass_size(int64_t wanted) {
  if (wanted > 0) return {.tokens = wanted, .share_prompts = true};
  return {.tokens = kPassTokens, .prompts = kPassPrompts, .share_prompts = true};
}

double own_activation_bytes(const model::ModelConfig& config, const model::ComputeOptions& options,
                            int64_t tokens, int64_t targets, int lora_rank) {
  const auto mode =
      checkpointing_of(config, options.checkpointing, tokens, activation_budget(options));
  const int64_t head_rows = 2 * targets + tokens;
  return static_cast<double>(model::cpu::activation_bytes(config, tokens, mode, lora_rank) +
                             model::cpu::Head::chunk_bytes(targets, config.vocab_size) +
                             head_rows * kernels::row_stride(config.hidden_size) *
                                 static_cast<int64_t>(sizeof(float)));
}

PassSize Compute::pass_size(int64_t wanted) const {
  if (cpu_ == nullptr) return {.tokens = wanted > 0 ? wanted : kLibtorchTokens};
  return own_pass_size(wanted);
}

model::cpu::Checkpointing Compute::checkpointing(int64_t tokens) const {
  return checkpointing_of(config_, checkpointing_, tokens, activation_bytes_);
}

Pass::Pass(Compute& compute, model::Weights& weights, const MicroBatch& micro, double temperature,
           bool with_entropy, const std::vector<float>* expected_gradient)
    : compute_(compute), weights_(weights), micro_(micro), temperature_(temperature) {
  if (model::CpuCompute* cpu = compute.cpu()) {
    out_ = cpu->forward(weights, {.batch = &micro.batch,
                                  .predictors = &micro.predictors,
                                  .targets = &micro.targets,
                                  .temperature = temperature,
                                  .with_entropy = with_entropy,
                                  .for_backward = at::GradMode::is_enabled(),
                                  .checkpointing = compute.checkpointing(micro.batch.total()),
                                  .expected_gradient = expected_gradient});
    return;
  }
  const at::Tensor hidden = model::hidden_states(weights, micro.batch);  // [total, hidden]
  gathered_ = at::index_select(hidden, 0, index_of(micro.predictors, hidden.device()));
  out_ = model::token_logprobs(gathered_.detach(), model::head_weight(weights), micro.targets,
                               temperature, with_entropy);
}

void Pass::backward(const std::vector<float>& grad) {
  if (model::CpuCompute* cpu = compute_.cpu()) return cpu->backward(weights_, grad);
  at::Tensor& head = model::head_weight(weights_);
  const at::Tensor grad_hidden =
      model::token_logprobs_backward(gathered_.detach(), head, micro_.targets, temperature_, grad);
  // Needs no gradient if only the head is trained.
  if (gathered_.requires_grad()) gathered_.backward(grad_hidden);
  gathered_.reset();
}

}  // namespace longshot::train
