#pragma once
// An author that asks a service with OpenAI's API (POST .../chat/completions).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "curate/tests/author.h"

namespace longshot::curate {

struct UrlAuthorOptions {
  std::string url;      // "http://host:port/v1"
  std::string model;    // the service's name for it
  std::string api_key;  // sent as a bearer token; empty: not sent
  std::string system;   // first message; empty: none
  double temperature = 1, top_p = 1;
  int max_tokens = 2048;
  std::vector<std::string> stop;
  std::optional<uint64_t> seed;  // the attempt is added; nullopt: not sent
  double timeout_seconds = 600;  // limit of one request
  // Retries if the service is full, gone or too slow, after 1, 2, 4, ... seconds.
  int retries = 4;
  double pause_seconds = 1;  // before the first retry
};

Result<std::unique_ptr<Author>> make_url_author(const UrlAuthorOptions& options);

}  // namespace longshot::curate
