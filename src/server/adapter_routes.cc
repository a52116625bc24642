#include "server/adapter_routes.h"

#include <chrono>
#include <thread>

#include "net/errors.h"
#include "net/fields.h"
#include "server/model_files_check.h"

namespace longshot::server {
namespace {

net::Reply refused(const Status& status, const std::string& param) {
  net::ApiError error = net::error_of(status);
  error.param = param;
  if (status.code() == StatusCode::not_found) error.status = 404;
  if (status.code() == StatusCode::exhausted) {
    error.status = 409;
    error.type = "invalid_request_error";
    error.code = "too_many_adapters";
  }
  return net::error_reply(error);
}

net::Reply done(const std::string& name) {
  net::Reply reply;
  reply.body = dump_json(OrderedJson({{"success", true}, {"adapter", name}}));
  return reply;
}

std::string required(net::Fields& fields, const std::string& key, const std::string& what) {
  const auto value = fields.string(key);
  if (!value) fields.fail(key, "is missing: " + what);
  return value.value_or("");
}

net::Reply load(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  const std::string name = required(fields, "lora_name", "the name that requests will ask for");
  const std::string path =
      required(fields, "lora_path", "a directory of the peft package on the server's machine");
  const bool replace = fields.boolean("load_inplace", false);
  fields.finish();
  if (!fields.ok()) return net::error_reply(fields.error());
  Status status = check_model_files(path);
  if (status.ok())
    status = context.models.load(name, path, replace, context.config, context.worker);
  return status.ok() ? done(name) : refused(status, "lora_path");
}

// Waits until no request uses the adapter, or the client is gone. A request ends at the latest when
// its deadline passes.
void wait_until_unused(const std::weak_ptr<const rollout::RunnerAdapter>& adapter,
                       const net::Connection& client) {
  while (!adapter.expired() && !client.gone())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

net::Reply unload(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  const std::string name = required(fields, "lora_name", "the name of a loaded adapter");
  fields.ignore({"lora_int_id"});  // vLLM's number of the adapter; the name is enough
  fields.finish();
  if (!fields.ok()) return net::error_reply(fields.error());
  const auto adapter = context.models.unload(name);
  if (!adapter.ok()) return refused(adapter.status(), "lora_name");
  wait_until_unused(*adapter, call.connection);
  return done(name);
}

net::Reply not_allowed() {
  return net::error_reply({403,
                           "this server does not load or unload adapters: start it with "
                           "--allow-adapter-loading",
                           "invalid_request_error", "", "adapter_loading_off"});
}

}  // namespace

std::vector<net::Route> adapter_routes(const Context& context) {
  return {{"POST", "/v1/load_lora_adapter",
           [&](const net::Call& call) {
             return context.may_load_adapters ? load(context, call) : not_allowed();
           }},
          {"POST", "/v1/unload_lora_adapter", [&](const net::Call& call) {
             return context.may_load_adapters ? unload(context, call) : not_allowed();
           }}};
}

}  // namespace longshot::server
