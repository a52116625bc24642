#pragma once
// What every handler works with.

#include <cstdint>
#include <string>
#include <vector>

#include "data/types.h"
#include "rollout/engine_thread.h"
#include "server/model_metrics.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::server {

// References outlive the server. Read-only for handlers, which run on many threads.
struct Context {
  rollout::EngineThread& worker;
  ModelMetrics& metrics;
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatTemplate& chat_template;
  model::ModelConfig config;
  std::string model_name;
  std::string system;            // message put before a chat that has none; empty: none
  double timeout_seconds = 600;  // for one request, waiting included
  int64_t created = 0;           // unix time
};

}  // namespace longshot::server
