#include "model/pass.h"

#include <algorithm>

namespace longshot::model {

double PackedBatch::pairs(const ModelConfig& config) const {
  const auto up_to = [](int64_t length) { return length * (length + 1) / 2; };
  int64_t all = 0, within = 0;  // in layers without and with a window
  for (int64_t s = 0; s < sequences(); ++s) {
    const int prompt = prompt_of(s);
    const int64_t before = prompt < 0 ? 0 : boundaries[prompt + 1] - boundaries[prompt];
    const int64_t end = before + boundaries[s + 1] - boundaries[s];
    const int64_t window = config.sliding_window > 0 ? config.sliding_window : end;
    // Each of the first `window` tokens of a sequence sees all tokens before it; each later one
    // sees `window` tokens.
    const auto seen = [&](int64_t length) {
      return up_to(std::min(length, window)) + std::max<int64_t>(0, length - window) * window;
    };
    all += up_to(end) - up_to(before);
    within += seen(end) - seen(before);
  }
  const auto sliding = std::ranges::count(config.sliding_layers, true);
  return (static_cast<double>(all) * static_cast<double>(config.num_layers - sliding) +
          static_cast<double>(within) * static_cast<double>(sliding)) /
         config.num_layers;
}

void PackedBatch::append(std::span<const int32_t> sequence, int prompt) {
  if (boundaries.empty()) boundaries.push_back(0);
  const int64_t before = prompt < 0 ? 0 : boundaries[prompt + 1] - boundaries[prompt];
  for (size_t i = 0; i < sequence.size(); ++i) {
    tokens.push_back(sequence[i]);
    positions.push_back(static_cast<int32_t>(before + static_cast<int64_t>(i)));
  }
  boundaries.push_back(total());
  prompts.push_back(prompt);
}

}  // namespace longshot::model
