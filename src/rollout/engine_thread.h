#pragma once
// An engine on a thread of its own, for a server or an asynchronous loop. Requests can be added and
// aborted while it generates. Weights change between two steps, and samples in flight continue with
// the new ones.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"
#include "data/types.h"
#include "rollout/engine.h"

namespace longshot::rollout {

// How a sample ended. `status` is ok if it ended by itself. Otherwise sample.finish is `aborted`,
// the sample has its tokens so far, and the code is timeout (its deadline passed), cancelled
// (aborted), internal (the engine failed) or invalid_argument (new weights are of a model that the
// request does not fit).
struct Outcome {
  data::Sample sample;
  Status status;
};

// One sample to generate. The callbacks run on the engine thread, during and between its steps, so
// they must be quick and must not call the EngineThread. on_token may be null; on_finished is
// called exactly once, also when the EngineThread is destroyed.
struct Job {
  Request request;
  Deadline deadline = Deadline::never();
  std::function<void(const Choice& choice)> on_token;
  std::function<void(Outcome outcome)> on_finished;
};

enum class PauseMode {
  keep,   // samples in flight stay and continue after resume()
  abort,  // they end as aborted
};

struct EngineThreadOptions {
  int max_waiting = 256;  // samples beyond those that run at once (the runner's max_running)
};

// A snapshot; totals since construction.
struct EngineThreadStats {
  int running = 0;  // in the last step's batch, or to be in the next one
  int waiting = 0;
  bool paused = false;
  int64_t version = 0;  // of the weights
  int64_t generated_tokens = 0, steps = 0, finished = 0, aborted = 0;
  double busy_seconds = 0, idle_seconds = 0;  // in steps; without work or paused
  int kv_blocks = 0, kv_blocks_in_use = 0;
};

// All functions are thread-safe. Destruction aborts the samples that are left.
class EngineThread {
 public:
  // `engine`: idle, with its weights loaded.
  explicit EngineThread(std::unique_ptr<Engine> engine, const EngineThreadOptions& options = {});
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // Accepts all the jobs or none, and returns their ids. Error: those of Engine::add(); `exhausted`
  // if there would be more than max_running + max_waiting samples. While paused, jobs are accepted
  // and wait.
  Result<std::vector<int64_t>> submit(std::vector<Job> jobs);

  // The most samples that can run and wait at a time.
  int max_samples() const { return max_samples_; }

  // Ends a sample, at the latest when the current step is done; does nothing if it has ended
  // already. `reason` becomes the outcome's message.
  void abort(int64_t id, const std::string& reason);
  void abort_all(const std::string& reason);

  // Both block until the state has changed; pause() waits for the current step.
  void pause(PauseMode mode = PauseMode::keep);
  void resume();

  // Runs `update` between two steps, also while paused, and returns its status. On an error
  // `update` must leave the runner as it was. Samples in flight continue, with a new segment if the
  // runner's version changed.
  Status update_weights(const std::function<Status(Runner& runner)>& update);

  // Prepares an adapter between two steps, for Request::adapter. Error: see
  // Runner::prepare_adapter().
  Result<std::shared_ptr<const RunnerAdapter>> prepare_adapter(const model::Adapter& adapter);

  EngineThreadStats stats() const;
  const RunnerLimits& limits() const { return limits_; }

 private:
  struct Entry {
    int64_t engine_id = -1;
    Deadline deadline = Deadline::never();
    std::function<void(const Choice& choice)> on_token;
    std::function<void(Outcome outcome)> on_finished;
  };
  // Runs on the engine thread between two steps, in the order of arrival.
  using Command = std::function<void()>;

  void post(Command command);
  void call(const Command& command);  // post() and wait until it has run
  void work();
  void sleep(std::unique_lock<std::mutex>& lock);
  void start(int64_t id, Job job);
  void step();
  void end(int64_t id, Outcome outcome);
  void abort_now(int64_t id, const Status& why);
  void abort_expired();
  void abort_live(const Status& why);
  void publish_stats();

  // Used only by the engine thread.
  std::unique_ptr<Engine> engine_;
  std::map<int64_t, Entry> live_;                       // by id
  std::map<int64_t, int64_t> by_engine_;                // engine's id -> id
  std::set<std::pair<Deadline, int64_t>> by_deadline_;  // of the entries of live_
  EngineThreadStats totals_;

  const RunnerLimits limits_;
  const int max_samples_;
  const bool has_tokenizer_;

  mutable std::mutex mutex_;         // guards the members below
  std::condition_variable wake_;     // the engine thread has something to do
  std::condition_variable settled_;  // a call() is done
  std::vector<Command> commands_;
  EngineThreadStats stats_;
  int vocab_size_ = 0;
  int samples_ = 0;  // submitted and not ended
  int64_t next_id_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace longshot::rollout
