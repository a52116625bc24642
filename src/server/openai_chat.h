#pragma once
// POST /v1/chat/completions.

#include "net/fields.h"
#include "net/reply.h"
#include "server/context.h"
#include "server/params.h"

namespace longshot::server {

// Reads the messages of `messages`, and puts the server's own system message before a chat without
// one. An error is stored in `fields`. `body` is the request's text, which determines the order of
// keys in tools and tool calls. Messages get the form that templates are written for: a list of
// text parts becomes one text unless the template reads lists, the arguments of a tool call are an
// object, and content that is null or missing beside tool calls is empty.
tokenizer::Chat read_messages(net::Fields& fields, const Context& context, const std::string& body);
// Reads add_generation_prompt, continue_final_message, tools, documents and chat_template_kwargs.
// Tools and documents are refused if the chat template does not read them, because the model would
// not see them.
tokenizer::ChatOptions read_chat_options(net::Fields& fields, const Context& context,
                                         const std::string& body);
OpenAiParams parse_chat(net::Fields& fields, const Context& context, const std::string& body);
net::Reply chat_completions(const Context& context, const net::Call& call);

}  // namespace longshot::server
