#include "net/errors.h"

#include "base/json.h"

namespace longshot::net {
namespace {

OrderedJson or_null(const std::string& text) {
  return text.empty() ? OrderedJson() : OrderedJson(text);
}

}  // namespace

ApiError error_of(const Status& status) {
  const std::string& message = status.message();
  switch (status.code()) {
    case StatusCode::exhausted:
      return {429, message, "rate_limit_error", "", "queue_full"};
    case StatusCode::timeout:
      return {504, message, "timeout_error", "", "deadline_exceeded"};
    case StatusCode::cancelled:
      return {503, message, "server_error", "", "aborted"};
    case StatusCode::unavailable:
      return {503, message, "server_error", "", "unavailable"};
    case StatusCode::internal:
      return {500, message, "server_error", "", "internal_error"};
    default:
      return {400, message, "invalid_request_error", "", ""};
  }
}

std::string error_json(const ApiError& error) {
  OrderedJson inner;
  inner["message"] = error.message;
  inner["type"] = error.type;
  inner["param"] = or_null(error.param);
  inner["code"] = or_null(error.code);
  OrderedJson json;
  json["error"] = std::move(inner);
  return dump_json(json);
}

Reply error_reply(const ApiError& error) {
  Reply reply;
  reply.status = error.status;
  reply.body = error_json(error);
  return reply;
}

Reply client_gone_reply() {
  return error_reply({499, "the client closed the connection", "client_error", "", ""});
}

}  // namespace longshot::net
