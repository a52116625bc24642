#pragma once
// The reply of an HTTP service and what it says to the client: success, refusal, "come back later".
// Pure.

#include <string>

#include "base/status.h"

namespace longshot::net {

struct HttpReply {
  int status = 0;
  std::string body;
  double retry_after = 0;  // seconds to wait before the next request; 0: the service names none
};

// ok for 2xx. unavailable for statuses after which the same request may succeed: 5xx, 408, 425 and
// 429, unless an account is used up ("insufficient_quota"). invalid_argument otherwise. The message
// is `who`, the status and error_text().
Status check_http_status(const HttpReply& reply, const std::string& who);

// The message in the body of an error, at most 300 bytes: {"error": {"message": text}} (OpenAI,
// vLLM, llama.cpp), {"error": text} (Ollama), {"message": text} (SGLang), {"detail": text or a list
// of {"loc", "msg"}} (FastAPI). Any other body is returned itself.
std::string error_text(const std::string& body);

// Reads the value of a Retry-After header (RFC 9110, 10.2.3), a number of seconds or a date.
// Returns the seconds from now; 0 for a date in the past and for any other text.
double read_retry_after(const std::string& value);

}  // namespace longshot::net
