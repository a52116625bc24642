#include "train/optimizer/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/os/fs.h"
#include "base/rng.h"
#include "kernels/rows/adamw.h"
#include "model/format/safetensors.h"
#include "train/optimizer/schedule.h"

namespace longshot::train {
namespace {

std::vector<std::string> trainable_names(const model::Weights& weights) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : weights.tensors())
    if (tensor.requires_grad()) names.push_back(name);
  return names;
}

ShardLayout layout_of(const model::Weights& weights, const Lanes& lanes) {
  std::vector<int64_t> sizes;
  for (const auto& [name, tensor] : weights.tensors())
    if (tensor.requires_grad()) sizes.push_back(tensor.numel());
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  return {sizes, lanes.gang->size(), tile_elements(total, lanes.count)};
}

std::string tensors_path(const std::string& directory) {
  return directory + "/optimizer.safetensors";
}
std::string counters_path(const std::string& directory) {
  return directory + "/trainer.json";
}

std::vector<int64_t> shape_of(const at::Tensor& tensor) {
  return tensor.sizes().vec();
}

model::Dtype dtype_of(const at::Tensor& tensor) {
  if (tensor.scalar_type() == at::kByte) return model::Dtype::u8;
  return tensor.scalar_type() == at::kBFloat16 ? model::Dtype::bf16 : model::Dtype::f32;
}

// Reads the array `part.name` into a tensor. Its shape and dtype must be those of part.tensor.
Result<at::Tensor> read_part(const model::SafetensorsFile& file, const Moments::Part& part) {
  const model::SafetensorsEntry* entry = file.find(part.name);
  if (entry == nullptr) {
    return corrupt(fmt::format("{}: tensor '{}' is missing; the state belongs to another model",
                               file.path(), part.name));
  }
  const std::vector<int64_t> shape = shape_of(part.tensor);
  if (entry->shape != shape || entry->dtype != dtype_of(part.tensor)) {
    return corrupt(fmt::format("{}: tensor '{}' is {} {}, the model and optim.moments need {} {}",
                               file.path(), part.name, model::dtype_name(entry->dtype),
                               model::shape_text(entry->shape),
                               model::dtype_name(dtype_of(part.tensor)), model::shape_text(shape)));
  }
  at::Tensor host =
      at::empty(part.tensor.sizes(), at::TensorOptions().dtype(part.tensor.scalar_type()));
  std::memcpy(host.mutable_data_ptr(), entry->bytes.data(), entry->bytes.size());
  return host;
}

}  // namespace

AdamW::AdamW(const model::Weights& weights, OptimizerOptions options, int64_t total_steps,
             const Lanes& lanes)
    : options_(std::move(options)),
      total_steps_(total_steps),
      names_(trainable_names(weights)),
      exchange_(names_, layout_of(weights, lanes), lanes.gang) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights.tensors())
    LS_CHECK(!tensor.is_inference(),
             name + " was made under InferenceMode and never gets a gradient");
  for (const Piece& piece : exchange_.layout().pieces(lanes.gang->rank())) {
    const std::string& name = names_[piece.weight];
    moments_.emplace_back(name, weights.at(name), options_.moments, piece.begin, piece.end);
  }
}

void AdamW::begin_schedule(OptimizerOptions options, int64_t first_step, int64_t total_steps) {
  LS_CHECK(options.moments == options_.moments, "the format of the moments is fixed");
  options_ = std::move(options);
  first_step_ = first_step;
  total_steps_ = total_steps;
}

void AdamW::begin_step() {
  ++counters_.schedule_steps;
  if (!counters_.reset_due) return;
  const at::NoGradGuard no_grad;
  for (auto& m : moments_) m.reset();
  counters_.moment_steps = 0;
  ++counters_.moment_resets;
  counters_.reset_due = false;
}

void AdamW::pass_step() {
  begin_step();
}

std::vector<at::Tensor> AdamW::moment_tensors() const {
  std::vector<at::Tensor> tensors;
  for (const auto& moments : moments_)
    for (const auto& part : moments.parts()) tensors.push_back(part.tensor);
  return tensors;
}

void AdamW::take_back(const Counters& counters, bool clear_moments) {
  counters_ = counters;
  if (!clear_moments) return;
  const at::NoGradGuard no_grad;
  for (auto& m : moments_) m.reset();
  counters_.moment_steps = 0;
}

int64_t AdamW::moment_bytes() const {
  int64_t total = 0;
  for (const auto& m : moments_) total += m.bytes();
  return total;
}

Status AdamW::measure(const Tensors& gradients, StepOutcome& step) {
  LS_ASSIGN_OR_RETURN(const std::vector<double> squared, exchange_.squared_norms(gradients));
  double total = 0;
  for (size_t i = 0; i < squared.size(); ++i) {
    if (!std::isfinite(squared[i]) && step.non_finite_name.empty())
      step.non_finite_name = names_[i];
    total += squared[i];
  }
  step.grad_norm = std::sqrt(total);
  return ok_status();
}

