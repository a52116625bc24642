// What a pass draws: guesses and forced tokens that are fed with it, and the tokens that it gives.
#include <fmt/core.h>

#include <algorithm>

#include "base/os/run_limits.h"
#include "base/rng.h"
#include "rollout/engine.h"

namespace longshot::rollout {
namespace {

// Most guesses of one sample in one pass: longer drafts gain little even if all guesses are right.
constexpr int kMaxDrafts = 16;
// Most forced tokens of one sample in one pass. Each needs a row of logits, so this bounds memory.
constexpr size_t kMaxForced = 128;

}  // namespace

// Drafts the forced tokens of the sequences that are about to decode.
void Engine::draft_forced() {
  if (forced_left_ == 0) return;
  for (const int64_t id : scheduler_.decoding()) {
    const LiveSample& live = live_.at(id);
    const size_t done = live.request.sample.tokens.size();
    if (done >= live.forced()) continue;
    // The last token of the response is drawn but not fed.
    const bool ends = live.after_forced.max_response_length == 0;
    const size_t count = std::min(live.forced() - done - (ends ? 1 : 0), kMaxForced);
    if (count > 0) scheduler_.draft(id, std::span(live.request.forced).subspan(done, count));
  }
}

// Drafts guesses for the sequences that are about to decode.
void Engine::draft() {
  if (drafter_ == nullptr) drafter_ = std::make_unique<Drafter>();
  const std::vector<int64_t> ids = scheduler_.decoding();
  const double overhead = runner_->overhead_rows(), count = static_cast<double>(ids.size());
  std::vector<Draft> drafts;
  for (const int64_t id : ids) {
    const LiveSample& live = live_.at(id);
    const data::Sample& sample = live.request.sample;
    if (sample.tokens.size() < live.forced()) {
      drafts.emplace_back();
      continue;
    }
    const auto text = scheduler_.tokens(id);
    drafter_->follow(id, live.prompt_key, text, static_cast<int>(sample.prompt_tokens.size()));
    // The last token of a response of maximum length is drawn but not fed.
    const int room =
        live.request.sampling.max_response_length - static_cast<int>(sample.tokens.size()) - 1;
    drafts.push_back(
        drafter_->propose(id, text, std::min(room, kMaxDrafts), count / (count + overhead)));
  }
  keep_worthwhile(drafts, overhead);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!drafts[i].tokens.empty()) scheduler_.draft(ids[i], drafts[i].tokens);
  }
}

// Picks the token that follows the response and `ahead` more tokens, from a row of logits_.
Choice Engine::pick(const LiveSample& live, size_t ahead, size_t row, Sampler& sampler) const {
  const data::Sample& sample = live.request.sample;
  const size_t vocab = runner_->config().vocab_size, position = sample.tokens.size() + ahead;
  const auto logits = std::span(logits_).subspan(row * vocab, vocab);
  if (position < live.forced())
    return sampler.score(logits, live.request.forced[position], live.request.sampling.top_logprobs);
  const double uniform = sampling_uniform(sample.seed, live.prompt_key, sample.index,
                                          static_cast<uint32_t>(position - live.forced()));
  return sampler.pick(logits, uniform, live.request.sampling);
}

// Picks the tokens of each draw: one more than it has guesses, or up to the first token that
// differs from its guess. The draws are divided into one chunk per thread; a choice depends only on
// its own row.
Status Engine::draw(std::span<const Draw> draws, std::vector<std::vector<Choice>>& choices) {
  const size_t count = draws.size(), chunks = std::min(samplers_.size(), count);
  choices.resize(count);
  const auto chunk = [&](int c) {
    for (size_t i = count * c / chunks; i < count * (c + 1) / chunks; ++i) {
      const auto& [feed, row] = draws[i];
      const auto guesses = scheduler_.fed(feed).last(feed.drafts);
      for (size_t k = 0; k <= guesses.size(); ++k) {
        choices[i].push_back(pick(live_.at(feed.id), k, row + k, samplers_[c]));
        if (k == guesses.size() || choices[i].back().token != guesses[k]) break;
      }
    }
  };
  constexpr size_t kWorthAThread = 16384;  // logits
  if (count * runner_->config().vocab_size < kWorthAThread) {
    for (size_t c = 0; c < chunks; ++c) chunk(static_cast<int>(c));
  } else {
    pool_.parallel_for(static_cast<int>(chunks), chunk);
  }
  for (size_t i = 0; i < count; ++i) {
    if (choices[i].back().token >= 0) continue;
    return internal_error(fmt::format("the model's logits for prompt '{}' {}",
                                      live_.at(draws[i].feed.id).request.sample.prompt_id,
                                      run_limits::kBrokenWords));
  }
  return ok_status();
}

}  // namespace longshot::rollout
