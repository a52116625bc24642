#pragma once
// The JSON of /run_code and /run_tests: converts a request to a job of the sandbox. docs/sandbox.md
// lists the fields.

#include "base/json.h"
#include "base/status.h"
#include "net/fields.h"
#include "sandbox/sandbox.h"
#include "sandbox/suite.h"

namespace longshot::sandbox {

// Values for fields that a request leaves out, and the largest memory limit that it may request.
struct RequestDefaults {
  Limits limits;
  uint64_t max_memory_bytes = 4ull << 30;
};

// Reads the program, its files and all limits; with `streams` also stdin and fetch_files. Errors
// are stored in `fields`.
RunRequest read_run_request(net::Fields& fields, const RequestDefaults& defaults, bool streams);

struct TestJob {
  RunRequest request;
  Suite suite;
};
// Reads a whole /run_tests request. Errors are stored in `fields`.
TestJob read_test_job(net::Fields& fields, const RequestDefaults& defaults);

// For callers in this process: returns true if the program of a /run_tests request passes its
// tests. Errors: invalid_argument if the request is wrong, unavailable for a fault of the sandbox,
// and those of run_suite.
Result<bool> passes_tests(Sandbox& sandbox, const RequestDefaults& defaults, const Json& request,
                          const Sandbox::Cancelled& cancelled);

}  // namespace longshot::sandbox
