#include "server/openai.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/check.h"
#include "base/os/clock.h"
#include "net/errors.h"
#include "rollout/sampling/text_stream.h"
#include "server/generation.h"

namespace longshot::server {
namespace {

std::string random_id() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return fmt::format("{:016x}", random());
}

// The fields that all objects of one answer share.
struct Head {
  std::string id, object, model, fingerprint;
  int64_t created = 0;

  OrderedJson json(OrderedJson choices) const {
    OrderedJson out;
    out["id"] = id;
    out["object"] = object;
    out["created"] = created;
    out["model"] = model;
    out["system_fingerprint"] = fingerprint;
    out["choices"] = std::move(choices);
    return out;
  }
};

Head make_head(const Context& context, const OpenAiParams& params, const Format& format,
               bool stream) {
  return {format.id_prefix() + random_id(), format.object(stream), params.generate.model(0).name,
          fmt::format("weights-{}", context.worker.stats().version),
          static_cast<int64_t>(unix_time())};
}

OrderedJson usage_json(const GenerateParams& params, int64_t completion) {
  int64_t prompt = 0;
  for (const TokenIds& tokens : params.prompts) prompt += static_cast<int64_t>(tokens.size());
  OrderedJson json;
  json["prompt_tokens"] = prompt;
  json["completion_tokens"] = completion;
  json["total_tokens"] = prompt + completion;
  return json;
}

std::vector<data::TokenId> ids_of(const std::vector<rollout::Choice>& tokens) {
  std::vector<data::TokenId> ids;
  for (const auto& token : tokens) ids.push_back(token.token);
  return ids;
}

OrderedJson choice_json(const Context& context, const OpenAiParams& params, const Format& format,
                        const AnswerPart& part, bool stream) {
  OrderedJson json = format.choice(part, stream);
  json["logprobs"] = params.logprobs ? format.logprobs(part, context.tokenizer) : OrderedJson();
  json["finish_reason"] =
      part.finish_reason.empty() ? OrderedJson() : OrderedJson(part.finish_reason);
  if (params.return_token_ids) {
    json["token_ids"] = ids_of(part.tokens);
    if (part.first) json["prompt_token_ids"] = params.generate.prompts[part.index / params.shown];
  }
  return json;
}

std::vector<rollout::Choice> tokens_of(const data::Sample& sample) {
  std::vector<rollout::Choice> tokens;
  for (size_t i = 0; i < sample.tokens.size(); ++i)
    tokens.push_back({sample.tokens[i], sample.logprobs[i], {}});
  return tokens;
}

// Completes an answer that echoes its prompt: text and first token, which has no log-probability.
// Returns the number of tokens that were generated only because a sample needs one; they are
// removed.
int64_t put_prompt_first(const Context& context, const GenerateParams& params, size_t prompt,
                         AnswerPart& part) {
  const TokenIds& tokens = params.prompts[prompt];
  part.tokens.insert(part.tokens.begin(),
                     {tokens.front(), std::numeric_limits<float>::quiet_NaN(), {}});
  const size_t most = tokens.size() + static_cast<size_t>(params.sampling.max_response_length);
  const size_t removed = part.tokens.size() - std::min(part.tokens.size(), most);
  part.tokens.resize(part.tokens.size() - removed);
  if (removed > 0) part.text.clear();
  part.text.insert(0, context.tokenizer.decode(tokens));
  return static_cast<int64_t>(removed);
}

double mean_logprob(const AnswerPart& part) {
  double sum = 0;
  for (const rollout::Choice& token : part.tokens) sum += token.logprob;
  return sum / static_cast<double>(std::max<size_t>(part.tokens.size(), 1));
}

// Of the samples of each prompt, keeps those that the answer has, the best first.
std::vector<AnswerPart> best_of(const OpenAiParams& params, std::vector<AnswerPart> parts) {
  if (params.generate.n == params.shown) return parts;
  std::vector<AnswerPart> kept;
  for (auto begin = parts.begin(); begin != parts.end(); begin += params.generate.n) {
    std::stable_sort(
        begin, begin + params.generate.n,
        [](const AnswerPart& a, const AnswerPart& b) { return mean_logprob(a) > mean_logprob(b); });
    for (int i = 0; i < params.shown; ++i) {
      kept.push_back(std::move(begin[i]));
      kept.back().index = static_cast<int>(kept.size()) - 1;
    }
  }
  return kept;
}

net::Reply whole_answer(const Context& context, const net::Call& call, const OpenAiParams& params,
                        const Format& format, Generation& generation) {
  std::vector<AnswerPart> parts(generation.choices());
  int64_t completion = 0;
  while (auto event = generation.next(call.connection)) {
    AnswerPart& part = parts[event->choice];
    if (!event->end) {
      part.tokens.push_back(std::move(event->token));
      continue;
    }
    if (!event->end->status.ok()) return net::error_reply(net::error_of(event->end->status));
    const data::Sample& sample = event->end->sample;
    if (part.tokens.empty()) part.tokens = tokens_of(sample);
    part.index = event->choice;
    part.first = true;
    part.text = sample.text;
    const size_t prompt = event->choice / params.generate.n;
    completion += static_cast<int64_t>(part.tokens.size()) - params.generate.forced(prompt);
    if (params.generate.echo)
      completion -= put_prompt_first(context, params.generate, prompt, part);
    Offsets offsets(context.tokenizer);
    const int64_t end = characters(part.text);  // the tokens of a stop string lie after it
    for (const auto& token : part.tokens)
      part.offsets.push_back(std::min(offsets.next(token.token), end));
    part.finish_reason = data::finish_reason_name(sample.finish);
  }
  if (generation.abandoned()) return net::client_gone_reply();
  OrderedJson choices = OrderedJson::array();
  for (const AnswerPart& part : best_of(params, std::move(parts)))
    choices.push_back(choice_json(context, params, format, part, false));
  OrderedJson json = make_head(context, params, format, false).json(std::move(choices));
  json["usage"] = usage_json(params.generate, completion);
  net::Reply reply;
  reply.body = dump_json(json);
  reply.note = fmt::format("{} tokens", completion);
  return reply;
}

// Produces the pieces of a streamed answer.
class Stream {
 public:
  Stream(const Context& context, const net::Call& call, const OpenAiParams& params,
         std::shared_ptr<const Format> format, std::unique_ptr<Generation> generation)
      : context_(context),
        connection_(call.connection),
        params_(params),
        format_(std::move(format)),
        head_(make_head(context, params, *format_, true)),
        generation_(std::move(generation)) {
    for (int i = 0; i < generation_->choices(); ++i)
      choices_.emplace_back(context.tokenizer, params.generate.sampling.stop_strings);
  }

