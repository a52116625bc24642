#include "rollout/remote/backend/error_event.h"

#include "base/json.h"
#include "net/http_reply.h"

namespace longshot::rollout {

Status error_of_event(const std::string& event, const std::string& who) {
  const auto json = parse_json(event, who);
  if (!json.ok() || !json->is_object()) return ok_status();  // the reader of the event complains
  const auto error = json->find("error");
  if (error == json->end() || error->is_null()) return ok_status();
  int code = 500;
  if (error->is_object()) {
    const auto number = error->find("code");
    if (number != error->end() && number->is_number_integer()) code = number->get<int>();
  }
  const Status status = net::check_http_status({.status = code, .body = event}, who);
  return status.code() == StatusCode::unavailable ? exhausted(status.message()) : status;
}

}  // namespace longshot::rollout
