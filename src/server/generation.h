#pragma once
// The samples of one request while the engine thread generates them, as seen from the thread that
// answers the request.

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

// An event of choice `choice` (prompt * n + sample): a token, or its end.
struct Event {
  int choice = 0;
  rollout::Choice token;
  std::optional<rollout::Outcome> end;
};

// For use by one thread; the engine thread delivers its events.
class Generation {
 public:
  // Submits all samples, or none and returns an error. Random numbers are keyed by the prompt's
  // content, the sample's number and the seed, as in `longshot generate`. Without `with_tokens`
  // there are no token events.
  static Result<std::unique_ptr<Generation>> start(const Context& context,
                                                   const GenerateParams& params, bool with_tokens);
  ~Generation();  // aborts the samples that have not ended

  int choices() const { return static_cast<int>(ids_.size()); }

  // Waits for the next event. Returns nothing if all samples have ended, or if the client has
  // disconnected, which aborts the others.
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
  // Shared with the callbacks, which may outlive this object.
  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::vector<int64_t> ids_;  // by choice
  int ended_ = 0;
  bool abandoned_ = false;
};

}  // namespace longshot::server
