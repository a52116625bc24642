#include "rollout/sampling/stop_rules.h"

#include <algorithm>

namespace longshot::rollout {

StopRules::StopRules(const SamplingOptions& sampling, const RepetitionOptions& repetition,
                     const tokenizer::Tokenizer* tokenizer)
    : sampling_(&sampling), tokenizer_(tokenizer), repetition_(repetition) {
  for (const std::string& s : sampling.stop_strings)
    longest_stop_ = std::max(longest_stop_, s.size());
}

bool StopRules::completes_stop_string(data::TokenId token) {
  if (longest_stop_ == 0 || tokenizer_->is_special(token)) return false;
  tail_ += tokenizer_->token_bytes(token);
  for (const std::string& s : sampling_->stop_strings) {
    if (tail_.find(s) != std::string::npos) return true;
  }
  if (tail_.size() >= longest_stop_) tail_.erase(0, tail_.size() - (longest_stop_ - 1));
  return false;
}

std::optional<data::FinishReason> StopRules::update(std::span<const data::TokenId> tokens) {
  const data::TokenId token = tokens.back();
  const bool loop = repetition_.update(tokens);
  const auto& stops = sampling_->stop_tokens;
  if (completes_stop_string(token) || std::find(stops.begin(), stops.end(), token) != stops.end()) {
    return data::FinishReason::stop;
  }
  if (loop) return data::FinishReason::repetition;
  if (static_cast<int>(tokens.size()) >= sampling_->max_response_length)
    return data::FinishReason::length;
  return std::nullopt;
}

std::string response_text(const tokenizer::Tokenizer& tokenizer,
                          std::span<const data::TokenId> tokens,
                          const std::vector<std::string>& stop_strings) {
  std::string text = tokenizer.decode(tokens);
  size_t cut = text.size();
  for (const std::string& s : stop_strings) cut = std::min(cut, text.find(s));
  text.resize(cut);
  return text;
}

}  // namespace longshot::rollout
