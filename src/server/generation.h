#pragma once
// One request's samples on their way through the worker, seen from the thread that answers it.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/status.h"
#include "net/connection.h"
#include "rollout/engine_thread.h"
#include "server/context.h"
#include "server/params.h"

namespace longshot::server {

// Something happened to choice `choice` (prompt * n + sample): a token, or its end.
struct Event {
  int choice = 0;
  rollout::Choice token;
  std::optional<rollout::Outcome> end;
};

// Used by one thread; the worker feeds it from its own.
class Generation {
 public:
  // Submits all samples, or none and an error. Random numbers are keyed by the prompt's content, the sample's number
  // and the seed, as in `longshot generate`. Without `with_tokens` there are no token events.
  static Result<std::unique_ptr<Generation>> start(const Context& context,
                                                   const GenerateParams& params, bool with_tokens);
  ~Generation();  // aborts what has not ended

  int choices() const { return static_cast<int>(ids_.size()); }

  // The next event, waiting for it. Nothing if all have ended, or if the client went away, which aborts the rest.
  std::optional<Event> next(const net::Connection& connection);
  bool abandoned() const { return abandoned_; }

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<Event> events;
    void push(Event event);
    std::optional<Event> pop(double seconds);
  };

  explicit Generation(rollout::EngineThread& worker) : worker_(worker) {}
  rollout::Job job(const Context& context, const GenerateParams& params, int choice,
                   bool with_tokens) const;
  void abort(const std::string& reason);

  rollout::EngineThread& worker_;
  std::shared_ptr<Queue> queue_ =
      std::make_shared<Queue>();  // also the callbacks', which may outlive this
  std::vector<int64_t> ids_;      // by choice
  int ended_ = 0;
  bool abandoned_ = false;
};

}  // namespace longshot::server
