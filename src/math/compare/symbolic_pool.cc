#include "math/compare/symbolic_pool.h"

#include <fmt/format.h>
#include <signal.h>

#include <filesystem>

#include "symbolic_program.h"

namespace longshot::math {
namespace {

// After this many questions a worker is replaced, which frees the memory that its libraries have
// kept.
constexpr int kQuestionsOfAWorker = 20000;

std::string find_program() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = self.parent_path() / "longshot-symbolic";
  return !error && std::filesystem::exists(beside, error) ? beside.string() : kBuiltSymbolicProgram;
}

}  // namespace

SymbolicPool::SymbolicPool() : program_(find_program()) {
  auto first = start();
  if (first.ok()) put(std::move(first).value());
}

SymbolicPool& SymbolicPool::shared() {
  static SymbolicPool pool;
  return pool;
}

Result<SymbolicPool::Worker> SymbolicPool::start() const {
  SubprocessOptions options;
  options.argv = {program_};
  auto process = Subprocess::start(options);
  if (!process.ok()) {
    return process.status().with_context("symbolic equality (build the target symbolic_worker)");
  }
  return Worker{std::move(process).value(), 0};
}

Result<SymbolicPool::Worker> SymbolicPool::take() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Worker worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return start();
}

void SymbolicPool::put(Worker worker) {
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
}

Result<std::string> SymbolicPool::ask(Worker& worker, const std::string& line,
                                      const SymbolicLimits& limits, Deadline deadline) {
  const Status written = worker.process->write(line, deadline);
  auto reply = written.ok() ? worker.process->read_line(deadline) : Result<std::string>(written);
  if (reply.ok() || reply.status().code() != StatusCode::unavailable) return reply;
  const auto ended = worker.process->wait(Deadline::after_seconds(0.5));
  if (ended.ok() && ended->signal == SIGPROF) {
    return exhausted(fmt::format("symbolic equality took over {} ms of processor time",
                                 limits.cpu_milliseconds));
  }
  return internal_error(fmt::format("symbolic equality failed within {} MB: {}", limits.megabytes,
                                    ended.ok() ? ended->to_string() : "its worker ended"));
}

Result<bool> SymbolicPool::equal(const Expression& a, const Expression& b, bool positive,
                                 const SymbolicLimits& limits, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(Worker worker, take());
  const std::string line = fmt::format("{} {} {}\t{}\t{}\n", limits.cpu_milliseconds,
                                       limits.megabytes, positive ? 1 : 0, to_wire(a), to_wire(b));
  const auto reply = ask(worker, line, limits, deadline);
  const bool fresh =
      !reply.ok() || reply->starts_with("error") || ++worker.questions >= kQuestionsOfAWorker;
  if (fresh) {
    worker.process.reset();
    auto next = start();
    if (next.ok()) put(std::move(next).value());
  } else {
    put(std::move(worker));
  }
  if (!reply.ok()) return reply.status();
  if (*reply == "equal") return true;
  if (*reply == "different" || *reply == "unproven") return false;
  return internal_error("symbolic equality: " + *reply);
}

}  // namespace longshot::math
