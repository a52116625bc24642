#pragma once
// Samples of a model in this process.

#include <memory>

#include "curate/samples/sample_source.h"
#include "rollout/engine_thread.h"

namespace longshot::curate {

struct ModelSourceOptions {
  rollout::SamplingOptions sampling;
  uint64_t seed = 0;
};

// Prompts must be tokenized. A response is a pure function of (seed, prompt id, index): the same
// alone, in any batch and after an interruption. At most max_samples() of the engine may be asked
// for at a time.
std::unique_ptr<SampleSource> make_model_source(std::unique_ptr<rollout::EngineThread> engine,
                                                const ModelSourceOptions& options);

}  // namespace longshot::curate
