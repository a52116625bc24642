// longshot serve: an HTTP server with OpenAI's API.

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "commands/command.h"
#include "commands/key_flags.h"
#include "commands/model/http_options.h"
#include "commands/model/inference.h"
#include "commands/model/model.h"
#include "config/sections/rollout.h"
#include "server/server.h"

namespace longshot::commands {
namespace {

struct Options {
  InferenceOptions inference;
  net::HttpOptions http;
  std::string model_name;             // empty: the last part of the model's path
  std::vector<std::string> adapters;  // NAME=DIR
  bool allow_adapter_loading = false;
  int max_loras = 16;
  int max_concurrent = 64, max_waiting = 256, max_sequence = 0, kv_blocks = 0;
  int max_batched_tokens = 512;
  double timeout = 600, grace = 10;
};

std::string default_name(const std::string& path) {
  const std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  return clean.has_filename() ? clean.filename().string() : clean.parent_path().filename().string();
}

std::string base_name(const Options& options) {
  return options.model_name.empty() ? default_name(options.inference.model.path)
                                    : options.model_name;
}

using NamedPaths = std::map<std::string, std::string>;

// Reads --adapter before the base model, which may take long to load. Error: a value is not of the
// form, a name is taken, or there is no adapter at the path.
Result<NamedPaths> adapters_of(const Options& options) {
  NamedPaths adapters;
  for (const std::string& text : options.adapters) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == text.size())
      return invalid_argument("--adapter " + text +
                              ": write NAME=DIR, such as sql=runs/sql/adapter");
    const std::string name = text.substr(0, sign), path = text.substr(sign + 1);
    if (name == base_name(options)) {
      return invalid_argument(fmt::format(
          "--adapter {}: '{}' is the name of the base model; choose another name, or give the base "
          "another one with --served-model-name",
          text, name));
    }
    const auto found = server::find_adapter(path);
    if (!found.ok()) return found.status().with_context("--adapter " + text);
    if (!adapters.emplace(name, path).second)
      return invalid_argument("--adapter: two adapters have the name '" + name + "'");
  }
  return adapters;
}

Status check_device(const Options& options) {
  const bool adapters = !options.adapters.empty() || options.allow_adapter_loading;
  const inference::EngineChoice& engine = options.inference.engine;
  if (!adapters || rollout::uses_cpu_kernels(engine.runner, engine.device)) return ok_status();
  return invalid_argument(fmt::format(
      "--adapter and --allow-adapter-loading need --device cpu, because only its kernels compute "
      "adapters beside their base; with --device {} serve a merged model (longshot convert "
      "--model BASE --adapter DIR --output DIR)",
      engine.device));
}

Status load_adapters(const NamedPaths& adapters, const model::ModelConfig& config,
                     server::ServedModels& models, rollout::EngineThread& worker) {
  for (const auto& [name, path] : adapters) {
    LS_RETURN_IF_ERROR(models.load(name, path, false, config, worker)
                           .with_context(fmt::format("--adapter {}={}", name, path)));
  }
  return ok_status();
}

rollout::RunnerLimits limits_of(const Options& options, const model::ModelConfig& config) {
  const int trained = model::context_length(config);
  rollout::RunnerLimits limits;
  limits.max_running = options.max_concurrent;
  limits.max_sequence = options.max_sequence > 0 ? options.max_sequence
                        : trained > 0            ? std::min(trained, 4096)
                                                 : 4096;
  limits.kv_blocks = options.kv_blocks;
  limits.max_rows = options.max_batched_tokens;
  inference::warn_of_positions(config, limits.max_sequence, "prompt and answer (--max-sequence)");
  return limits;
}

// Lets requests in flight finish; true if all of them did within the grace period.
bool drain(net::HttpServer& http, rollout::EngineThread& worker, double grace) {
  http.refuse_new();
  worker.resume();
  const bool drained = http.drain(grace);
  if (!drained) log::warn("{} requests were cut off", http.in_flight());
  worker.abort_all("the server is shutting down");
  return drained;
}

Status check_limits(const rollout::RunnerLimits& limits) {
  if (limits.max_rows <= limits.max_running) {
    return invalid_argument(fmt::format(
        "--max-batched-tokens {} leaves no room for prompts in addition to the next tokens of {} "
        "samples: give more than --max-concurrent",
        limits.max_rows, limits.max_running));
  }
  const int least = rollout::blocks_for(limits.max_sequence);
  if (limits.blocks() >= least) return ok_status();
  return invalid_argument(fmt::format(
      "--kv-blocks {} cannot hold one sequence of {} tokens: give at least {}, or a smaller "
      "--max-sequence",
      limits.kv_blocks, limits.max_sequence, least));
}

