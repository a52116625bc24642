#include "rollout/torch/torch_runner.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "model/torch/cached_forward.h"
#include "model/torch/forward.h"
#include "model/torch/layers.h"
#include "model/weights.h"

namespace longshot::rollout {
namespace {

// Most tokens of one call into the model, to bound its activations. A single longer step runs by
// itself.
constexpr size_t kMaxTokens = 8192;

class TorchRunner : public Runner {
 public:
  TorchRunner(const RunnerLimits& limits, std::string device)
      : limits_(limits), device_(std::move(device)) {}

  Status load_weights(const model::WeightsView& view) override;
  int64_t version() const override { return version_; }
  void release() override {
    weights_.reset();
    cache_.reset();
  }
  void copy_block(int from, int to) override { model::copy_block(*cache_, from, to); }
  void forward(std::span<const SequenceStep> steps, std::span<float> logits) override;
  const model::ModelConfig& config() const override { return config_; }
  RunnerLimits limits() const override { return limits_; }
  bool batch_invariant() const override { return false; }
  int64_t kv_bytes() const override;
  int64_t weight_bytes() const override;

 private:
  Status build(const model::WeightsView& view);
  bool overwrite(const model::WeightsView& view);
  size_t run(std::span<const SequenceStep> steps, std::span<float> logits);

  RunnerLimits limits_;
  std::string device_;
  model::ModelConfig config_;
  std::optional<model::Weights> weights_;
  std::optional<model::KvCache> cache_;
  int64_t version_ = -1;
};

Status TorchRunner::build(const model::WeightsView& view) {
  LS_RETURN_IF_ERROR(model::check_device(device_));
  std::vector<model::HostTensor> host;
  for (const auto& tensor : view.tensors) {
    size_t size = 1;
    for (const int64_t d : tensor.shape) size *= static_cast<size_t>(d);
    host.push_back({tensor.name, tensor.shape, {tensor.data, tensor.data + size}});
  }
  LS_ASSIGN_OR_RETURN(model::Weights weights,
                      model::Weights::from_host(view.config, host, device_));
  weights_ = std::move(weights);
  config_ = view.config;
  cache_ = model::make_kv_cache(config_, limits_.blocks(), kBlockTokens, device_);
  return ok_status();
}

// Copies new values into the tensors of the previous load. Returns false if names or shapes differ.
bool TorchRunner::overwrite(const model::WeightsView& view) {
  if (!weights_ || weights_->tensors().size() != view.tensors.size()) return false;
  for (size_t i = 0; i < view.tensors.size(); ++i) {
    const auto& mine = weights_->tensors()[i];
    if (mine.name != view.tensors[i].name ||
        mine.tensor.sizes() != at::IntArrayRef(view.tensors[i].shape))
      return false;
  }
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < view.tensors.size(); ++i) {
    // from_blob needs a mutable pointer; it is only read.
    float* data = const_cast<float*>(view.tensors[i].data);
    weights_->tensors()[i].tensor.copy_(at::from_blob(data, view.tensors[i].shape, at::kFloat));
  }
  return true;
}

Status TorchRunner::load_weights(const model::WeightsView& view) {
  LS_RETURN_IF_ERROR(model::check_rope_length(view.config, limits_.max_sequence));
  try {
    if (!overwrite(view)) LS_RETURN_IF_ERROR(build(view));
  } catch (const c10::Error& error) {
    return internal_error("loading weights on " + device_ + ": " + error.what_without_backtrace());
  }
  version_ = view.version;
  return ok_status();
}

int64_t TorchRunner::kv_bytes() const {
  int64_t bytes = 0;
  if (!cache_) return bytes;
  for (const auto* side : {&cache_->k, &cache_->v}) {
    for (const at::Tensor& layer : *side) bytes += static_cast<int64_t>(layer.nbytes());
  }
  return bytes;
}

int64_t TorchRunner::weight_bytes() const {
  int64_t bytes = 0;
  if (!weights_) return bytes;
  for (const auto& [name, tensor] : weights_->tensors())
    bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

// Returns the number of logits written.
size_t TorchRunner::run(std::span<const SequenceStep> steps, std::span<float> logits) {
  const at::NoGradGuard no_grad;
  std::vector<model::CachedStep> cached;
  for (const SequenceStep& step : steps)
    cached.push_back({step.blocks, step.start, step.tokens, step.logits});
  const at::Tensor hidden = model::cached_hidden(*weights_, *cache_, cached);  // [wanted, hidden]
  if (hidden.size(0) == 0) return 0;
  const at::Tensor result = model::final_logits(*weights_, hidden);  // [wanted, vocab]
  const auto size = static_cast<size_t>(result.numel());
  LS_CHECK(size <= logits.size(), "logits must be [tokens that want them, vocab]");
  at::from_blob(logits.data(), result.sizes(), at::kFloat).copy_(result);
  return size;
}

void TorchRunner::forward(std::span<const SequenceStep> steps, std::span<float> logits) {
  LS_CHECK(weights_.has_value(), "forward() before load_weights()");
  try {
    for (size_t begin = 0; begin < steps.size();) {
      size_t end = begin, tokens = 0;
      while (end < steps.size() &&
             (end == begin || tokens + steps[end].tokens.size() <= kMaxTokens)) {
        tokens += steps[end++].tokens.size();
      }
      logits = logits.subspan(run(steps.subspan(begin, end - begin), logits));
      begin = end;
    }
  } catch (const c10::Error& error) {
    LS_CHECK(false,
             std::string("the device failed while generating: ") + error.what_without_backtrace());
  }
  LS_CHECK(logits.empty(), "logits must be [tokens that want them, vocab]");
}

}  // namespace

std::unique_ptr<Runner> make_torch_runner(const RunnerLimits& limits, const std::string& device) {
  return std::make_unique<TorchRunner>(limits, device);
}

}  // namespace longshot::rollout
