#include "model/weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::model {
namespace {

constexpr double kInitStd = 0.02;

bool ends_with(const std::string& text, std::string_view ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

std::string shape_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

at::Tensor empty_host(const std::vector<int64_t>& shape) {
  return at::empty(shape, at::TensorOptions().dtype(at::kFloat));
}

// A leaf on `device`. The host tensor is given away; on a CPU it becomes the leaf itself.
at::Tensor make_leaf(const at::Tensor& host, const std::string& device) {
  at::NoGradGuard no_grad;
  return host.to(at::Device(device)).requires_grad_(true);
}

// The kind of a weight is visible in its Hugging Face name.
void fill_random(const ModelConfig& config, uint64_t seed, const std::string& name,
                 at::Tensor& host) {
  if (ends_with(name, ".bias")) {
    host.zero_();
    return;
  }
  if (ends_with(name, "norm.weight")) {
    host.fill_(config.facts.norm_plus_one ? 0.0 : 1.0);
    return;
  }
  const bool residual = ends_with(name, "o_proj.weight") || ends_with(name, "down_proj.weight") ||
                        ends_with(name, ".w2.weight");
  const double std = residual ? kInitStd / std::sqrt(2.0 * config.num_layers) : kInitStd;
  CounterRng rng(hash_combine(seed, hash64(name)));
  float* data = host.mutable_data_ptr<float>();
  const int64_t count = host.numel();
  for (int64_t i = 0; i < count; ++i) data[i] = static_cast<float>(std * rng.next_normal());
}

Status check_tensor(const WeightSpec& spec, const HostTensor& tensor) {
  if (tensor.name != spec.name) {
    return invalid_argument("weight '" + spec.name + "' is missing (found '" + tensor.name +
                            "' in its place)");
  }
  int64_t count = 1;
  for (int64_t size : spec.shape) count *= size;
  if (tensor.shape != spec.shape || static_cast<int64_t>(tensor.data.size()) != count) {
    return invalid_argument("weight '" + spec.name + "' has shape " + shape_string(tensor.shape) +
                            " with " + std::to_string(tensor.data.size()) +
                            " values; the architecture needs " + shape_string(spec.shape));
  }
  return ok_status();
}

}  // namespace

Status check_device(const std::string& device) {
  try {
    const at::Device wanted(device);
    if (!c10::impl::hasDeviceGuardImpl(wanted.type())) {
      return invalid_argument(
          fmt::format("device '{}' cannot be used: this libtorch is built without it; "
                      "docs/troubleshooting.md, \"CUDA\", says how to get one",
                      device));
    }
    const auto* implementation = c10::impl::getDeviceGuardImpl(wanted.type());
    if (std::max<int>(wanted.index(), 0) >= implementation->deviceCount()) {
      return invalid_argument(fmt::format("device '{}' cannot be used: this machine has {} of it",
                                          device, implementation->deviceCount()));
    }
    at::empty({1}, at::TensorOptions().dtype(at::kFloat).device(at::Device(device))).zero_();
    return ok_status();
  } catch (const std::exception& error) {
    const std::string what = error.what();
    return invalid_argument("device '" + device +
                            "' cannot be used: " + what.substr(0, what.find('\n')));
  }
}

Weights::Weights(ModelConfig config, std::vector<NamedTensor> tensors)
    : config_(std::move(config)) {
  for (NamedTensor& named : tensors) add(named.name, std::move(named.tensor));
}

void Weights::add(const std::string& name, at::Tensor tensor) {
  LS_CHECK(!tensor.is_inference(), "weights made inside InferenceMode cannot be trained");
  index_[name] = tensors_.size();
  tensors_.push_back({name, std::move(tensor)});
}

Result<Weights> Weights::from_host(const ModelConfig& config,
                                   const std::vector<HostTensor>& tensors,
                                   const std::string& device) {
  LS_RETURN_IF_ERROR(check_device(device));
  const std::vector<WeightSpec> specs = expected_weights(config);
  if (specs.size() != tensors.size()) {
    return invalid_argument("the architecture has " + std::to_string(specs.size()) +
                            " weights, the file gave " + std::to_string(tensors.size()));
  }
  c10::InferenceMode normal_mode(false);
  std::vector<NamedTensor> named;
  for (size_t i = 0; i < specs.size(); ++i) {
    LS_RETURN_IF_ERROR(check_tensor(specs[i], tensors[i]));
    at::Tensor host = empty_host(specs[i].shape);
    std::memcpy(host.mutable_data_ptr<float>(), tensors[i].data.data(),
                tensors[i].data.size() * sizeof(float));
    named.push_back({specs[i].name, make_leaf(host, device)});
  }
  return Weights(config, std::move(named));
}

Weights Weights::random(const ModelConfig& config, uint64_t seed, const std::string& device) {
  c10::InferenceMode normal_mode(false);
  std::vector<NamedTensor> named;
  for (const WeightSpec& spec : expected_weights(config)) {
    at::Tensor host = empty_host(spec.shape);
    fill_random(config, seed, spec.name, host);
    named.push_back({spec.name, make_leaf(host, device)});
  }
  return Weights(config, std::move(named));
}

const at::Tensor& Weights::at(const std::string& name) const {
  const auto found = index_.find(name);
  LS_CHECK(found != index_.end(), "the model has no weight '" + name + "'");
  return tensors_[found->second].tensor;
}

const at::Tensor* Weights::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second].tensor;
}

