#pragma once
// LiveCodeBench's test cases, which come as JSON or compressed.

#include "base/json.h"
#include "base/status.h"

namespace longshot::reward {

// A list of test cases from the list itself, from its JSON text, or from base64 of a zlib stream of a Python pickle of
// its JSON text. Only a pickle that holds one text is read; any other is refused and nothing in it is ever executed.
// invalid_argument: none of these, or more than 256 MiB.
Result<Json> unpacked_tests(const Json& tests);

}  // namespace longshot::reward
