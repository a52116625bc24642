#pragma once
// POST /generate: token ids in, token ids out, in the shape of SGLang's route of that name, which RL tools call.

#include <optional>

#include "net/fields.h"
#include "net/reply.h"
#include "server/context.h"
#include "server/params.h"

namespace longshot::server {

struct GenerateCall {
  GenerateParams generate;
  bool many = false;  // several prompts or n > 1: the answer is a list
  bool logprobs = false;
  bool stream = false;
};

GenerateCall parse_generate(net::Fields& fields, const Context& context);
// A sample ended from outside (pause, abort, deadline) is no failure here: its answer has what there is, and the
// finish reason {"type": "abort", "message": ...}.
net::Reply generate(const Context& context, const net::Call& call);

}  // namespace longshot::server
