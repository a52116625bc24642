#pragma once
// LiveCodeBench's test cases, which come as JSON or compressed.

#include "base/json.h"
#include "base/status.h"

namespace longshot::reward {

// Returns a list of test cases, given as the list itself, as its JSON text, or as base64 of a zlib
// stream of a Python pickle of its JSON text. Only a pickle that holds one text is read; any other
// is refused, and nothing in it is ever executed. invalid_argument if `tests` is none of these or
// unpacks to more than 256 MiB.
Result<Json> decompressed_tests(const Json& tests);

}  // namespace longshot::reward
