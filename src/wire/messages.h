#pragma once
// What a coordinator and its rollout workers say to one another, as plain values. Nothing here
// depends on how it is transported; wire/worker_server.h and wire/worker_link.h do that.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "data/types.h"

namespace longshot::wire {

// A sample to generate, or to continue after its tokens.
struct Job {
  uint64_t id = 0;      // unique within a coordinator
  data::Sample sample;  // prompt_id, index, seed, prompt_tokens; tokens, logprobs, segments so far
  int max_response_length = 0;
  int segment_tokens = 0;             // most new tokens; 0 = no cap
  std::vector<data::TokenId> forced;  // see rollout::Request
};

// Coordinator -> worker.
struct Welcome {  // the first message: what the worker needs to know about the run
  Json settings;
};
struct NewWeights {  // to be loaded before any later job
  int64_t version = 0;
  Json source;  // where they are
};
struct Jobs {
  int64_t round = 0;  // number of the generate() call
  Json sampling;      // options of all its jobs
  std::vector<Job> jobs;
};
struct Drop {  // jobs whose samples nobody waits for
  std::vector<uint64_t> ids;
};
struct Release {};  // free the memory of the weights; the next NewWeights follow before any job
struct End {        // the run has ended; the worker should too
  std::string reason;
};
using ToWorker = std::variant<Welcome, NewWeights, Jobs, Drop, Release, End>;

// Worker -> coordinator.
struct Hello {  // the first message: who the worker is
  Json who;
};
struct Ready {  // the worker has loaded these weights
  int64_t version = 0;
};
// Tokens [begin, begin + tokens.size()) of the response of a job, all by the same version.
struct Piece {
  uint64_t job = 0;
  int begin = 0;
  std::vector<data::TokenId> tokens;
  std::vector<float> logprobs;  // [tokens.size()]
  int64_t version = 0;
  bool finished = false;  // the job is done; then `finish` and `text` are set
  data::FinishReason finish = data::FinishReason::partial;
  std::string text;  // Sample::text
  bool operator==(const Piece&) const = default;
};
struct JobError {  // the job cannot be executed by this worker
  uint64_t job = 0;
  std::string reason;
};
struct Report {  // sent regularly, so that silence means a fault: figures of the worker
  Json figures;
};
using FromWorker = std::variant<Hello, Ready, Piece, JobError, Report>;

}  // namespace longshot::wire
