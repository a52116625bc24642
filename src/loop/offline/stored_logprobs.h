#pragma once
// Log-probabilities of pairs under a reference model, computed once and kept in a file of the run
// folder. The file begins with a line of JSON (what they belong to, how many there are, and a
// checksum of all), followed by two doubles for each pair: the chosen and the rejected
// response's.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "train/preference/pair_passes.h"

namespace longshot::loop {

// What the log-probabilities depend on.
struct LogprobKey {
  Json model = Json::object();  // fingerprints by configuration key, and settings of the passes
  uint64_t rows = 0;            // checksum_of() the pairs
  bool operator==(const LogprobKey&) const = default;
};

// A checksum of all tokens and masks in their order.
uint64_t checksum_of(const std::vector<train::PairSequences>& pairs);

struct StoredLogprobsOptions {
  std::string path;
  LogprobKey key;
  std::string what;  // "reference log-probabilities of the training pairs", for progress and errors
  // The run continues from a checkpoint: a file of another model or other rows is an error, which
  // leaves it unchanged. Otherwise such a file is replaced.
  bool continued = false;
  int64_t chunk_tokens = 4096;  // tokens computed together
  // Between writes of the file; longer where a write takes more than 0.1 s. 0: after every chunk.
  double save_seconds = 2;
};

using ComputeLogprobs = std::function<Result<std::vector<train::PairLogprobs>>(
    const std::vector<train::PairSequences>& pairs)>;

// Returns the log-probabilities of all pairs. Those that the file has are read; `compute` is called
// for the others, in chunks whose borders depend only on the pairs, and the file is written
// atomically now and then, and at the end. After kill -9 the same call therefore gives the same
// bytes. On Ctrl-C what is computed is written and the result is `cancelled`. A member of key.model
// that is missing on either side is not compared. Errors: the file is damaged (`corrupt`), or it
// belongs to another model or other rows.
Result<std::vector<train::PairLogprobs>> stored_logprobs(
    const std::vector<train::PairSequences>& pairs, const StoredLogprobsOptions& options,
    const ComputeLogprobs& compute);

}  // namespace longshot::loop
