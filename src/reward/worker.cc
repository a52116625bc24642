#include "reward/worker.h"

#include "reward/text.h"

namespace longshot::reward {

Result<std::unique_ptr<Subprocess>> WorkerPool::take() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return start();
}

Result<std::unique_ptr<Subprocess>> WorkerPool::start() {
  auto worker = Subprocess::start(options_.process);
  if (!worker.ok()) return worker.status().with_context(options_.name);
  if (!options_.announces) return worker;
  const auto line = (*worker)->read_line(Deadline::after_seconds(options_.startup_seconds));
  if (!line.ok()) return describe(**worker, line.status().with_context("while starting"));
  const auto hello = parse_json(*line, options_.name);
  if (hello.ok() && hello->is_object() && hello->contains("ready")) return worker;
  const bool told = hello.ok() && hello->is_object() && hello->contains("error");
  return invalid_argument(
      options_.name + ": " +
      (told ? (*hello)["error"].get<std::string>() : "unexpected first line: " + *line));
}

// Adds how the program ended and the end of its stderr.
Status WorkerPool::describe(Subprocess& worker, const Status& failure) {
  std::string message = options_.name + ": " + failure.message();
  if (failure.code() == StatusCode::unavailable) {
    const auto ended = worker.wait(Deadline::after_seconds(0.5));
    message += " (" + (ended.ok() ? ended->to_string() : "it still runs") + ")";
    const std::string tail = worker.stderr_tail();
    const auto last = last_line(tail);
    if (!last.empty()) message.append("; its last words: ").append(last.substr(0, 500));
  }
  return {failure.code(), message};
}

Result<Json> WorkerPool::exchange(Subprocess& worker, const std::string& line, Deadline deadline) {
  const Status written = worker.write(line, deadline);
  if (!written.ok()) return describe(worker, written);
  const auto reply = worker.read_line(deadline);
  if (!reply.ok()) return describe(worker, reply.status());
  auto json = parse_json(*reply, options_.name);
  if (!json.ok() || !json->is_object()) {
    return corrupt(options_.name + ": the reply is not a JSON object: " + reply->substr(0, 200));
  }
  return json;
}

Result<Json> WorkerPool::call(const Json& request, Deadline deadline) {
  const double seconds = deadline.seconds_left();
  Stopwatch starting;
  LS_ASSIGN_OR_RETURN(auto worker, take());
  // A start takes its time once; the call still gets all of its own.
  const auto answer_by = starting.seconds() > 0.001 ? Deadline::after_seconds(seconds) : deadline;
  auto reply = exchange(*worker, dump_json(request) + "\n", answer_by);
  if (!reply.ok()) return reply.status();  // the worker ends here, with its group
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
  return reply;
}

}  // namespace longshot::reward
