#include "curate/samples/server_source.h"

#include <array>
#include <chrono>
#include <semaphore>

#include "base/os/stop.h"
#include "base/rng.h"
#include "base/text/text.h"
#include "base/thread_pool.h"
#include "datasets/schema.h"

namespace longshot::curate {
namespace {

constexpr double kLongestPause = 60;

// Names of the servers: OpenAI, vLLM and SGLang write "stop" and "length"; Text Generation
// Inference "eos_token" and "stop_sequence"; gateways to Anthropic's models "end_turn" and
// "max_tokens".
std::optional<data::FinishReason> finish_of(const std::string& reason) {
  for (const char* name : {"stop", "eos", "eos_token", "stop_sequence", "end_turn"})
    if (reason == name) return data::FinishReason::stop;
  for (const char* name : {"length", "max_tokens"})
    if (reason == name) return data::FinishReason::length;
  if (reason == "repetition") return data::FinishReason::repetition;
  return std::nullopt;
}

std::string text_of(const net::ChatChoice& choice, bool cut) {
  if (trim(choice.reasoning).empty()) return choice.content;
  const std::string thoughts = "<think>\n" + std::string(trim(choice.reasoning));
  if (cut && trim(choice.content).empty()) return thoughts;
  return thoughts + "\n</think>\n\n" + choice.content;
}

std::string defect_of(const net::ChatChoice& choice) {
  const auto finish = finish_of(choice.finish_reason);
  if (!choice.refusal.empty() || choice.finish_reason == "content_filter") return choice.defect();
  if (choice.finish_reason.empty())
    return "the server gives no finish reason, so the text may be cut";
  if (!finish) return "the response ended with finish reason '" + choice.finish_reason + "'";
  const bool empty = trim(choice.content).empty() && trim(choice.reasoning).empty();
  // One token is the end token: the model itself said nothing.
  return empty && choice.tokens != 1 ? choice.defect() : "";
}

class ServerSource : public SampleSource {
 public:
  ServerSource(ServerSourceOptions options, std::vector<net::Url> urls)
      : options_(std::move(options)),
        client_(std::move(urls), headers_of(options_), "--url", retries_of(options_)),
        free_(options_.concurrency) {}

  std::vector<Response> ask(const data::Prompt& prompt,
                            const std::vector<uint32_t>& indices) override {
    std::vector<Response> responses(indices.size());
    const int count = static_cast<int>(indices.size());
    ThreadPool(std::clamp(count, 1, options_.concurrency)).parallel_for(count, [&](int i) {
      const auto at = static_cast<size_t>(i);
      responses[at] = ask_one(prompt, indices[at]);
    });
    return responses;
  }

 private:
  static std::map<std::string, std::string> headers_of(const ServerSourceOptions& options) {
    if (options.api_key.empty()) return {};
    return {{"Authorization", "Bearer " + options.api_key}};
  }
  static net::Retries retries_of(const ServerSourceOptions& options) {
    const int replicas = static_cast<int>(options.urls.size());
    return {.count = (options.retries + 1) * replicas - 1,
            .request_seconds = options.timeout_seconds,
            .pause_seconds = options.pause_seconds,
            .longest_pause_seconds = kLongestPause};
  }

  Response ask_one(const data::Prompt& prompt, uint32_t index) {
    while (!free_.try_acquire_for(std::chrono::milliseconds(50))) {
      if (stop_requested()) return {cancelled("stopped"), {}, 0};
    }
    const auto choices = client_.ask(query(prompt, index), Deadline::never());
    free_.release();
    if (!choices.ok()) return {choices.status(), {}, 0};
    return response_of(choices->front());
  }

  net::ChatQuery query(const data::Prompt& prompt, uint32_t index) const {
    net::ChatQuery query;
    if (options_.api == net::CompletionApi::completions) {
      query.prompt_tokens = prompt.tokens;
      query.prompt = prompt.text;
    } else {
      query.messages = prompt.messages;
      if (query.messages.empty()) query.messages = {{"user", prompt.text}};
      add_template_data(prompt, query);
    }
    query.model = options_.model;
    query.max_tokens = options_.max_tokens;
    query.temperature = options_.temperature;
    query.top_p = options_.top_p;
    query.top_k = options_.top_k;
    query.min_p = options_.min_p;
    query.stop = options_.stop;
    // Some servers take only 31 bits.
    const uint64_t key = hash_combine(options_.seed, hash64(prompt.id));
    query.seed = hash_combine(key, index) >> 33;
    query.token_ids = options_.token_ids;
    return query;
  }

  // What a row gives its chat template besides roles and texts: the server renders it.
  static void add_template_data(const data::Prompt& prompt, net::ChatQuery& query) {
    tokenizer::Chat chat(query.messages.begin(), query.messages.end());
    const std::string text = datasets::restore_template_data(prompt, chat);
    query.raw_messages = OrderedJson::array();
    for (const tokenizer::ChatMessage& message : chat) {
      const auto whole = parse_ordered_json(message.json, "a message");
      query.raw_messages.push_back(whole.ok() ? *whole : data::to_json(message));
    }
    const auto arguments = parse_ordered_json(text, "the template arguments");
    if (!arguments.ok() || !arguments->is_object()) return;
    query.more_members = OrderedJson::object();
    for (const auto& [name, value] : arguments->items()) {
      if (name == "tools")
        query.more_members[name] = value;
      else
        query.more_members["chat_template_kwargs"][name] = value;
    }
  }

  const ServerSourceOptions options_;
  net::ChatClient client_;
  std::counting_semaphore<> free_;  // requests that may still begin
};

}  // namespace

Response response_of(const net::ChatChoice& choice) {
  Response response;
  const std::string defect = defect_of(choice);
  if (!defect.empty()) {
    response.status = corrupt("--url: no response: " + defect);
    return response;
  }
  response.tokens = choice.tokens;
  data::Sample& sample = response.sample;
  sample.finish = *finish_of(choice.finish_reason);
  sample.text = text_of(choice, sample.finish == data::FinishReason::length);
  sample.tokens = choice.token_ids;
  sample.logprobs = choice.logprobs;
  return response;
}

Result<std::unique_ptr<SampleSource>> make_server_source(const ServerSourceOptions& options) {
  std::vector<net::Url> urls;
  for (const std::string& text : options.urls) {
    LS_ASSIGN_OR_RETURN(net::Url url, net::parse_url(text, "--url"));
    const bool chat = options.api == net::CompletionApi::chat;
    url.path = chat ? net::chat_path(url.path) : net::completions_path(url.path);
    urls.push_back(std::move(url));
  }
  if (urls.empty()) return invalid_argument("--url: no server is given");
  return std::unique_ptr<SampleSource>(std::make_unique<ServerSource>(options, std::move(urls)));
}

}  // namespace longshot::curate
