#include "server/admin.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "datasets/encode.h"
#include "model/format/model_files.h"
#include "net/errors.h"
#include "net/fields.h"
#include "server/model_files_check.h"
#include "server/openai_chat.h"
#include "server/params.h"

namespace longshot::server {
namespace {

net::Reply json_reply(const OrderedJson& json) {
  net::Reply reply;
  reply.body = dump_json(json);
  return reply;
}

OrderedJson model_json(const Context& context, const ServedModel& model) {
  OrderedJson json;
  json["id"] = model.name;
  json["object"] = "model";
  json["created"] = model.created;
  json["owned_by"] = "longshot";
  json["root"] = model.root;
  json["parent"] = model.parent.empty() ? OrderedJson() : OrderedJson(model.parent);
  json["max_model_len"] = context.worker.limits().max_sequence;
  return json;
}

net::Reply list_models(const Context& context) {
  OrderedJson json;
  json["object"] = "list";
  json["data"] = OrderedJson::array();
  for (const auto& model : context.models.list())
    json["data"].push_back(model_json(context, *model));
  return json_reply(json);
}

net::Reply one_model(const Context& context, const net::Call& call) {
  const std::string name = call.path.substr(std::string("/v1/models/").size());
  net::Fields fields("");
  const auto model = find_model(fields, "model", name, context);
  return model != nullptr ? json_reply(model_json(context, *model))
                          : net::error_reply(fields.error());
}

// Tokenizes a prompt or a chat exactly as its generating route would.
net::Reply tokenize(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  fields.ignore({"model"});
  const auto prompt = fields.string("prompt");
  const bool special = fields.boolean("add_special_tokens", true);
  tokenizer::Chat messages;
  tokenizer::ChatOptions options;
  check_text_size(fields, prompt ? "prompt" : "messages",
                  prompt ? prompt->size() : call.body.size() / 6, context);
  if (!prompt) {
    messages = read_messages(fields, context, call.body);
    options = read_chat_options(fields, context, call.body);
  }
  if (prompt) fields.only("messages", {});
  if (prompt) fields.ignore({"add_generation_prompt"});
  fields.finish();
  if (!fields.ok()) return net::error_reply(fields.error());
  const auto tokens = !prompt   ? datasets::encode_chat(context.tokenizer, context.chat_template,
                                                        messages, options, "messages")
                      : special ? datasets::encode_raw_prompt(context.tokenizer, *prompt, "prompt")
                                : datasets::encode_text(context.tokenizer, *prompt, "prompt");
  if (!tokens.ok()) return net::error_reply(net::error_of(tokens.status()));
  OrderedJson json;
  json["count"] = tokens->size();
  json["max_model_len"] = context.worker.limits().max_sequence;
  json["tokens"] = *tokens;
  return json_reply(json);
}

net::Reply detokenize(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  fields.ignore({"model"});
  const auto tokens = fields.tokens("tokens");
  if (!tokens) fields.fail("tokens", "must be a list of token ids");
  if (tokens) check_ids(fields, "tokens", *tokens, context);
  fields.finish();
  if (!fields.ok()) return net::error_reply(fields.error());
  return json_reply({{"prompt", context.tokenizer.decode_text(*tokens, false)}});
}

net::Reply health(const Context& context) {
  const auto stats = context.worker.stats();
  OrderedJson json;
  json["status"] = stats.paused ? "paused" : "ok";
  json["weight_version"] = stats.version;
  return json_reply(json);
}

net::Reply metrics(const Context& context) {
  net::Reply reply;
  reply.content_type = "text/plain; version=0.0.4";
  reply.body = context.metrics.format(context.worker.stats());
  int64_t adapters = 0, bytes = 0;
  for (const auto& model : context.models.list()) {
    if (model->adapter == nullptr) continue;
    ++adapters;
    bytes += model->adapter->bytes();
  }
  const auto line = net::metric_text;
  reply.body += line("adapters", "gauge", "adapters that requests can name", adapters);
  reply.body += line("adapter_bytes", "gauge", "memory of their matrices", bytes);
  return reply;
}

net::Reply pause(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  const auto query = call.query.find("mode");
  const std::string fallback = query == call.query.end() ? "keep" : query->second;
  const std::string mode = fields.string("mode").value_or(fallback);
  if (mode != "keep" && mode != "abort") fields.fail("mode", "must be keep or abort");
  fields.finish();
  if (!fields.ok()) return net::error_reply(fields.error());
  context.worker.pause(mode == "keep" ? rollout::PauseMode::keep : rollout::PauseMode::abort);
  return json_reply({{"status", "paused"}});
}

net::Reply resume(const Context& context) {
  context.worker.resume();
  return json_reply({{"status", "resumed"}});
}

// The new weights must belong to the same network, because samples in flight continue with them.
Status check_same_network(const model::ModelConfig& now, const model::ModelConfig& next) {
  model::ModelConfig comparable = next;
  comparable.dtype = now.dtype;
  comparable.max_position_embeddings = now.max_position_embeddings;
  comparable.bos_token_id = now.bos_token_id;
  comparable.eos_token_ids = now.eos_token_ids;
  if (model::config_to_json(now) == model::config_to_json(comparable)) return ok_status();
  return invalid_argument("its config.json describes another network than the one that is served");
}

// Reads a model directory and replaces the current weights with its weights. One load at a time.
class WeightLoader {
 public:
  explicit WeightLoader(const Context& context) : context_(context) {}

