#pragma once
// POST /v1/chat/completions.

#include "server/context.h"
#include "server/fields.h"
#include "server/params.h"
#include "server/reply.h"

namespace longshot::server {

// The messages of `messages`; content may be a string or a list of text parts. An error goes to `fields`.
std::vector<data::Message> read_messages(Fields& fields);
OpenAiParams parse_chat(Fields& fields, const Context& context);
Reply chat_completions(const Context& context, const Call& call);

}  // namespace longshot::server
