#pragma once
// POST /generate: token ids in, token ids out, in the shape of SGLang's route of that name, which RL tools call.

#include <optional>

#include "server/context.h"
#include "server/fields.h"
#include "server/params.h"
#include "server/reply.h"

namespace longshot::server {

struct GenerateCall {
  GenerateParams generate;
  bool many = false;  // several prompts or n > 1: the answer is a list
  bool logprobs = false;
  bool stream = false;
};

GenerateCall parse_generate(Fields& fields, const Context& context);
// A sample ended from outside (pause, abort, deadline) is no failure here: its answer has what there is, and the
// finish reason {"type": "abort", "message": ...}.
Reply generate(const Context& context, const Call& call);

}  // namespace longshot::server
