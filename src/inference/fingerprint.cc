#include "inference/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cmath>

#include "base/rng.h"
#include "model/format/hf_weights.h"
#include "rollout/jobs.h"

namespace longshot::inference {
namespace {

constexpr int kThreads = 1, kPrompts = 4, kTokens = 24;
constexpr uint64_t kSeed = 20250122;

// Sizes that are not multiples of any vector's width, so that every kernel computes its tail.
model::ModelConfig config() {
  model::ModelConfig c;
  c.model_type = "qwen2";
  c.vocab_size = 197;
  c.hidden_size = 72;
  c.intermediate_size = 100;
  c.num_layers = 2;
  c.num_heads = 6;
  c.num_kv_heads = 2;
  c.head_dim = 12;
  c.max_position_embeddings = 128;
  c.qkv_bias = true;
  return c;
}

// Uniform weights, a function of the tensor's name only.
std::vector<model::HostTensor> weights(const model::ModelConfig& config) {
  std::vector<model::HostTensor> out;
  for (const model::WeightSpec& spec : model::expected_weights(config)) {
    model::HostTensor tensor{spec.name, spec.shape, {}};
    size_t count = 1;
    for (const int64_t extent : spec.shape) count *= static_cast<size_t>(extent);
    const bool matrix = spec.shape.size() == 2;
    const double scale = matrix ? 6 / std::sqrt(static_cast<double>(spec.shape[1])) : 0.5;
    CounterRng rng(hash_combine(kSeed, hash64(spec.name)));
    for (size_t i = 0; i < count; ++i)
      tensor.data.push_back(
          static_cast<float>((matrix ? 0.0 : 1.0) + scale * (rng.next_double() - 0.5)));
    out.push_back(std::move(tensor));
  }
  return out;
}

std::vector<data::Sample> jobs() {
  std::vector<data::Draw> draws;
  for (int p = 0; p < kPrompts; ++p) {
    data::Prompt prompt;
    prompt.id = std::to_string(p);
    for (int i = 0; i < 5 + 13 * p; ++i) prompt.tokens.push_back((31 * i + 7 * p) % 197);
    draws.push_back({std::move(prompt), kSeed});
  }
  return rollout::make_jobs(draws, 2);
}

uint64_t checksum(const std::vector<data::Sample>& samples) {
  uint64_t sum = 0;
  for (const data::Sample& s : samples) {
    sum = XXH3_64bits_withSeed(s.tokens.data(), s.tokens.size() * sizeof(s.tokens[0]), sum);
    sum = XXH3_64bits_withSeed(s.logprobs.data(), s.logprobs.size() * sizeof(s.logprobs[0]), sum);
  }
  return sum;
}

}  // namespace

Result<std::string> fingerprint(const EngineChoice& choice) {
  model::WeightsView view;
  view.config = config();
  const auto tensors = weights(view.config);
  for (const auto& tensor : tensors)
    view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  rollout::RunnerLimits limits;
  limits.max_running = 2 * kPrompts;
  limits.max_sequence = 128;
  LS_ASSIGN_OR_RETURN(auto runner, make_runner(choice, limits, kThreads));
  LS_RETURN_IF_ERROR(runner->load_weights(view));
  rollout::Engine engine(std::move(runner), nullptr);
  rollout::EngineOptions options;
  options.sampling.max_response_length = kTokens;
  options.repetition.enabled = false;
  LS_ASSIGN_OR_RETURN(const auto samples, engine.generate(jobs(), options));
  return fmt::format("{}-{}-{:016x}", name_of(choice.dtype), name_of(choice.kv_dtype),
                     checksum(samples));
}

}  // namespace longshot::inference
