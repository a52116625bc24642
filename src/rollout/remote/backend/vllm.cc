// vLLM's OpenAI-compatible server: /v1/completions with token ids, and the routes that it has with
// VLLM_SERVER_DEV_MODE=1. Sources: https://docs.vllm.ai/en/v0.32.0/serving/online_serving,
// https://docs.vllm.ai/en/v0.32.0/api/vllm/entrypoints/serve/dev/rpc/api_router.

#include <fmt/format.h>

#include "base/json.h"
#include "net/choices.h"
#include "rollout/remote/backend/backend.h"
#include "rollout/remote/backend/error_event.h"

namespace longshot::rollout {
namespace {

constexpr const char* kEvent = "vLLM's event";

class Vllm final : public ServerProtocol {
 public:
  // Everything that generation_config.json could set is sent, so the server's defaults do not
  // apply. logprobs = 0 asks for those of the sampled tokens only.
  ServerCall generate(const ServerQuery& query) const override {
    const SamplingOptions& s = query.sampling;
    const bool greedy = s.temperature == 0;
    const Json body = {{"prompt", query.tokens},
                       {"add_special_tokens", false},
                       {"max_tokens", query.max_tokens},
                       {"temperature", s.temperature},
                       {"top_p", greedy ? 1.0 : s.top_p},
                       {"top_k", greedy ? 0 : s.top_k},
                       {"min_p", greedy ? 0.0 : s.min_p},
                       {"repetition_penalty", 1.0},
                       {"presence_penalty", 0.0},
                       {"frequency_penalty", 0.0},
                       {"seed", query.seed},
                       {"ignore_eos", true},
                       {"stop_token_ids", s.stop_tokens},
                       {"logprobs", 0},
                       {"return_token_ids", true},
                       {"return_tokens_as_token_ids", true},
                       {"request_id", query.id},
                       {"stream", true}};
    return {"/v1/completions", dump_json(body)};
  }

  Result<ServerTokens> read(const std::string& event, size_t) const override {
    LS_RETURN_IF_ERROR(error_of_event(event, kEvent));
    return or_corrupt(tokens_of(event));
  }

  std::vector<ServerCall> load(const std::string& folder, const std::string&) const override {
    const Json reload = {{"method", "reload_weights"}, {"kwargs", {{"weights_path", folder}}}};
    return {{"/collective_rpc", dump_json(reload)}, {"/reset_prefix_cache", "{}"}};
  }

  // Releases before reset_prefix_cache had an answer send an empty body.
  Status check_loaded(const std::string& body) const override {
    const auto json = parse_json(body, "");
    const auto success = json.ok() ? json_get<bool>(*json, "success", "") : json.status();
    if (!success.ok() || *success) return ok_status();
    return exhausted("the prefix cache is in use and could not be reset");
  }

  std::string load_hint() const override {
    return "start the server with VLLM_SERVER_DEV_MODE=1 in its environment";
  }

  Status check_sampling(const SamplingOptions& sampling, LogprobMode mode) const override {
    const bool plain =
        sampling.temperature == 0 || (sampling.temperature == 1 && !cuts_distribution(sampling));
    if (plain || mode.after_filters) return ok_status();
    return invalid_argument(
        "the server's log-probabilities are those before temperature and filters; start it with "
        "--logprobs-mode processed_logprobs");
  }

 private:
  static Result<ServerTokens> tokens_of(const std::string& event) {
    LS_ASSIGN_OR_RETURN(const Json json, parse_json(event, kEvent));
    const auto choices_json = json.find("choices");
    if (choices_json != json.end() && choices_json->is_array() && choices_json->empty())
      return ServerTokens{};  // of the usage
    LS_ASSIGN_OR_RETURN(auto choices, net::read_choices(event, kEvent));
    net::ChatChoice& choice = choices.front();
    if (choice.tokens > 0 && (choice.token_ids.empty() || choice.logprobs.empty())) {
      return corrupt(fmt::format(
          "{}: the token ids are missing, or their number and that of the log-probabilities "
          "differ: {}",
          kEvent, event.substr(0, 300)));
    }
    if (choice.finish_reason == "abort") return unavailable("the server aborted the request");
    return ServerTokens{std::move(choice.token_ids), std::move(choice.logprobs),
                        std::move(choice.finish_reason)};
  }
};

}  // namespace

std::unique_ptr<ServerProtocol> make_vllm_protocol() {
  return std::make_unique<Vllm>();
}

}  // namespace longshot::rollout
