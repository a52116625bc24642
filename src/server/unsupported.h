#pragma once
// Parameters of OpenAI's, vLLM's, SGLang's and llama.cpp's APIs that would change the answer and
// that this server cannot honour.

#include "net/fields.h"

namespace longshot::server {

// Refuses each of them by name, with what to do instead, unless it has a value that changes
// nothing. Parameters that change no answer are accepted.
void refuse_unsupported(net::Fields& fields);

}  // namespace longshot::server
