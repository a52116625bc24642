#pragma once
// POST /generate: token ids in, token ids out, in the format of SGLang's route of the same name,
// which RL tools call.

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
// A sample that was ended from outside (pause, abort, deadline) is not a failure here: its answer
// contains the tokens so far and the finish reason {"type": "abort", "message": ...}.
net::Reply generate(const Context& context, const net::Call& call);

}  // namespace longshot::server
