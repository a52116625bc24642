#pragma once
// Shared state of all handlers.

#include <cstdint>
#include <string>
#include <vector>

#include "data/types.h"
#include "rollout/engine_thread.h"
#include "server/model_metrics.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::server {

// References outlive the server. Read-only for handlers, which run on several threads.
struct Context {
  rollout::EngineThread& worker;
  ModelMetrics& metrics;
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatTemplate& chat_template;
  model::ModelConfig config;
  std::string model_name;
  std::string system;  // message inserted before a chat that has no system message; empty: none
  double timeout_seconds = 600;  // for one request, including its time in the queue
  int64_t created = 0;           // unix time
};

}  // namespace longshot::server
