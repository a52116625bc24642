#include "server/model_metrics.h"

namespace longshot::server {

std::string ModelMetrics::format(const rollout::EngineThreadStats& worker) const {
  const auto line = net::metric_text;
  std::string text = requests.format();
  text += line("samples_running", "gauge", "samples in the batch", worker.running);
  text += line("samples_waiting", "gauge", "samples that wait for a place", worker.waiting);
  text +=
      line("samples_finished_total", "counter", "samples that ran to their end", worker.finished);
  text += line("samples_aborted_total", "counter", "samples ended from outside", worker.aborted);
  text += line("generated_tokens_total", "counter", "tokens sampled", worker.generated_tokens);
  text += line("steps_total", "counter", "forward passes", worker.steps);
  text += line("busy_seconds_total", "counter", "time in forward passes", worker.busy_seconds);
  text += line("idle_seconds_total", "counter", "time without work or paused", worker.idle_seconds);
  text += line("paused", "gauge", "1 while generation is paused", worker.paused ? 1 : 0);
  text += line("weight_version", "gauge", "version of the weights", worker.version);
  text += line("kv_blocks", "gauge", "KV blocks of 16 tokens there are", worker.kv_blocks);
  text += line("kv_blocks_used", "gauge", "KV blocks held by samples", worker.kv_blocks_in_use);
  text += time_to_first_token.format("time_to_first_token_seconds",
                                     "from a sample's submission to its first token");
  text += inter_token.format("inter_token_seconds", "between two tokens of a sample");
  return text;
}

}  // namespace longshot::server
