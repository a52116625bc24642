#include "server/sandbox_routes.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/text/base64.h"
#include "net/errors.h"
#include "net/fields.h"
#include "sandbox/service/request.h"

namespace longshot::server {
namespace {

using sandbox::Ending;
using sandbox::Outcome;

constexpr size_t kMaxCaseOutput = 4096;  // of a failed case; the output of a passed one is omitted

// SandboxFusion's status words.
const char* status_word(Ending ending) {
  if (ending == Ending::internal) return "SandboxError";
  return ending == Ending::ok ? "Success" : "Failed";
}
const char* command_status(const Outcome& outcome) {
  if (outcome.ending == Ending::timeout) return "TimeLimitExceeded";
  return outcome.ending == Ending::internal ? "Error" : "Finished";
}

OrderedJson figures(const Outcome& outcome) {
  OrderedJson json;
  json["execution_time"] = outcome.wall_seconds;
  json["cpu_time"] = outcome.cpu_seconds;
  json["memory_mb"] = static_cast<double>(outcome.memory_bytes) / kMiB;
  json["return_code"] = outcome.signal != 0 ? -outcome.signal : outcome.exit_code;
  return json;
}

OrderedJson command_json(const std::optional<Outcome>& outcome) {
  if (!outcome) return nullptr;
  OrderedJson json;
  json["status"] = command_status(*outcome);
  json["verdict"] = sandbox::ending_word(outcome->ending);
  json["message"] = outcome->message;
  json.update(figures(*outcome));
  json["stdout"] = outcome->out;
  json["stderr"] = outcome->err;
  return json;
}

net::Reply json_reply(const OrderedJson& json, std::string note) {
  net::Reply reply;
  reply.body = dump_json(json);
  reply.note = std::move(note);
  return reply;
}

// Cancels when the client has disconnected.
sandbox::Sandbox::Cancelled watch(const net::Call& call) {
  return [&call] { return call.connection.gone(); };
}

net::Reply failure(const Status& status, const net::Call& call) {
  if (status.code() == StatusCode::cancelled && call.connection.gone())
    return net::client_gone_reply();
  return net::error_reply(net::error_of(status));
}

net::Reply run_code(const SandboxContext& context, const net::Call& call) {
  net::Fields fields(call.body);
  const auto request = sandbox::read_run_request(fields, context.defaults, true);
  fields.finish();
  if (!fields.ok()) return net::error_reply(fields.error());
  const auto report = context.sandbox.run(request, watch(call));
  if (!report.ok()) return failure(report.status(), call);
  const Outcome& last = report->last();
  OrderedJson json, files = OrderedJson::object();
  json["status"] = status_word(last.ending);
  json["message"] = last.message;
  json["verdict"] = sandbox::ending_word(last.ending);
  json["compile_result"] = command_json(report->compile);
  json["run_result"] = command_json(report->run);
  json["executor_pod_name"] = nullptr;
  for (const sandbox::File& file : last.files) files[file.path] = to_base64(file.content);
  json["files"] = std::move(files);
  return json_reply(json, request.program.language + " " + sandbox::ending_word(last.ending));
}

OrderedJson case_json(const sandbox::CaseResult& result) {
  OrderedJson json;
  json["passed"] = result.passed;
  json["verdict"] = result.word;
  json["message"] = result.message;
  json.update(figures(result.outcome));
  if (result.passed) return json;
  json["stdout"] = result.outcome.out.substr(0, kMaxCaseOutput);
  json["stderr"] = result.outcome.err.substr(0, kMaxCaseOutput);
  return json;
}

// The word of the first case that is not OK; XX takes precedence.
std::string word_of(const sandbox::SuiteReport& report) {
  if (report.compile) return sandbox::ending_word(report.compile->ending);
  std::string first = "OK";
  for (const sandbox::CaseResult& result : report.results) {
    if (result.word == "XX") return result.word;  // takes precedence over all earlier ones
    if (first == "OK") first = result.word;
  }
  return first;
}

net::Reply run_tests(const SandboxContext& context, const net::Call& call) {
  net::Fields fields(call.body);
  const auto [request, suite] = sandbox::read_test_job(fields, context.defaults);
  if (!fields.ok()) return net::error_reply(fields.error());
  const auto report = run_suite(context.sandbox, request, suite, watch(call));
  if (!report.ok()) return failure(report.status(), call);
  const std::string word = word_of(*report);
  OrderedJson json, tests = OrderedJson::array();
  json["status"] = report->fault ? "SandboxError" : report->passed ? "Success" : "Failed";
  json["passed"] = report->fault ? OrderedJson() : OrderedJson(report->passed);
  json["verdict"] = word;
  json["cases"] = report->cases;
  json["passed_cases"] =
      std::count_if(report->results.begin(), report->results.end(),
                    [](const sandbox::CaseResult& result) { return result.passed; });
  json["compile_result"] = command_json(report->compile);
  for (const sandbox::CaseResult& result : report->results) tests.push_back(case_json(result));
  json["tests"] = std::move(tests);
  return json_reply(json, request.program.language + " " + word);
}

net::Reply health(const SandboxContext& context) {
  const sandbox::Isolation& isolation = context.sandbox.pool().isolation();
  OrderedJson json, languages = OrderedJson::array();
  for (const auto& language : context.sandbox.languages()) languages.push_back(language.name);
  json["status"] = "ok";
  json["languages"] = std::move(languages);
  json["slots"] = context.sandbox.pool().stats().slots;
  json["memory_limit"] = isolation.groups.memory ? "cgroup" : "address space of each process";
  json["separate_supervisor_id"] = isolation.two_ids;
  return json_reply(json, "");
}

net::Reply metrics(const SandboxContext& context) {
  const sandbox::PoolStats stats = context.sandbox.pool().stats();
  const auto count = [](const char* name, const char* help, int64_t value) {
    return net::metric_text(std::string("sandbox_") + name, "counter", help,
                            static_cast<double>(value));
  };
  net::Reply reply;
  reply.content_type = "text/plain; version=0.0.4";
  reply.body =
      context.requests.format() +
      net::metric_text("sandbox_slots", "gauge", "programs that can run at once", stats.slots) +
      net::metric_text("sandbox_busy", "gauge", "programs that run", stats.busy) +
      net::metric_text("sandbox_waiting", "gauge", "programs that wait", stats.waiting) +
      count("runs_total", "programs run, compilers included", stats.runs) +
      count("faults_total", "runs that the sandbox itself failed, before retries", stats.faults) +
      count("restarts_total", "slots that were replaced", stats.restarts) +
      count("refused_total", "programs refused because too many waited", stats.refused) +
      count("cancelled_total", "programs ended because their client went away", stats.cancelled);
  return reply;
}

}  // namespace

std::vector<net::Route> sandbox_routes(const SandboxContext& context) {
  return {
      {"POST", "/run_code", [&](const net::Call& call) { return run_code(context, call); }},
      {"POST", "/run_tests", [&](const net::Call& call) { return run_tests(context, call); }},
      {"GET", "/health", [&](const net::Call&) { return health(context); }},
      {"GET", "/metrics", [&](const net::Call&) { return metrics(context); }},
  };
}

}  // namespace longshot::server
