#include "net/http_reply.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/text/text.h"

namespace longshot::net {
namespace {

constexpr size_t kLongestText = 300;

// The text of object[key]; "" if there is none.
std::string member_text(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// FastAPI's list of complaints: "body.messages: Field required; ...".
std::string complaints(const Json& list) {
  std::string text;
  for (const Json& complaint : list) {
    std::string place;
    if (complaint.is_object() && complaint.contains("loc") && complaint["loc"].is_array()) {
      for (const Json& step : complaint["loc"])
        place += (place.empty() ? "" : ".") +
                 (step.is_string() ? step.get<std::string>() : dump_json(step));
    }
    text += (text.empty() ? "" : "; ") + place + (place.empty() ? "" : ": ") +
            member_text(complaint, "msg");
  }
  return text;
}

std::string text_of_json(const Json& json) {
  if (!json.is_object()) return "";
  const auto error = json.find("error"), detail = json.find("detail");
  std::string text = error != json.end() ? member_text(*error, "message") : "";
  if (text.empty()) text = member_text(json, "error");
  if (text.empty()) text = member_text(json, "message");
  if (text.empty()) text = member_text(json, "detail");
  if (text.empty() && detail != json.end() && detail->is_array()) text = complaints(*detail);
  return text;
}

bool account_is_used_up(const std::string& body) {
  const auto json = parse_json(body, "error");
  if (!json.ok() || !json->is_object() || !json->contains("error")) return false;
  const Json& error = (*json)["error"];
  return member_text(error, "code") == "insufficient_quota" ||
         member_text(error, "type") == "insufficient_quota";
}

bool may_succeed_later(const HttpReply& reply) {
  if (reply.status == 429) return !account_is_used_up(reply.body);
  return reply.status >= 500 || reply.status == 408 || reply.status == 425;
}

}  // namespace

Status check_http_status(const HttpReply& reply, const std::string& who) {
  if (reply.status >= 200 && reply.status < 300) return ok_status();
  const std::string what =
      who + ": status " + std::to_string(reply.status) + ": " + error_text(reply.body);
  return may_succeed_later(reply) ? unavailable(what) : invalid_argument(what);
}

std::string error_text(const std::string& body) {
  const auto json = parse_json(body, "error");
  const std::string text = json.ok() ? text_of_json(*json) : "";
  return std::string(trim(text.empty() ? body : text).substr(0, kLongestText));
}

double read_retry_after(const std::string& value) {
  const std::string text(trim(value));
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (end != text.c_str() && *end == '\0')
    return std::isfinite(seconds) ? std::max(0.0, seconds) : 0;
  std::tm date = {};
  end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (end == nullptr || *end != '\0') return 0;
  return std::max(0.0, static_cast<double>(::timegm(&date)) - unix_time());
}

}  // namespace longshot::net