  net::Reply operator()(const net::Call& call) {
    net::Fields fields(call.body);
    const auto path = fields.string("path");
    const auto version = fields.integer("version", 0, INT64_MAX);
    if (!path)
      fields.fail("path",
                  "is missing: a Hugging Face directory or .gguf file on the server's machine");
    fields.finish();
    if (!fields.ok()) return net::error_reply(fields.error());
    std::lock_guard lock(mutex_);
    const int64_t present = context_.worker.stats().version;
    const int64_t next = version.value_or(present + 1);
    if (next <= present) {
      fields.fail("version", fmt::format("must be larger than the present one, {}", present));
      return net::error_reply(fields.error());
    }
    const Status status = load(*path, next);
    if (!status.ok()) {
      net::ApiError error = net::error_of(status);
      error.param = "path";
      return net::error_reply(error);
    }
    return json_reply({{"success", true}, {"weight_version", next}});
  }

 private:
  Status load(const std::string& path, int64_t version) {
    LS_RETURN_IF_ERROR(check_model_files(path));
    LS_ASSIGN_OR_RETURN(const model::ModelFiles files, model::read_model(path));
    const Status same = check_same_network(context_.config, files.config);
    if (!same.ok()) return same.with_context(path);
    model::WeightsView view;
    view.config = context_.config;
    view.version = version;
    for (const auto& tensor : files.weights)
      view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
    return context_.worker
        .update_weights([&](rollout::Runner& runner) { return runner.load_weights(view); })
        .with_context(path);
  }

  const Context& context_;
  std::mutex mutex_;
};

}  // namespace

std::vector<net::Route> admin_routes(const Context& context) {
  const auto loader = std::make_shared<WeightLoader>(context);
  return {
      {"GET", "/v1/models", [&](const net::Call&) { return list_models(context); }},
      {"GET", "/v1/models/", [&](const net::Call& call) { return one_model(context, call); }},
      {"POST", "/tokenize", [&](const net::Call& call) { return tokenize(context, call); }},
      {"POST", "/detokenize", [&](const net::Call& call) { return detokenize(context, call); }},
      {"GET", "/health", [&](const net::Call&) { return health(context); }},
      {"GET", "/metrics", [&](const net::Call&) { return metrics(context); }},
      {"POST", "/pause", [&](const net::Call& call) { return pause(context, call); }},
      {"POST", "/resume", [&](const net::Call&) { return resume(context); }},
      {"POST", "/update_weights", [loader](const net::Call& call) { return (*loader)(call); }},
  };
}

}  // namespace longshot::server
