#pragma once
// How often a model solved each prompt, from files of judged samples.

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "curate/samples/judged_prompt.h"

namespace longshot::curate {

struct PassRate {
  uint32_t judged = 0;  // samples with a verdict; failures of the judge do not count
  uint32_t correct = 0;
  double rate() const { return judged == 0 ? 0 : static_cast<double>(correct) / judged; }
};

// By the hash of the prompt's id. Memory: about 40 bytes a prompt.
using PassRates = std::unordered_map<uint64_t, PassRate>;

// Of the samples with index < most; 0: of all.
PassRate pass_rate(const JudgedPrompt& prompt, int most);

// Reads samples.jsonl files row by row. Errors name the file and the line.
Status for_each_judged(const std::vector<std::string>& files,
                       const std::function<Status(JudgedPrompt&& prompt)>& use);
Result<PassRates> read_pass_rates(const std::vector<std::string>& files, int most);

// How to ask a model. `chain_of_thought` false: for the answer alone.
struct TryOptions {
  int samples = 10;
  double temperature = 1;
  bool chain_of_thought = true;
  int max_tokens = 2048;
  std::string folder;  // for a journal from which the same call continues
};

// Samples prompts with a model and judges the samples: the mechanism of `longshot sample`.
using AskAndJudge = std::function<Result<std::vector<JudgedPrompt>>(
    const std::vector<data::Prompt>& prompts, const TryOptions& options)>;

}  // namespace longshot::curate