void AdamW::apply(Tensors& weights, const Tensors& gradients, const StepOutcome& step) {
  ++counters_.moment_steps;
  const auto t = static_cast<double>(counters_.moment_steps);
  // torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6 too.
  const bool clip = options_.clip_grad > 0 && step.grad_norm > options_.clip_grad;
  const double scale = clip ? options_.clip_grad / (step.grad_norm + 1e-6) : 1.0;
  const double correction1 = 1.0 - std::pow(options_.beta1, t);
  const double correction2 = 1.0 - std::pow(options_.beta2, t);
  const kernels::AdamWStep update{.lr = static_cast<float>(step.lr),
                                  .beta1 = static_cast<float>(options_.beta1),
                                  .beta2 = static_cast<float>(options_.beta2),
                                  .eps = static_cast<float>(options_.eps),
                                  .decay = static_cast<float>(options_.weight_decay),
                                  .gradient_scale = static_cast<float>(scale),
                                  .correction1 = static_cast<float>(correction1),
                                  .root_correction2 = static_cast<float>(std::sqrt(correction2))};
  const uint64_t key = hash_combine(static_cast<uint64_t>(counters_.moment_resets),
                                    static_cast<uint64_t>(counters_.moment_steps));
  const auto& pieces = exchange_.layout().pieces(exchange_.gang().rank());
  for (size_t i = 0; i < moments_.size(); ++i) {
    const auto own_key = static_cast<uint32_t>(hash_combine(key, hash64(moments_[i].name())));
    const size_t weight = pieces[i].weight;
    moments_[i].update(update, own_key, gradients[weight], weights[weight]);
  }
}

Result<AdamW::StepOutcome> AdamW::step(model::Weights& weights) {
  const at::NoGradGuard no_grad;
  Tensors trained, gradients;
  for (const auto& [name, tensor] : weights.tensors()) {
    if (!tensor.requires_grad()) continue;
    trained.push_back(tensor);
    gradients.push_back(tensor.grad());
  }
  LS_CHECK(trained.size() == names_.size(), "the optimizer belongs to other weights");
  StepOutcome out;
  out.lr = learning_rate(options_, counters_.schedule_steps - first_step_, total_steps_);
  // These may fail, so nothing is changed before them.
  LS_RETURN_IF_ERROR(exchange_.sum_gradients(trained, gradients));
  LS_RETURN_IF_ERROR(measure(gradients, out));
  begin_step();
  if (out.non_finite_name.empty()) {
    apply(trained, gradients, out);
    LS_RETURN_IF_ERROR(exchange_.gather_weights(trained));
  } else {
    out.skipped = true;
    ++counters_.skipped_steps;
    log::warn("optimizer step {} skipped: the gradient of {} is not finite",
              counters_.schedule_steps, out.non_finite_name);
  }
  weights.zero_grad();
  return out;
}

Status AdamW::save(const std::string& directory) const {
  const at::NoGradGuard no_grad;
  LS_RETURN_IF_ERROR(make_directories(directory));
  at::Tensor host;  // the one being written; on a CPU the moments themselves
  std::vector<model::SafetensorsArray> arrays;
  for (const auto& moments : moments_) {
    for (const auto& [name, tensor] : moments.parts()) {
      const auto load = [&host, tensor]() -> const void* {
        host = at::Tensor();
        host = tensor.to(at::kCPU).contiguous();
        return host.const_data_ptr();
      };
      arrays.push_back({name, dtype_of(tensor), shape_of(tensor), nullptr, load, true});
    }
  }
  LS_RETURN_IF_ERROR(model::write_safetensors(tensors_path(directory), arrays));
  const Json counters = {{"schedule_steps", counters_.schedule_steps},
                         {"moment_steps", counters_.moment_steps},
                         {"moment_resets", counters_.moment_resets},
                         {"skipped_steps", counters_.skipped_steps}};
  return write_file_durable(counters_path(directory), dump_json(counters, 2) + "\n");
}

Status AdamW::load(const std::string& directory) {
  const at::NoGradGuard no_grad;
  const std::string where = counters_path(directory);
  LS_ASSIGN_OR_RETURN(const Json counters, read_json_file(where));
  LS_ASSIGN_OR_RETURN(const auto schedule, json_get<int64_t>(counters, "schedule_steps", where));
  LS_ASSIGN_OR_RETURN(const auto steps, json_get<int64_t>(counters, "moment_steps", where));
  LS_ASSIGN_OR_RETURN(const auto resets, json_get_or<int64_t>(counters, "moment_resets", 0, where));
  LS_ASSIGN_OR_RETURN(const auto skipped, json_get<int64_t>(counters, "skipped_steps", where));

  LS_ASSIGN_OR_RETURN(const auto file, model::SafetensorsFile::open(tensors_path(directory)));
  std::vector<Moments::Part> parts;
  for (const auto& moments : moments_) {
    for (auto& part : moments.parts()) parts.push_back(std::move(part));
  }
  if (file.entries().size() != parts.size()) {
    return corrupt(
        fmt::format("{}: {} tensors, the model and optim.moments need {}; the state belongs to "
                    "another model or to other trainable weights",
                    file.path(), file.entries().size(), parts.size()));
  }
  std::vector<at::Tensor> loaded;  // nothing changes before all is read
  for (const auto& part : parts) {
    LS_ASSIGN_OR_RETURN(auto host, read_part(file, part));
    loaded.push_back(std::move(host));
  }
  for (size_t i = 0; i < parts.size(); ++i) parts[i].tensor.copy_(loaded[i]);
  counters_.schedule_steps = schedule;
  counters_.moment_steps = steps;
  counters_.moment_resets = resets;
  counters_.skipped_steps = skipped;
  return ok_status();
}

}  // namespace longshot::train
