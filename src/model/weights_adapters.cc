// Adapters next to a model's weights, and frozen weights: what a training run changes.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "model/weights.h"

namespace longshot::model {
namespace {

const std::string kScore = "score.weight";

at::Tensor leaf(const std::vector<float>& values, int64_t rows, int64_t columns,
                at::Device device) {
  at::Tensor host = at::empty({rows, columns}, at::TensorOptions().dtype(at::kFloat));
  LS_CHECK(static_cast<int64_t>(values.size()) == rows * columns,
           "an adapter's matrix is its shape");
  std::memcpy(host.mutable_data_ptr<float>(), values.data(), values.size() * sizeof(float));
  at::NoGradGuard no_grad;
  return host.to(device).requires_grad_(true);
}

std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  const float* data = host.const_data_ptr<float>();
  return {data, data + host.numel()};
}

}  // namespace

void Weights::add_adapter(const Adapter& adapter) {
  LS_CHECK(lora_.rank == 0, "there is an adapter already");
  c10::InferenceMode normal_mode(false);
  lora_ = adapter_lora_ = adapter.lora;
  for (NamedTensor& named : tensors_) named.tensor.requires_grad_(false);
  for (const AdapterPair& pair : adapter.pairs) {
    const at::Tensor& weight = at(pair.module + ".weight");
    LS_CHECK(weight.size(0) == pair.out && weight.size(1) == pair.in,
             "an adapter of another model");
    add(pair.module + ".lora_A.weight", leaf(pair.a, pair.lora.rank, pair.in, device()));
    add(pair.module + ".lora_B.weight", leaf(pair.b, pair.out, pair.lora.rank, device()));
    module_lora_[pair.module] = pair.lora;
    lora_.rank = std::max(lora_.rank, pair.lora.rank);
  }
  if (!config_.score_head) return;
  at::Tensor& score = at(kScore);
  if (!adapter.score.empty()) score = leaf(adapter.score, 1, score.size(1), device());
  score.requires_grad_(true);
}

LoraOptions Weights::lora(const std::string& module) const {
  const auto found = module_lora_.find(module);
  return found == module_lora_.end() ? LoraOptions{} : found->second;
}

Adapter Weights::adapter(const std::string& base) const {
  Adapter adapter{adapter_lora_, base, {}, {}};
  if (config_.score_head) adapter.score = values_of(at(kScore));
  const std::string first = ".lora_A.weight";
  for (const NamedTensor& named : tensors_) {
    if (!named.name.ends_with(first)) continue;
    AdapterPair& pair = adapter.pairs.emplace_back();
    pair.module = named.name.substr(0, named.name.size() - first.size());
    pair.lora = lora(pair.module);
    const at::Tensor& b = at(pair.module + ".lora_B.weight");
    pair.in = static_cast<int>(named.tensor.size(1));
    pair.out = static_cast<int>(b.size(0));
    pair.a = values_of(named.tensor);
    pair.b = values_of(b);
  }
  return adapter;
}

Status Weights::freeze(const std::vector<std::string>& patterns) {
  std::vector<bool> learned;
  for (const NamedTensor& named : tensors_) learned.push_back(named.tensor.requires_grad());
  for (const std::string& pattern : patterns) {
    bool any = false, any_learned = false;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (::fnmatch(pattern.c_str(), tensors_[i].name.c_str(), 0) != 0) continue;
      any = true;
      any_learned = any_learned || learned[i];
      tensors_[i].tensor.requires_grad_(false);
    }
    if (any && !any_learned) {
      return invalid_argument(
          fmt::format("'{}' matches only weights that an adapter already freezes", pattern));
    }
    if (!any) {
      return invalid_argument(fmt::format("'{}' matches no weight; their names are like {} and {}",
                                          pattern, tensors_.front().name,
                                          tensors_[std::min<size_t>(2, tensors_.size() - 1)].name));
    }
  }
  if (trained_parameters() == 0)
    return invalid_argument("every weight is frozen, so nothing can be trained");
  return ok_status();
}

int64_t Weights::trained_parameters() const {
  int64_t count = 0;
  for (const NamedTensor& named : tensors_)
    count += named.tensor.requires_grad() ? named.tensor.numel() : 0;
  return count;
}

}  // namespace longshot::model
