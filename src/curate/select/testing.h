#pragma once
// Judged prompts for tests.

#include <string>
#include <vector>

#include "curate/samples/judged_prompt.h"

namespace longshot::curate {

// A sample that stopped by itself, with a verdict.
inline JudgedSample judged(bool correct, int64_t tokens, const std::string& response) {
  JudgedSample sample;
  sample.response = response;
  sample.tokens = tokens;
  sample.finish = "stop";
  sample.score = correct ? 1 : 0;
  sample.correct = correct;
  return sample;
}

inline JudgedPrompt prompt_of(std::vector<JudgedSample> samples) {
  JudgedPrompt prompt;
  prompt.id = "p";
  prompt.data_source = "d";
  prompt.messages = {{"user", "2 + 2?"}};
  for (size_t i = 0; i < samples.size(); ++i) samples[i].index = static_cast<uint32_t>(i);
  prompt.samples = std::move(samples);
  return prompt;
}

}  // namespace longshot::curate
