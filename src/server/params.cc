#include "server/params.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <random>

#include "server/unsupported.h"

namespace longshot::server {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int>::max();
constexpr size_t kMaxBytesOfToken = 512;
// Each sample stores a copy of them, and each token is compared with them.
constexpr size_t kMaxStops = 128, kMaxStopBytes = 1024, kMaxStopTokens = 1024;

uint64_t random_seed() {
  thread_local std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

// The sampler checks the range of each value; its messages begin with the name of the option.
void check_ranges(net::Fields& fields, const rollout::SamplingOptions& sampling) {
  const Status status = rollout::check_sampling(sampling);
  if (status.ok()) return;
  const std::string& message = status.message();
  fields.fail(net::ApiError{.message = message, .param = message.substr(0, message.find(' '))});
}

ServedModels::Model read_model(net::Fields& fields, const Context& context) {
  const auto name = fields.string("model");
  if (name) return find_model(fields, "model", *name, context);
  fields.fail("model", "is missing; this server has " + context.models.names());
  return nullptr;
}

}  // namespace

GenerateParams read_sampling(net::Fields& fields, const Context& context) {
  GenerateParams params;
  rollout::SamplingOptions& sampling = params.sampling;
  sampling.temperature = fields.number("temperature", 1.0);
  sampling.top_p = fields.number("top_p", 1.0);
  const int64_t top_k = fields.integer("top_k", -1, kMaxInt).value_or(0);
  sampling.top_k = static_cast<int>(std::max<int64_t>(top_k, 0));  // vLLM's -1 means "all"
  sampling.min_p = fields.number("min_p", 0.0);
  sampling.stop_strings = fields.strings("stop");
  for (const std::string& stop : sampling.stop_strings) {
    if (stop.empty()) fields.fail("stop", "must not hold an empty string");
    if (stop.size() > kMaxStopBytes)
      fields.fail("stop", fmt::format("must not hold a string above {} bytes", kMaxStopBytes));
  }
  if (sampling.stop_strings.size() > kMaxStops)
    fields.fail("stop", fmt::format("may hold at most {} strings", kMaxStops));
  sampling.stop_tokens = fields.tokens("stop_token_ids").value_or(TokenIds{});
  if (sampling.stop_tokens.size() > kMaxStopTokens)
    fields.fail("stop_token_ids", fmt::format("may hold at most {} ids", kMaxStopTokens));
  if (!fields.boolean("ignore_eos", false)) {
    const auto& ends = context.config.eos_token_ids;
    sampling.stop_tokens.insert(sampling.stop_tokens.end(), ends.begin(), ends.end());
  }
  const auto seed = fields.integer("seed", std::numeric_limits<int64_t>::min(),
                                   std::numeric_limits<int64_t>::max());
  params.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  params.n = static_cast<int>(fields.integer("n", 1, 4096).value_or(1));
  params.timeout_seconds = context.timeout_seconds;
  check_ranges(fields, sampling);
  return params;
}

OpenAiParams read_openai(net::Fields& fields, const Context& context) {
  OpenAiParams params;
  auto model = read_model(fields, context);
  params.generate = read_sampling(fields, context);
  params.generate.models = {std::move(model)};
  params.shown = params.generate.n;
  params.stream = fields.boolean("stream", false);
  params.return_token_ids = fields.boolean("return_token_ids", false);
  if (const auto options = fields.any("stream_options")) {
    net::Fields inner(*options, "stream_options.");
    params.include_usage = inner.boolean("include_usage", false);
    inner.ignore({"include_obfuscation"});
    inner.finish();
    if (!inner.ok()) fields.fail(inner.error());
    if (!params.stream) fields.fail("stream_options", "is only allowed when 'stream' is true");
  }
  refuse_unsupported(fields);
  return params;
}

void set_lengths(net::Fields& fields, std::optional<int64_t> max_tokens, int fallback,
                 const Context& context, GenerateParams& params) {
  size_t longest = 0;
  for (const TokenIds& prompt : params.prompts) {
    if (prompt.empty()) return fields.fail(net::ApiError{.message = "the prompt has no tokens"});
    longest = std::max(longest, prompt.size());
  }
  const int64_t context_length = context.worker.limits().max_sequence;
  const int64_t room = context_length - static_cast<int64_t>(longest);
  // A default never refuses a prompt that leaves room for a token.
  const int64_t most = std::max<int64_t>(room, 1);
  const int64_t wanted =
      max_tokens.value_or(fallback > 0 ? std::min<int64_t>(fallback, most) : most);
  if (wanted > room) {
    return fields.fail(net::ApiError{
        .message =
            fmt::format("this server's context is {} tokens; the prompt has {} and the answer "
                        "may have {}; shorten the prompt or lower max_tokens",
                        context_length, longest, wanted),
        .code = "context_length_exceeded"});
  }
  params.sampling.max_response_length = static_cast<int>(wanted);
}

void check_text_size(net::Fields& fields, const std::string& param, size_t bytes,
                     const Context& context) {
  const int64_t room = context.worker.limits().max_sequence;
  if (bytes / kMaxBytesOfToken <= static_cast<size_t>(room)) return;
  fields.fail(
      net::ApiError{.message = fmt::format("this server's context is {} tokens; a text of {} "
                                           "bytes does not fit",
                                           room, bytes),
                    .param = param,
                    .code = "context_length_exceeded"});
}

void check_ids(net::Fields& fields, const std::string& param, const TokenIds& ids,
               const Context& context) {
  const int size = context.config.vocab_size;
  const auto bad =
      std::ranges::find_if(ids, [=](data::TokenId id) { return id < 0 || id >= size; });
  if (bad == ids.end()) return;
  fields.fail(net::ApiError{
      .message = fmt::format("token {} is outside the vocabulary of {} tokens", *bad, size),
      .param = param});
}

void check_prompt_count(net::Fields& fields, size_t prompts, const Context& context) {
  const auto limit = static_cast<size_t>(context.worker.max_samples());
  if (prompts <= limit) return;
  fields.fail(net::ApiError{
      .message =
          fmt::format("{} prompts are more than this server takes at once, {}", prompts, limit),
      .code = "too_many_samples"});
}

ServedModels::Model find_model(net::Fields& fields, const std::string& param,
                               const std::string& name, const Context& context) {
  auto model = context.models.find(name);
  if (model == nullptr) {
    fields.fail(net::ApiError{
        .status = 404,
        .message =
            "the model '" + name + "' does not exist; this server has " + context.models.names(),
        .param = param,
        .code = "model_not_found"});
  }
  return model;
}

}  // namespace longshot::server
