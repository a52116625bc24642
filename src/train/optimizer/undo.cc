#include "train/optimizer/undo.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "base/os/machine.h"

namespace longshot::train {
namespace {

std::vector<at::Tensor> changed_by_update(const model::Weights& weights, const AdamW& optimizer,
                                          bool moments) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : weights.tensors())
    if (tensor.requires_grad()) tensors.push_back(tensor);
  if (!moments) return tensors;
  for (const at::Tensor& moment : optimizer.moment_tensors()) tensors.push_back(moment);
  return tensors;
}

}  // namespace

bool Undo::fits(const std::vector<at::Tensor>& sources) const {
  if (copies_.size() == sources.size()) return true;
  size_t bytes = 0;
  for (const at::Tensor& source : sources) bytes += source.nbytes();
  return bytes <= usable_memory(inspect_machine()) / 4;
}

void Undo::take(const model::Weights& weights, const AdamW& optimizer, bool moments) {
  const at::NoGradGuard no_grad;
  const auto sources = changed_by_update(weights, optimizer, moments);
  if (!fits(sources)) return copies_.clear();
  if (copies_.size() != sources.size()) {
    copies_.clear();
    for (const at::Tensor& source : sources)
      copies_.push_back(at::empty(source.sizes(), source.options().device(at::kCPU)));
  }
  for (size_t i = 0; i < sources.size(); ++i) copies_[i].copy_(sources[i]);
  counters_ = optimizer.counters();
  moments_ = moments;
}

void Undo::restore(model::Weights& weights, AdamW& optimizer) const {
  if (copies_.empty()) return;
  const at::NoGradGuard no_grad;
  weights.zero_grad();
  auto targets = changed_by_update(weights, optimizer, moments_);
  for (size_t i = 0; i < targets.size(); ++i) targets[i].copy_(copies_[i]);
  optimizer.take_back(counters_, /*clear_moments=*/!moments_);
}

}  // namespace longshot::train
