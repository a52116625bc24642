#pragma once
// An author behind OpenAI's chat API (net/chat_client.h).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "curate/tests/author.h"

namespace longshot::curate {

struct UrlAuthorOptions {
  std::string url;      // "http://host:port" or with a path; net::chat_path() completes it
  std::string model;    // the service's name for it
  std::string api_key;  // sent as a bearer token; empty: not sent
  std::string system;   // first message; empty: none
  double temperature = 1, top_p = 1;
  int max_tokens = 2048;
  std::vector<std::string> stop;
  std::optional<uint64_t> seed;  // the attempt is added; nullopt: not sent
  double timeout_seconds = 600;  // limit of one request
  // Repetitions if the service is full, gone or too slow, after 1, 2, 4, ... seconds, or after the
  // time that it names.
  int retries = 4;
  double pause_seconds = 1;  // before the first retry
};

Result<std::unique_ptr<Author>> make_url_author(const UrlAuthorOptions& options);

}  // namespace longshot::curate
