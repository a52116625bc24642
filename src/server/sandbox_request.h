#pragma once
// From a request's JSON to what the sandbox is asked. Errors stay in `fields`.

#include "sandbox/judge.h"
#include "server/fields.h"
#include "server/sandbox.h"

namespace longshot::server {

// The program, its files and all limits; stdin and fetch_files are read with `streams`.
sandbox::RunRequest read_run_request(Fields& fields, const SandboxContext& context, bool streams);
sandbox::Suite read_suite(Fields& fields, const SandboxContext& context);

}  // namespace longshot::server