  bool next(std::string& piece) {
    auto event = generation_->next(connection_);
    if (!event) {
      if (!generation_->abandoned()) piece = closing();
      return false;
    }
    if (!event->end) {
      piece = token(event->choice, std::move(event->token));
      return true;
    }
    if (!event->end->status.ok()) {
      piece = sse_event(net::error_json(net::error_of(event->end->status)));
      return false;
    }
    piece = last(event->choice, event->end->sample.finish);
    return true;
  }

 private:
  struct ChoiceState {
    ChoiceState(const tokenizer::Tokenizer& tokenizer, const std::vector<std::string>& stops)
        : text(tokenizer, stops), offsets(tokenizer) {}
    rollout::TextStream text;
    Offsets offsets;
    std::vector<rollout::Choice> tokens;  // not sent yet
    std::vector<int64_t> begins;          // offsets of `tokens`
    int64_t sent = 0;                     // characters, without those of a stop string
    bool first = true;
  };

  std::string token(int choice, rollout::Choice token) {
    ChoiceState& state = choices_[choice];
    const std::string text = state.text.add(token.token);
    state.begins.push_back(state.offsets.next(token.token));
    state.tokens.push_back(std::move(token));
    ++completion_;
    return text.empty() ? "" : send(choice, text, "");
  }

  std::string last(int choice, data::FinishReason reason) {
    return send(choice, choices_[choice].text.finish(), data::finish_reason_name(reason));
  }

  std::string send(int choice, const std::string& text, const std::string& finish_reason) {
    ChoiceState& state = choices_[choice];
    state.sent += characters(text);
    for (int64_t& begin : state.begins) begin = std::min(begin, state.sent);
    const AnswerPart part{.index = choice,
                          .first = state.first,
                          .text = text,
                          .tokens = std::exchange(state.tokens, {}),
                          .offsets = std::exchange(state.begins, {}),
                          .finish_reason = finish_reason};
    state.first = false;
    OrderedJson json = head_.json({choice_json(context_, params_, *format_, part, true)});
    if (params_.include_usage) json["usage"] = nullptr;
    return sse_event(dump_json(json));
  }

  std::string closing() const {
    std::string text;
    if (params_.include_usage) {
      OrderedJson json = head_.json(OrderedJson::array());
      json["usage"] = usage_json(params_.generate, completion_);
      text = sse_event(dump_json(json));
    }
    return text + sse_event("[DONE]");
  }

  const Context& context_;
  const net::Connection connection_;
  const OpenAiParams params_;
  const std::shared_ptr<const Format> format_;
  const Head head_;
  std::unique_ptr<Generation> generation_;
  std::vector<ChoiceState> choices_;
  int64_t completion_ = 0;
};

}  // namespace

net::Reply answer(const Context& context, const net::Call& call, const OpenAiParams& params,
                  std::shared_ptr<const Format> format) {
  const bool with_tokens = params.stream || params.generate.sampling.top_logprobs > 0;
  auto generation = Generation::start(context, params.generate, with_tokens);
  if (!generation.ok()) return net::error_reply(net::error_of(generation.status()));
  if (!params.stream) return whole_answer(context, call, params, *format, **generation);
  auto stream =
      std::make_shared<Stream>(context, call, params, std::move(format), std::move(*generation));
  net::Reply reply;
  reply.content_type = "text/event-stream";
  reply.stream = [stream](std::string& piece) { return stream->next(piece); };
  return reply;
}

std::string sse_event(const std::string& data) {
  return "data: " + data + "\n\n";
}

double finite_logprob(float logprob) {
  LS_CHECK(!std::isnan(logprob), "a token without a log-probability");
  return std::isfinite(logprob) ? static_cast<double>(logprob) : -9999.0;
}

std::string token_text(const tokenizer::Tokenizer& tokenizer, data::TokenId token) {
  return tokenizer.decode(std::span(&token, 1), false);
}

int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace longshot::server
