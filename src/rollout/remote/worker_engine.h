#pragma once
// What generates the samples of a rollout worker: an engine in this process (local_engine.h), or
// servers of another engine (backend/server_engine.h).

#include <cstdint>
#include <functional>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "rollout/engine.h"
#include "wire/messages.h"

namespace longshot::rollout {

// What has become of the jobs of a WorkerEngine. Called by its advance(), on the same thread.
struct JobEvents {
  std::function<void(uint64_t job, data::TokenId token, float logprob)> token;
  // The job's sample is complete, or was cut by its segment_tokens. `text` is Sample::text.
  std::function<void(uint64_t job, data::FinishReason finish, std::string text)> ended;
  // The engine cannot execute the job, and would not the next time.
  std::function<void(uint64_t job, const std::string& reason)> refused;
};

// Used on one thread. After an error of load() or advance() only load() and drop() may be called.
class WorkerEngine {
 public:
  virtual ~WorkerEngine() = default;

  // Loads weights for the jobs that follow. `settings` are those of RemoteOptions, `source` is what
  // RemoteOptions::offer returned.
  virtual Status load(const Json& settings, int64_t version, const Json& source) = 0;
  // Frees the memory of an engine without jobs until the next load(), where that is possible.
  virtual void release() = 0;
  // Begins a job. Error: it cannot be executed; the message names what is in the way.
  virtual Status add(wire::Job job, const EngineOptions& options) = 0;
  // Ends a job without an event. Without effect if it has ended.
  virtual void drop(uint64_t job) = 0;
  // Generates, or waits a moment for tokens. Does nothing if idle. Error: the engine has failed, so
  // none of its jobs will end; unavailable if it may be there again later.
  virtual Status advance(const JobEvents& events) = 0;

  virtual int running() const = 0;
  virtual int waiting() const = 0;
  bool idle() const { return running() + waiting() == 0; }
};

}  // namespace longshot::rollout