Result<bool> serve(Options& options) {
  return_memory_early();
  LS_RETURN_IF_ERROR(check_device(options));
  LS_ASSIGN_OR_RETURN(const NamedPaths adapters, adapters_of(options));
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, load_for_inference(options.inference));
  const rollout::RunnerLimits limits = limits_of(options, files.config);
  LS_RETURN_IF_ERROR(check_limits(limits));
  LS_ASSIGN_OR_RETURN(auto engine, inference::open_engine(options.inference.model,
                                                          options.inference.engine, files, limits));
  engine->keep_finished(true);  // a conversation's next request begins with the last answer
  rollout::EngineThread worker(std::move(engine), {.max_waiting = options.max_waiting});
  server::ServedModels models({.name = base_name(options),
                               .root = options.inference.model.path,
                               .created = static_cast<int64_t>(unix_time())});
  LS_RETURN_IF_ERROR(load_adapters(adapters, files.config, models, worker));
  // Requests may replace adapters of --adapter, of which there may be more.
  models.limit_adapters(std::max(static_cast<size_t>(options.max_loras), adapters.size()));
  server::ModelMetrics metrics;
  const server::Context context{.worker = worker,
                                .metrics = metrics,
                                .tokenizer = *files.tokenizer,
                                .chat_template = files.chat_template,
                                .config = files.config,
                                .models = models,
                                .may_load_adapters = options.allow_adapter_loading,
                                .system = options.inference.system,
                                .timeout_seconds = options.timeout};
  constexpr int kSpareConnections = 64;  // for /health, /pause and refusals while the queue is full
  options.http.connections = options.max_concurrent + options.max_waiting + kSpareConnections;
  LS_ASSIGN_OR_RETURN(
      const auto http,
      net::HttpServer::start(options.http, server::all_routes(context), metrics.requests));
  if (!files.chat_template.is_plain())
    log::info(
        "the chat template is for /v1/chat/completions; /v1/completions gives prompts to the model "
        "as they are");
  fmt::print("serving {} on http://{}:{}\n", models.names(), options.http.host, http->port());
  std::fflush(stdout);
  wait_for_stop();
  return drain(*http, worker, options.grace);
}

Status run(Options& options) {
  LS_ASSIGN_OR_RETURN(const bool drained, serve(options));
  return drained ? ok_status() : cancelled("stopped before all requests were answered");
}

void add_limits(CLI::App& command, Options& options) {
  Settings keys;
  config::bind_concurrency(keys, options.max_concurrent);
  config::bind_kv_blocks(keys, options.kv_blocks);
  add_key_flags(
      command, keys,
      {{"--max-concurrent", "rollout.max_concurrent"}, {"--kv-blocks", "rollout.kv_blocks"}});
  command
      .add_option("--max-waiting", options.max_waiting,
                  "samples that may wait for a place; requests beyond get status 429")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--max-sequence", options.max_sequence,
                  "tokens of prompt and answer; 0 = what the model was made for, at most 4096")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--max-batched-tokens", options.max_batched_tokens,
                  "tokens in one pass, those of prompts included: fewer let others' answers stall "
                  "less while prompts are read, more read prompts faster")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--timeout", options.timeout, "seconds a request may take, waiting included")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_adapter_options(CLI::App& command, Options& options) {
  command
      .add_option("--adapter", options.adapters,
                  "serve the adapter in DIR (peft's LoRA) as the model NAME, beside the model of "
                  "--model, which is in memory only once; may be given several times")
      ->type_name("NAME=DIR")
      ->expected(1)
      ->take_all();
  CLI::Option* loading =
      command.add_flag("--allow-adapter-loading", options.allow_adapter_loading,
                       "requests may load and unload adapters (/v1/load_lora_adapter, "
                       "/v1/unload_lora_adapter): for clients that may read this machine's files");
  command
      .add_option("--max-loras", options.max_loras,
                  "with --allow-adapter-loading: requests can load no adapter beyond this number; "
                  "those of --adapter count")
      ->needs(loading)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace

void add_serve(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Serve a model over HTTP with OpenAI's API");
  command->footer(
      "HTTP server with OpenAI's API (chat/completions, completions), /generate with token "
      "ids, pause, resume, update_weights and Prometheus metrics");
  add_model_options(*command, options->inference);
  add_http_options(*command, options->http, options->grace);
  command->add_option("--served-model-name", options->model_name,
                      "the name requests ask for; default: the last part of --model");
  add_adapter_options(*command, *options);
  add_limits(*command, *options);
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands
