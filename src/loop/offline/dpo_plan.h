#pragma once
// What a run of preference optimization will cost, for --dry-run.

#include <string>
#include <vector>

#include "base/status.h"
#include "train/options.h"
#include "train/preference/dpo_trainer.h"

namespace longshot::loop {

struct DpoWorkload {
  std::vector<train::PairSequences> sample;  // the run's pairs, or the first of them
  std::string device;
  double tokens = 0;            // of all steps, prompts counted once; 0: not known
  double reference_tokens = 0;  // whose reference log-probabilities are computed
  bool second_model = false;    // the reference is a second copy of the weights
};

// Lines about memory (from the loaded model and the longest passes) and time (from a trial that
// computes log-probabilities of some pairs and changes nothing; the time of the optimizer's own
// arithmetic is not included).
std::vector<std::string> plan_dpo(const DpoWorkload& work, const train::BatchOptions& batch,
                                  train::DpoTrainer& trainer);

}  // namespace longshot::loop
