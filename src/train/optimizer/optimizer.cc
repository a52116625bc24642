#include "train/optimizer/optimizer.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/os/fs.h"
#include "base/os/run_limits.h"
#include "base/rng.h"
#include "kernels/rows/adamw.h"
#include "train/optimizer/schedule.h"

namespace longshot::train {
namespace {

std::vector<TrainedWeight> trained_weights(const model::Weights& weights) {
  std::vector<TrainedWeight> trained;
  for (const auto& [name, tensor] : weights.tensors())
    if (tensor.requires_grad()) trained.push_back({name, tensor.sizes().vec()});
  return trained;
}

ShardExchange make_exchange(const std::vector<TrainedWeight>& weights, const Lanes& lanes) {
  std::vector<std::string> names;
  std::vector<int64_t> sizes;
  for (const TrainedWeight& weight : weights) {
    names.push_back(weight.name);
    sizes.push_back(weight.elements());
  }
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  ShardLayout layout(sizes, lanes.gang->size(), tile_elements(total, lanes.count));
  return {std::move(names), std::move(layout), lanes.gang};
}

std::string counters_path(const std::string& directory) {
  return directory + "/trainer.json";
}

}  // namespace

AdamW::AdamW(const model::Weights& weights, OptimizerOptions options, int64_t total_steps,
             const Lanes& lanes)
    : options_(std::move(options)),
      total_steps_(total_steps),
      weights_(trained_weights(weights)),
      exchange_(make_exchange(weights_, lanes)) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights.tensors())
    LS_CHECK(!tensor.is_inference(),
             name + " was made under InferenceMode and never gets a gradient");
  for (const Piece& piece : exchange_.layout().pieces(lanes.gang->rank())) {
    const std::string& name = weights_[piece.weight].name;
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
      step.non_finite_name = weights_[i].name;
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
  LS_CHECK(trained.size() == weights_.size(), "the optimizer belongs to other weights");
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
    log::warn("optimizer step {} {} {} is not finite", counters_.schedule_steps,
              run_limits::kStepWords, out.non_finite_name);
  }
  weights.zero_grad();
  return out;
}

// Every process writes its shard; the counters, which name all of them, follow when the shards are
// complete.
Status AdamW::save(const std::string& directory) const {
  const at::NoGradGuard no_grad;
  Gang& gang = exchange_.gang();
  Status own = make_directories(directory);
  if (own.ok())
    own = write_moments(directory + "/" + moments_file(gang.rank(), gang.size()), moments_);
  LS_RETURN_IF_ERROR(agree(gang, own, "the saved moments"));
  if (gang.rank() == 0) own = save_counters(directory);
  return agree(gang, own, "the saved counters");
}

Status AdamW::save_counters(const std::string& directory) const {
  Json counters = {{"schedule_steps", counters_.schedule_steps},
                   {"moment_steps", counters_.moment_steps},
                   {"moment_resets", counters_.moment_resets},
                   {"skipped_steps", counters_.skipped_steps}};
  const Json shards = shards_to_json(exchange_.layout(), weights_);
  if (!shards.is_null()) counters["shards"] = shards;
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
  LS_ASSIGN_OR_RETURN(const auto shards, json_get_or<Json>(counters, "shards", nullptr, where));

  LS_ASSIGN_OR_RETURN(const SavedMoments saved,
                      SavedMoments::open(directory, shards, weights_, options_.moments));
  std::vector<at::Tensor> loaded;  // nothing changes before all is read
  for (const Moments& moments : moments_) {
    for (const auto& part : moments.parts()) {
      LS_ASSIGN_OR_RETURN(auto host, saved.read(moments, part));
      loaded.push_back(std::move(host));
    }
  }
  std::vector<at::Tensor> own = moment_tensors();
  for (size_t i = 0; i < own.size(); ++i) own[i].copy_(loaded[i]);
  counters_.schedule_steps = schedule;
  counters_.moment_steps = steps;
  counters_.moment_resets = resets;
  counters_.skipped_steps = skipped;
  return ok_status();
}

}  // namespace longshot::train
