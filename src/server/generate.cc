#include "server/generate.h"

#include <fmt/core.h>

#include "datasets/encode.h"
#include "net/errors.h"
#include "rollout/sampling/text_stream.h"
#include "server/generation.h"
#include "server/openai.h"
#include "server/unsupported.h"

namespace longshot::server {
namespace {

constexpr int kDefaultNewTokens = 128;  // SGLang's default

TokenIds encode_one(net::Fields& fields, const std::string& text, const Context& context) {
  check_text_size(fields, "text", text.size(), context);
  if (!fields.ok()) return {};
  auto encoded = datasets::encode_raw_prompt(context.tokenizer, text, "text");
  if (encoded.ok()) return std::move(*encoded);
  fields.fail(net::ApiError{.message = encoded.status().message(), .param = "text"});
  return {};
}

// Reads `input_ids` (one list of ids or a list of such lists) or otherwise `text` (one text or a
// list of texts).
std::vector<TokenIds> read_inputs(net::Fields& fields, const Context& context, bool& many) {
  const Json* ids = fields.look("input_ids");
  const Json* text = fields.look("text");
  if ((ids == nullptr) == (text == nullptr)) {
    fields.fail("input_ids", "or 'text' must be given, and not both");
    return {};
  }
  const Json& input = ids == nullptr ? *text : *ids;
  many = input.is_array() && !input.empty() && (input[0].is_array() || input[0].is_string());
  const size_t count = many ? input.size() : 1;
  check_prompt_count(fields, count, context);
  std::vector<TokenIds> out;
  for (size_t i = 0; i < count && fields.ok(); ++i) {
    const Json& one = many ? input[i] : input;
    if (auto tokens = net::token_list(one); tokens && ids != nullptr) {
      check_ids(fields, "input_ids", *tokens, context);
      out.push_back(std::move(*tokens));
    } else if (one.is_string() && ids == nullptr) {
      out.push_back(encode_one(fields, one.get<std::string>(), context));
    } else {
      fields.fail(ids == nullptr ? "text" : "input_ids",
                  "must be one prompt or a list of prompts of the same kind");
    }
  }
  return out;
}

ServedModels::Model read_adapter(net::Fields& fields, const Json& name, const Context& context) {
  if (name.is_null()) return context.models.find(context.models.base().name);
  if (name.is_string()) return find_model(fields, "lora_path", name.get<std::string>(), context);
  fields.fail("lora_path", "must be the name of an adapter, or a list of one for each prompt");
  return nullptr;
}

// Reads `lora_path`: the name of an adapter for all prompts, or a list with the name (null: the
// base model) for each of them.
std::vector<ServedModels::Model> read_adapters(net::Fields& fields, size_t prompts,
                                               const Context& context) {
  const Json names = fields.any("lora_path").value_or(Json());
  if (!names.is_array()) return {read_adapter(fields, names, context)};
  if (names.size() != prompts)
    fields.fail("lora_path", fmt::format("has {} names for {} prompts", names.size(), prompts));
  std::vector<ServedModels::Model> models;
  for (const Json& name : names) models.push_back(read_adapter(fields, name, context));
  return models;
}

std::string finish_type(const rollout::Outcome& outcome) {
  return outcome.status.ok() ? data::finish_reason_name(outcome.sample.finish) : "abort";
}

OrderedJson finish_json(const rollout::Outcome& outcome) {
  OrderedJson json;
  json["type"] = finish_type(outcome);
  if (!outcome.status.ok()) json["message"] = outcome.status.message();
  if (outcome.status.ok() && outcome.sample.finish == data::FinishReason::length)
    json["length"] = outcome.sample.tokens.size();
  return json;
}

// [[log-probability, token id, null], ...]. SGLang may put the token's text in place of the null.
OrderedJson logprobs_json(const data::Sample& sample) {
  OrderedJson list = OrderedJson::array();
  for (size_t i = 0; i < sample.tokens.size(); ++i) {
    list.push_back({finite_logprob(sample.logprobs[i]), sample.tokens[i], nullptr});
  }
  return list;
}

// The weight version that produced each range of tokens: [[begin, end, version], ...].
OrderedJson segments_json(const data::Sample& sample) {
  OrderedJson list = OrderedJson::array();
  for (const auto& segment : sample.segments)
    list.push_back({segment.begin, segment.end, segment.version});
  return list;
}

OrderedJson sample_json(const GenerateCall& request, const rollout::Outcome& outcome,
                        int64_t version) {
  const data::Sample& sample = outcome.sample;
  OrderedJson meta;
  meta["finish_reason"] = finish_json(outcome);
  meta["prompt_tokens"] = sample.prompt_tokens.size();
  meta["completion_tokens"] = sample.tokens.size();
  meta["seed"] = sample.seed;
  meta["weight_version"] = sample.segments.empty() ? version : sample.segments.back().version;
  meta["segments"] = segments_json(sample);
  if (request.logprobs) meta["output_token_logprobs"] = logprobs_json(sample);
  OrderedJson json;
  json["text"] = sample.text;
  json["output_ids"] = sample.tokens;
  json["meta_info"] = std::move(meta);
  return json;
}

// Streams the tokens as they are generated, and at the end of each sample the object that an answer
// without `stream` contains.
std::function<bool(std::string& piece)> token_stream(const Context& context, const net::Call& call,
                                                     const GenerateCall& request,
                                                     std::shared_ptr<Generation> generation) {
  return [&context, connection = call.connection, request, generation](std::string& piece) {
    const auto event = generation->next(connection);
    if (!event) {
      if (!generation->abandoned()) piece = sse_event("[DONE]");
      return false;
    }
    OrderedJson json;
    if (event->end) json = sample_json(request, *event->end, context.worker.stats().version);
    json["index"] = event->choice;
    if (!event->end) {
      json["token"] = event->token.token;
      if (request.logprobs) json["logprob"] = finite_logprob(event->token.logprob);
    }
    piece = sse_event(dump_json(json));
    return true;
  };
}

}  // namespace

GenerateCall parse_generate(net::Fields& fields, const Context& context) {
  GenerateCall call;
  std::vector<TokenIds> prompts = read_inputs(fields, context, call.many);
  call.stream = fields.boolean("stream", false);
  call.logprobs = fields.boolean("return_logprob", false);
  auto models = read_adapters(fields, prompts.size(), context);
  const Json sampling = fields.any("sampling_params").value_or(Json::object());
  fields.only("rid", {});
  fields.finish();
  net::Fields inner(sampling, "sampling_params.");
  call.generate = read_sampling(inner, context);
  call.generate.prompts = std::move(prompts);
  call.generate.models = std::move(models);
  call.many = call.many || call.generate.n > 1;
  const auto length = inner.integer("max_new_tokens", 1, INT32_MAX);
  refuse_unsupported(inner);
  inner.finish();
  if (fields.ok() && inner.ok())
    set_lengths(inner, length, kDefaultNewTokens, context, call.generate);
  if (!inner.ok()) fields.fail(inner.error());
  return call;
}

net::Reply generate(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  const GenerateCall request = parse_generate(fields, context);
  if (!fields.ok()) return net::error_reply(fields.error());
  auto started = Generation::start(context, request.generate, request.stream);
  if (!started.ok()) return net::error_reply(net::error_of(started.status()));
  std::shared_ptr<Generation> generation = std::move(*started);
  net::Reply reply;
  if (request.stream) {
    reply.content_type = "text/event-stream";
    reply.stream = token_stream(context, call, request, std::move(generation));
    return reply;
  }
  std::vector<OrderedJson> samples(generation->choices());
  while (const auto event = generation->next(call.connection)) {
    if (!event->end) continue;
    if (event->end->status.code() == StatusCode::internal)
      return net::error_reply(net::error_of(event->end->status));
    samples[event->choice] = sample_json(request, *event->end, context.worker.stats().version);
  }
  if (generation->abandoned()) return net::client_gone_reply();
  reply.body = dump_json(request.many ? OrderedJson(samples) : samples.front());
  return reply;
}

}  // namespace longshot::server
