#pragma once
// POST /v1/chat/completions.

#include "net/fields.h"
#include "net/reply.h"
#include "server/context.h"
#include "server/params.h"

namespace longshot::server {

// Reads the messages of `messages`; their content may be a string or a list of text parts. An error
// is stored in `fields`. `body` is the request's text, which determines the order of keys in tools
// and tool calls.
tokenizer::Chat read_messages(net::Fields& fields, const std::string& body);
// Reads add_generation_prompt, continue_final_message, tools, documents and chat_template_kwargs.
// Tools and documents are refused if the chat template does not read them, because the model would
// not see them.
tokenizer::ChatOptions read_chat_options(net::Fields& fields, const Context& context,
                                         const std::string& body);
OpenAiParams parse_chat(net::Fields& fields, const Context& context, const std::string& body);
net::Reply chat_completions(const Context& context, const net::Call& call);

}  // namespace longshot::server
