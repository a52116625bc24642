#pragma once
// The JSON of /run_code and /run_tests: from a request to what the sandbox runs. docs/sandbox.md lists the fields.

#include "base/json.h"
#include "base/status.h"
#include "net/fields.h"
#include "sandbox/judge.h"
#include "sandbox/sandbox.h"

namespace longshot::sandbox {

// What a request may leave out, and the most that it may ask for.
struct RequestDefaults {
  Limits limits;
  uint64_t max_memory_bytes = 4ull << 30;
};

// The program, its files and all limits; stdin and fetch_files are read with `streams`. Errors are kept in `fields`.
RunRequest read_run_request(net::Fields& fields, const RequestDefaults& defaults, bool streams);

struct TestJob {
  RunRequest request;
  Suite suite;
};
// A whole /run_tests request. Errors are kept in `fields`.
TestJob read_test_job(net::Fields& fields, const RequestDefaults& defaults);

// For callers in this process: whether the program of a /run_tests request passes its tests. invalid_argument: the
// request is wrong. unavailable: the sandbox's own fault. Other errors are those of run_suite.
Result<bool> passes_tests(Sandbox& sandbox, const RequestDefaults& defaults, const Json& request,
                          const Sandbox::Cancelled& cancelled);

}  // namespace longshot::sandbox
