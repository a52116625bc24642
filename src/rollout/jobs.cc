#include "rollout/jobs.h"

#include <fmt/core.h>

#include "base/rng.h"

namespace longshot::rollout {

std::vector<data::Sample> make_jobs(const std::vector<data::Draw>& draws, int n) {
  std::vector<data::Sample> jobs;
  jobs.reserve(draws.size() * static_cast<size_t>(n));
  for (const data::Draw& draw : draws) {
    for (int i = 0; i < n; ++i) {
      data::Sample& job = jobs.emplace_back();
      job.prompt_id = draw.prompt.id;
      job.index = static_cast<uint32_t>(i);
      job.seed = draw.seed;
      job.prompt_tokens = draw.prompt.tokens;
      job.finish = data::FinishReason::partial;
    }
  }
  return jobs;
}

std::string content_id(std::span<const data::TokenId> prompt) {
  const auto* bytes = reinterpret_cast<const char*>(prompt.data());
  return fmt::format("{:016x}", hash64({bytes, prompt.size_bytes()}));
}

}  // namespace longshot::rollout
