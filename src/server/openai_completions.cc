#include "server/openai_completions.h"

#include <algorithm>
#include <cmath>

#include "datasets/encode.h"
#include "server/openai.h"

namespace longshot::server {
namespace {

constexpr int kDefaultMaxTokens = 16;  // OpenAI's default

class CompletionFormat : public Format {
 public:
  std::string id_prefix() const override { return "cmpl-"; }
  std::string object(bool stream) const override { return "text_completion"; }

  OrderedJson choice(const AnswerPart& part, bool stream) const override {
    OrderedJson json;
    json["index"] = part.index;
    json["text"] = part.text;
    return json;
  }

  OrderedJson logprobs(const AnswerPart& part,
                       const tokenizer::Tokenizer& tokenizer) const override {
    OrderedJson json;
    for (const char* key : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
      json[key] = OrderedJson::array();
    for (size_t i = 0; i < part.tokens.size(); ++i) {
      const rollout::Choice& token = part.tokens[i];
      json["tokens"].push_back(token_text(tokenizer, token.token));
      // The first token of an echoed prompt follows nothing.
      json["token_logprobs"].push_back(
          std::isnan(token.logprob) ? OrderedJson() : OrderedJson(finite_logprob(token.logprob)));
      json["top_logprobs"].push_back(top_json(token, tokenizer));
      json["text_offset"].push_back(part.offsets[i]);
    }
    return json;
  }

 private:
  static OrderedJson top_json(const rollout::Choice& token, const tokenizer::Tokenizer& tokenizer) {
    if (token.top.empty()) return nullptr;
    OrderedJson json = OrderedJson::object();
    // Parts of a character have the same text: the most probable one, which comes first, is kept.
    for (const auto& top : token.top)
      json.emplace(token_text(tokenizer, top.token), finite_logprob(top.logprob));
    return json;
  }
};

TokenIds encode_prompt(net::Fields& fields, const std::string& text, const Context& context) {
  check_text_size(fields, "prompt", text.size(), context);
  if (!fields.ok()) return {};
  auto tokens = datasets::encode_raw_prompt(context.tokenizer, text, "prompt");
  if (tokens.ok()) return std::move(*tokens);
  fields.fail(net::ApiError{.message = tokens.status().message(), .param = "prompt"});
  return {};
}

// Reads one prompt or a list of prompts; each is a text or a list of token ids.
std::vector<TokenIds> read_prompts(net::Fields& fields, const Context& context) {
  const Json* given = fields.look("prompt");
  const Json none, &prompt = given == nullptr ? none : *given;
  if (prompt.is_string()) return {encode_prompt(fields, prompt.get<std::string>(), context)};
  if (auto ids = net::token_list(prompt); ids && !ids->empty()) {
    check_ids(fields, "prompt", *ids, context);
    return {std::move(*ids)};
  }
  if (prompt.is_array()) check_prompt_count(fields, prompt.size(), context);
  std::vector<TokenIds> out;
  for (size_t i = 0; prompt.is_array() && i < prompt.size() && fields.ok(); ++i) {
    if (auto ids = net::token_list(prompt[i])) {
      check_ids(fields, "prompt", *ids, context);
      out.push_back(std::move(*ids));
    } else if (prompt[i].is_string()) {
      out.push_back(encode_prompt(fields, prompt[i].get<std::string>(), context));
    } else {
      out.clear();
      break;
    }
  }
  if (out.empty()) {
    fields.fail("prompt", "must be a string, a list of token ids, or a list of either");
  }
  return out;
}

// After n, stream and echo.
void read_best_of(net::Fields& fields, OpenAiParams& params) {
  const auto best_of = fields.integer("best_of", 1, 4096);
  if (!best_of || *best_of == params.shown) return;
  if (*best_of < params.shown) return fields.fail("best_of", "must be at least 'n'");
  if (params.stream || params.generate.echo)
    return fields.fail("best_of",
                       "cannot be combined with 'stream' or 'echo' unless it equals 'n'");
  params.generate.n = static_cast<int>(*best_of);
}

}  // namespace

OpenAiParams parse_completions(net::Fields& fields, const Context& context) {
  OpenAiParams params = read_openai(fields, context);
  params.generate.prompts = read_prompts(fields, context);
  params.generate.echo = fields.boolean("echo", false);
  const int64_t least = params.generate.echo ? 0 : 1;
  const auto max_tokens = fields.integer("max_tokens", least, INT32_MAX);
  if (params.generate.echo && params.stream)
    fields.fail("stream", "cannot be combined with 'echo'");
  const auto logprobs = fields.integer("logprobs", 0, 20);
  params.logprobs = logprobs.has_value();
  params.generate.sampling.top_logprobs = static_cast<int>(logprobs.value_or(0));
  fields.only("suffix", {""}, "only the end of a prompt is continued here");
  fields.only("add_special_tokens", {true}, "to choose a prompt's first token, give token ids");
  read_best_of(fields, params);
  fields.finish();
  if (fields.ok()) set_lengths(fields, max_tokens, kDefaultMaxTokens, context, params.generate);
  return params;
}

net::Reply completions(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  const OpenAiParams params = parse_completions(fields, context);
  if (!fields.ok()) return net::error_reply(fields.error());
  return answer(context, call, params, std::make_shared<CompletionFormat>());
}

}  // namespace longshot::server
