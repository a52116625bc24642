#pragma once
// Shared state of all handlers.

#include <cstdint>
#include <string>
#include <vector>

#include "data/types.h"
#include "rollout/engine_thread.h"
#include "server/model_metrics.h"
#include "server/served_models.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::server {

// References outlive the server. Handlers run on several threads; what they may change is
// thread-safe.
struct Context {
  rollout::EngineThread& worker;
  ModelMetrics& metrics;
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatTemplate& chat_template;
  model::ModelConfig config;
  ServedModels& models;
  bool may_load_adapters = false;  // requests may load and unload adapters
  std::string system;  // message inserted before a chat that has no system message; empty: none
  double timeout_seconds = 600;  // for one request, including its time in the queue
};

}  // namespace longshot::server
