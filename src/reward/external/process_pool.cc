#include "reward/external/process_pool.h"

#include <algorithm>

#include "base/log.h"
#include "base/text/text.h"

namespace longshot::reward {
namespace {

// Logs what a reward has printed, for its author.
void log_output(Subprocess& worker, const std::string& name) {
  constexpr size_t kLongestLine = 2000;
  const std::string text = worker.take_stderr_lines();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    log::info("{}: {}", name, text.substr(begin, std::min(end - begin, kLongestLine)));
    begin = end + 1;
  }
}

}  // namespace

std::unique_ptr<Subprocess> ProcessPool::take_idle() {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  auto worker = std::move(idle_.back());
  idle_.pop_back();
  return worker;
}

void ProcessPool::give_back(std::unique_ptr<Subprocess> worker) {
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
}

Status ProcessPool::broken() {
  std::lock_guard lock(mutex_);
  return broken_;
}

Status ProcessPool::give_up(const std::string& reason) {
  std::lock_guard lock(mutex_);
  if (broken_.ok()) broken_ = invalid_argument(reason);
  return broken_;
}

// Counts a worker that ended or did not start.
Status ProcessPool::lost(Status failure) {
  if (failure.code() == StatusCode::cancelled) return failure;
  {
    std::lock_guard lock(mutex_);
    if (answered_ || ++lost_ < kMaxLost) return failure;
  }
  return give_up(failure.message() + "; it is not started again, since its first " +
                 std::to_string(kMaxLost) + " processes answered nothing");
}

Result<std::unique_ptr<Subprocess>> ProcessPool::take() {
  if (auto idle = take_idle()) return idle;
  std::unique_lock<std::mutex> first(first_start_);
  if (auto idle = take_idle()) return idle;
  LS_RETURN_IF_ERROR(broken());
  if (started_) first.unlock();
  auto worker = start();
  if (worker.ok()) started_ = true;
  return worker;
}

Status ProcessPool::prepare() {
  auto worker = take();
  if (worker.ok()) {
    give_back(std::move(worker).value());
    return ok_status();
  }
  const bool stopped = worker.status().code() == StatusCode::cancelled;
  return stopped ? worker.status() : invalid_argument(worker.status().message());
}

Result<std::unique_ptr<Subprocess>> ProcessPool::start() {
  auto worker = Subprocess::start(options_.process);
  if (!worker.ok()) return worker.status().with_context(options_.name);
  if (!options_.announces) return worker;
  const auto line = (*worker)->read_line(Deadline::after_seconds(options_.startup_seconds));
  log_output(**worker, options_.name);
  if (!line.ok()) return lost(describe(**worker, line.status().with_context("while starting")));
  const auto hello = parse_json(*line, options_.name);
  if (hello.ok() && hello->is_object() && hello->contains("ready")) return worker;
  const bool told = hello.ok() && hello->is_object() && hello->contains("error");
  return give_up(options_.name + ": " +
                 (told ? (*hello)["error"].get<std::string>() : "unexpected first line: " + *line));
}

// Adds how the program ended and the end of its stderr.
Status ProcessPool::describe(Subprocess& worker, const Status& failure) {
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

Result<Json> ProcessPool::exchange(Subprocess& worker, const std::string& line, Deadline deadline) {
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

Result<Json> ProcessPool::call(const Json& request, Deadline deadline) {
  const double seconds = deadline.seconds_left();
  Stopwatch starting;
  LS_ASSIGN_OR_RETURN(auto worker, take());
  // The time that a worker takes to start does not shorten the call's own time.
  const auto answer_by = starting.seconds() > 0.001 ? Deadline::after_seconds(seconds) : deadline;
  auto reply = exchange(*worker, dump_json(request) + "\n", answer_by);
  log_output(*worker, options_.name);
  if (!reply.ok()) {
    // The worker ends here, with its process group. A timeout does not count as a lost worker:
    // slowness is no reason to stop starting the program.
    return reply.status().code() == StatusCode::timeout ? reply.status() : lost(reply.status());
  }
  give_back(std::move(worker));
  std::lock_guard lock(mutex_);
  answered_ = true;
  return reply;
}

}  // namespace longshot::reward
