#pragma once
// Tells whether two machines compute the same bits.

#include <string>

#include "base/status.h"
#include "inference/open_model.h"

namespace longshot::inference {

// Generates a few samples with a fixed small random model, in the formats of `choice`, and returns
// the formats and a checksum of the tokens and log-probabilities. Machines with equal fingerprints
// generate the same samples; it takes some milliseconds. A device whose results depend on the batch
// has a fingerprint too, but equal ones then promise nothing.
Result<std::string> fingerprint(const EngineChoice& choice);

}  // namespace longshot::inference
