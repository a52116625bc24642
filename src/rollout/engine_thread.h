#pragma once
// An engine on a thread of its own: what a server or an asynchronous loop drives. Requests come and go while it
// generates; weights change between two steps and samples in flight go on under the new ones.

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

// How a sample's stay ended. `status` is ok if it ran to its own end; otherwise sample.finish is `aborted`, the tokens
// so far are there, and the code is timeout (its deadline passed), cancelled (aborted) or internal (the engine failed).
struct Outcome {
  data::Sample sample;
  Status status;
};

// One sample to generate. The callbacks run on the worker's thread between two of its steps' draws, so they must be
// quick, and must not call the worker. on_token may be null; on_finished is called exactly once, also when the worker
// is destroyed.
struct Job {
  Request request;
  Deadline deadline = Deadline::never();
  std::function<void(const Choice& choice)> on_token;
  std::function<void(Outcome outcome)> on_finished;
};

enum class PauseMode {
  keep,   // samples in flight stay and go on after resume()
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

// All functions are thread-safe. Destruction aborts what is left.
class EngineThread {
 public:
  // `engine`: idle, with its weights loaded.
  explicit EngineThread(std::unique_ptr<Engine> engine, const EngineThreadOptions& options = {});
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // Takes all the jobs or none, and returns their ids. Errors: those of Engine::add(); `exhausted` if they would
  // make more than max_running + max_waiting samples. While paused jobs are taken and wait.
  Result<std::vector<int64_t>> submit(std::vector<Job> jobs);

  // The most samples that can run and wait at a time.
  int max_samples() const { return max_samples_; }

  // Ends a sample at the latest when the step being computed is done; nothing if it has ended. `reason` becomes the
  // outcome's message.
  void abort(int64_t id, const std::string& reason);
  void abort_all(const std::string& reason);

  // Both return when it is so: pause() after the step being computed.
  void pause(PauseMode mode = PauseMode::keep);
  void resume();

  // Runs `update` between two steps and returns its status; also while paused. On an error the runner must be as
  // before. Samples in flight go on with a new segment if the runner's version changed.
  Status update_weights(const std::function<Status(Runner& runner)>& update);

  EngineThreadStats stats() const;
  const RunnerLimits& limits() const { return limits_; }

 private:
  struct Entry {
    int64_t engine_id = -1;
    Deadline deadline = Deadline::never();
    std::function<void(const Choice& choice)> on_token;
    std::function<void(Outcome outcome)> on_finished;
  };
  // To be run on the worker's thread between two steps, in the order of arrival.
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

  // Of the worker's thread.
  std::unique_ptr<Engine> engine_;
  std::map<int64_t, Entry> live_;                       // by id
  std::map<int64_t, int64_t> by_engine_;                // engine's id -> id
  std::set<std::pair<Deadline, int64_t>> by_deadline_;  // of the entries of live_
  EngineThreadStats totals_;

  const RunnerLimits limits_;
  const int max_samples_;
  const bool has_tokenizer_;

  mutable std::mutex mutex_;         // guards what follows
  std::condition_variable wake_;     // the worker has something to do
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
