#include "sandbox/service/request.h"

#include "base/bytes.h"
#include "base/text/base64.h"

namespace longshot::sandbox {
namespace {

constexpr double kMaxSeconds = 3600;
constexpr size_t kMaxCases = 10000;

double number_in(net::Fields& fields, const std::string& key, double fallback, double min,
                 double max) {
  const double value = fields.number(key, fallback);
  if (value >= min && value <= max) return value;
  fields.fail(key, "must be from " + dump_json(Json(min)) + " to " + dump_json(Json(max)));
  return fallback;
}

uint64_t mebibytes(net::Fields& fields, const std::string& key, uint64_t fallback, double max) {
  return static_cast<uint64_t>(
      kMiB * number_in(fields, key, static_cast<double>(fallback) / kMiB, 1.0 / 1024, max));
}

// A timeout limits processor time, so that a busy machine does not change endings.
void set_seconds(net::Fields& fields, const std::string& key, Limits& limits) {
  limits.set_processor_time(number_in(fields, key, limits.cpu_seconds, 0.01, kMaxSeconds));
}

void read_limits(Json object, const RequestDefaults& defaults, Limits& limits, net::Fields& outer) {
  net::Fields fields(std::move(object), "limits.");
  set_seconds(fields, "cpu_seconds", limits);
  limits.idle_seconds =
      number_in(fields, "idle_seconds", limits.idle_seconds, 0.01, 2 * kMaxSeconds);
  limits.wall_seconds =
      number_in(fields, "wall_seconds", limits.wall_seconds, 0.01, 30 * kMaxSeconds);
  limits.memory_bytes = mebibytes(fields, "memory_mb", limits.memory_bytes,
                                  static_cast<double>(defaults.max_memory_bytes) / kMiB);
  limits.processes = fields.integer("processes", 1, 4096).value_or(limits.processes);
  limits.open_files = fields.integer("open_files", 8, 65536).value_or(limits.open_files);
  limits.file_bytes = mebibytes(fields, "file_mb", limits.file_bytes, 4096);
  limits.disk_bytes = mebibytes(fields, "disk_mb", limits.disk_bytes, 4096);
  limits.inodes = fields.integer("inodes", 64, 1 << 20).value_or(limits.inodes);
  limits.output_bytes = fields.integer("output_bytes", 0, 64 << 20).value_or(limits.output_bytes);
  fields.finish();
  if (!fields.ok()) outer.fail(fields.error());
}

// {"name": "base64", ...}. Null contents, which some clients send, are ignored.
std::vector<File> read_files(net::Fields& fields) {
  std::vector<File> files;
  const Json object = fields.any("files").value_or(Json::object());
  if (!object.is_object()) fields.fail("files", "must be an object of names and base64 contents");
  for (const auto& [name, content] : object.items()) {
    if (content.is_null()) continue;
    const auto bytes = content.is_string() ? from_base64(content.get<std::string>()) : std::nullopt;
    if (!bytes) fields.fail("files", "has contents for '" + name + "' that are not base64");
    files.push_back({name, bytes.value_or(""), false});
  }
  return files;
}

std::string required(net::Fields& fields, const std::string& key) {
  const auto text = fields.string(key);
  if (!text) fields.fail(key, "is missing");
  return text.value_or("");
}

// Reads "value", or "values" with several readings of it.
std::vector<Json> read_values(net::Fields& fields) {
  const auto value = fields.any("value"), values = fields.any("values");
  if (!values) return {value.value_or(Json())};
  if (!value && values->is_array() && !values->empty()) return {values->begin(), values->end()};
  fields.fail("values", "must be a list of readings, and 'value' must not be given");
  return {};
}

// Reads "input" and "output", or "args" and "value".
TestCase read_case(const Json& json, const std::string& prefix, bool calls, net::Fields& outer) {
  net::Fields fields(json, prefix);
  TestCase test;
  if (calls) {
    test.arguments = fields.any("args").value_or(Json::array());
    test.values = read_values(fields);
  } else {
    test.input = fields.string("input").value_or("");
    test.output = fields.string("output").value_or("");
  }
  fields.finish();
  if (!fields.ok()) outer.fail(fields.error());
  return test;
}

void read_cases(net::Fields& fields, Suite& suite) {
  const Json cases = fields.any("tests").value_or(Json::array());
  if (!cases.is_array() || cases.size() > kMaxCases) {
    fields.fail("tests", "must be a list of at most " + std::to_string(kMaxCases) + " cases");
    return;
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    suite.cases.push_back(
        read_case(cases[i], "tests[" + std::to_string(i) + "].", !suite.function.empty(), fields));
  }
}

void read_checker(net::Fields& outer, Suite& suite) {
  const auto object = outer.any("checker");
  if (!object) return;
  net::Fields fields(*object, "checker.");
  Program program;
  program.language = required(fields, "language");
  program.code = required(fields, "code");
  fields.finish();
  if (!fields.ok()) outer.fail(fields.error());
  suite.checker = std::move(program);
}

Tolerance read_tolerance(net::Fields& fields) {
  const double all = number_in(fields, "tolerance", 0, 0, 1);
  const double fractions = number_in(fields, "float_tolerance", 0, 0, 1);
  if (all > 0 && fractions > 0)
    fields.fail("tolerance", "cannot be given together with float_tolerance");
  return all > 0 ? Tolerance{all, true} : Tolerance{fractions, false};
}

}  // namespace

RunRequest read_run_request(net::Fields& fields, const RequestDefaults& defaults, bool streams) {
  RunRequest request;
  request.program.language = required(fields, "language");
  request.program.code = required(fields, "code");
  request.program.files = read_files(fields);
  request.limits = defaults.limits;
  request.compile_limits = default_compile_limits();
  set_seconds(fields, "run_timeout", request.limits);
  set_seconds(fields, "compile_timeout", request.compile_limits);
  const double memory = fields.number("memory_limit_MB", -1);
  if (memory * kMiB > static_cast<double>(defaults.max_memory_bytes)) {
    fields.fail("memory_limit_MB", "is above the service's limit");
  } else if (memory > 0) {
    request.limits.memory_bytes = static_cast<uint64_t>(memory * kMiB);
  }
  if (const auto limits = fields.any("limits"))
    read_limits(*limits, defaults, request.limits, fields);
  if (streams) {
    request.input = fields.string("stdin").value_or("");
    request.fetch = fields.strings("fetch_files");
  }
  return request;
}

namespace {

Suite read_suite(net::Fields& fields, const RequestDefaults& defaults) {
  Suite suite;
  suite.checks = fields.string("test").value_or("");
  suite.function = fields.string("entry_point").value_or("");
  read_cases(fields, suite);
  read_checker(fields, suite);
  suite.checker_limits = defaults.limits;
  const std::string comparison = fields.string("compare").value_or("lines");
  const auto parsed = parse_comparison(comparison);
  if (!parsed) fields.fail("compare", "must be lines, tokens or exact");
  suite.comparison = parsed.value_or(Comparison::lines);
  suite.tolerance = read_tolerance(fields);
  if (suite.tolerance.value > 0 && suite.comparison == Comparison::exact)
    fields.fail("compare", "exact knows no tolerance");
  suite.number_keys = fields.boolean("number_keys", false);
  suite.preamble = fields.boolean("preamble", false);
  suite.stop_at_first_failure = fields.boolean("stop_at_first_failure", false);
  return suite;
}

std::string fault_of(const SuiteReport& report) {
  if (report.compile) return report.compile->message;
  for (const CaseResult& result : report.results)
    if (result.word == "XX") return result.message;
  return "";
}

}  // namespace

TestJob read_test_job(net::Fields& fields, const RequestDefaults& defaults) {
  TestJob job{read_run_request(fields, defaults, false), read_suite(fields, defaults)};
  fields.finish();
  return job;
}

Result<bool> passes_tests(Sandbox& sandbox, const RequestDefaults& defaults, const Json& request,
                          const Sandbox::Cancelled& cancelled) {
  net::Fields fields(request, "");
  const TestJob job = read_test_job(fields, defaults);
  if (!fields.ok()) return invalid_argument(fields.error().message);
  LS_ASSIGN_OR_RETURN(const auto report, run_suite(sandbox, job.request, job.suite, cancelled));
  if (report.fault) return unavailable("sandbox fault: " + fault_of(report));
  return report.passed;
}

}  // namespace longshot::sandbox