at::Tensor& Weights::at(const std::string& name) {
  return const_cast<at::Tensor&>(std::as_const(*this).at(name));
}

at::Device Weights::device() const {
  return tensors_.front().tensor.device();
}

Weights Weights::base() const {
  std::vector<NamedTensor> shared(
      tensors_.begin(), tensors_.begin() + static_cast<long>(expected_weights(config_).size()));
  Weights out(config_, std::move(shared));
  out.bf16_products_ = bf16_products_;
  return out;
}

Weights Weights::clone() const {
  c10::InferenceMode normal_mode(false);
  std::vector<NamedTensor> copies;
  for (const NamedTensor& named : tensors_) {
    at::Tensor copy = named.tensor.detach().clone();
    copies.push_back({named.name, copy.requires_grad_(named.tensor.requires_grad())});
  }
  Weights out(config_, std::move(copies));
  out.lora_ = lora_;
  out.adapter_lora_ = adapter_lora_;
  out.module_lora_ = module_lora_;
  out.bf16_products_ = bf16_products_;
  return out;
}

void Weights::zero_grad() {
  for (NamedTensor& named : tensors_) named.tensor.mutable_grad() = at::Tensor();
}

at::Tensor Weights::merged(const NamedTensor& named) const {
  const std::string module = named.name.substr(0, named.name.rfind('.'));
  const at::Tensor* a =
      ends_with(named.name, ".weight") ? find(module + ".lora_A.weight") : nullptr;
  const at::Tensor value = named.tensor.detach();
  if (a == nullptr) return value.to(at::kCPU).contiguous();
  const at::Tensor& b = at(module + ".lora_B.weight");
  return at::addmm(value, b.detach(), a->detach(), 1.0, lora(module).scale())
      .to(at::kCPU)
      .contiguous();
}

WeightsView Weights::view(int64_t version, std::vector<at::Tensor>& host_copy) const {
  at::NoGradGuard no_grad;
  host_copy.clear();
  WeightsView view{config_, version, {}};
  const size_t count = expected_weights(config_).size();
  for (size_t i = 0; i < count; ++i) {
    const NamedTensor& named = tensors_[i];
    const at::Tensor host = merged(named);
    if (!host.is_alias_of(named.tensor)) host_copy.push_back(host);
    view.tensors.push_back({named.name, host.sizes().vec(), host.const_data_ptr<float>()});
  }
  return view;
}

WeightsView Weights::lazy_view(int64_t version) const {
  WeightsView view{config_, version, {}};
  const auto present = std::make_shared<at::Tensor>();
  const size_t count = expected_weights(config_).size();
  for (size_t i = 0; i < count; ++i) {
    const auto load = [this, i, present] {
      const at::NoGradGuard no_grad;
      *present = at::Tensor();  // frees the previous tensor first
      *present = merged(tensors_[i]);
      return present->const_data_ptr<float>();
    };
    view.tensors.push_back({tensors_[i].name, tensors_[i].tensor.sizes().vec(), nullptr, load});
  }
  return view;
}

}  // namespace longshot::model
