// SGLang's own API: /generate with token ids, and /update_weights_from_disk. Source:
// https://docs.sglang.io/basic_usage/native_api.html and
// https://docs.sglang.io/advanced_features/sglang_for_rl.html.

#include <fmt/format.h>

#include "base/json.h"
#include "rollout/remote/backend/backend.h"
#include "rollout/remote/backend/error_event.h"

namespace longshot::rollout {
namespace {

constexpr const char* kEvent = "SGLang's event";

// The last `count` items of a list, each [log-probability, token, text].
Status read_items(const Json& list, size_t count, ServerTokens& out) {
  for (size_t i = list.size() - count; i < list.size(); ++i) {
    const Json& item = list[i];
    const bool sound = item.is_array() && item.size() >= 2 && item[1].is_number_integer();
    const auto logprob = sound ? number_of(item[0]) : std::nullopt;
    if (!logprob) return corrupt(std::string(kEvent) + ": output_token_logprobs is malformed");
    out.logprobs.push_back(static_cast<float>(*logprob));
    out.tokens.push_back(item[1].get<data::TokenId>());
  }
  return ok_status();
}

class Sglang final : public ServerProtocol {
 public:
  ServerCall generate(const ServerQuery& query) const override {
    const SamplingOptions& s = query.sampling;
    const bool greedy = s.temperature == 0;
    const Json sampling = {{"max_new_tokens", query.max_tokens},
                           {"temperature", s.temperature},
                           {"top_p", greedy ? 1.0 : s.top_p},
                           {"top_k", greedy || s.top_k == 0 ? -1 : s.top_k},
                           {"min_p", greedy ? 0.0 : s.min_p},
                           {"repetition_penalty", 1.0},
                           {"presence_penalty", 0.0},
                           {"frequency_penalty", 0.0},
                           {"sampling_seed", query.seed},
                           {"ignore_eos", true},
                           {"stop_token_ids", s.stop_tokens},
                           {"skip_special_tokens", false},
                           {"no_stop_trim", true}};
    const Json body = {{"input_ids", query.tokens},
                       {"sampling_params", sampling},
                       {"return_logprob", true},
                       {"logprob_start_len", -1},
                       {"stream", true},
                       {"rid", query.id}};
    return {"/generate", dump_json(body)};
  }

  Result<ServerTokens> read(const std::string& event, size_t have) const override {
    LS_RETURN_IF_ERROR(error_of_event(event, kEvent));
    return or_corrupt(tokens_of(event, have));
  }

  std::vector<ServerCall> load(const std::string& folder,
                               const std::string& version) const override {
    const Json body = {{"model_path", folder},
                       {"weight_version", version},
                       {"abort_all_requests", true},
                       {"flush_cache", true}};
    return {{"/update_weights_from_disk", dump_json(body)}};
  }

  Status check_loaded(const std::string& body) const override {
    const auto json = parse_json(body, "");
    const auto success = json.ok() ? json_get<bool>(*json, "success", "") : json.status();
    if (success.ok() && *success) return ok_status();
    return unavailable("nothing was loaded: " + body.substr(0, 300));
  }

  std::string load_hint() const override {
    return "the server must see the folder of the weights (--weights-dir), and serve the same "
           "architecture";
  }

  Status check_sampling(const SamplingOptions& sampling, LogprobMode mode) const override {
    const bool cuts = sampling.temperature != 0 && cuts_distribution(sampling);
    if (!cuts || mode.after_filters) return ok_status();
    return invalid_argument(
        "the server's log-probabilities are those before top_p, top_k and min_p, so these do not "
        "work with it; set rollout.top_p = 1, rollout.top_k = 0 and rollout.min_p = 0");
  }

 private:
  // An event has all tokens so far, or with --incremental-streaming-output those since the last
  // one; its completion_tokens always counts all. Releases differ in which lists are cut.
  static Result<ServerTokens> tokens_of(const std::string& event, size_t have) {
    LS_ASSIGN_OR_RETURN(const Json json, parse_json(event, kEvent));
    LS_ASSIGN_OR_RETURN(const Json meta, json_get<Json>(json, "meta_info", kEvent));
    LS_ASSIGN_OR_RETURN(ServerTokens out, finish_of(meta));
    LS_ASSIGN_OR_RETURN(const auto total, json_get<int64_t>(meta, "completion_tokens", kEvent));
    const int64_t fresh = total - static_cast<int64_t>(have);
    const auto list = meta.find("output_token_logprobs");
    const size_t given = list != meta.end() && list->is_array() ? list->size() : 0;
    const bool fits =
        fresh >= 0 && (given == static_cast<size_t>(fresh) || given == static_cast<size_t>(total));
    if (!fits) {
      return corrupt(fmt::format(
          "{}: it has {} log-probabilities, {} tokens came before, and completion_tokens is {}",
          kEvent, given, have, total));
    }
    if (fresh > 0) LS_RETURN_IF_ERROR(read_items(*list, static_cast<size_t>(fresh), out));
    LS_RETURN_IF_ERROR(compare_ids(json, out.tokens));
    return out;
  }

  static Result<ServerTokens> finish_of(const Json& meta) {
    ServerTokens out;
    const auto finish = meta.find("finish_reason");
    if (finish == meta.end() || finish->is_null()) return out;
    LS_ASSIGN_OR_RETURN(out.finish, json_get<std::string>(*finish, "type", kEvent));
    if (out.finish != "abort") return out;
    return unavailable("the server aborted the request: " + dump_json(*finish));
  }

  // The ids of the answer itself, if they are there.
  static Status compare_ids(const Json& json, const std::vector<data::TokenId>& tokens) {
    const auto ids = json.find("output_ids");
    if (ids == json.end() || !ids->is_array()) return ok_status();
    bool same = ids->size() >= tokens.size();
    for (size_t i = 0; same && i < tokens.size(); ++i)
      same = (*ids)[ids->size() - tokens.size() + i] == tokens[i];
    return same ? ok_status()
                : corrupt(std::string(kEvent) + ": output_ids and output_token_logprobs disagree");
  }
};

}  // namespace

std::unique_ptr<ServerProtocol> make_sglang_protocol() {
  return std::make_unique<Sglang>();
}

std::unique_ptr<ServerProtocol> make_protocol(data::EngineKind kind) {
  return kind == data::EngineKind::vllm ? make_vllm_protocol() : make_sglang_protocol();
}

}  // namespace longshot::rollout
