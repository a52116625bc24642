#pragma once
// Shared code of OpenAI's two generating routes: runs the samples and combines them into one object
// or a stream of server-sent events. A Format defines a route's objects.

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/reply.h"
#include "rollout/sampling/text_stream.h"
#include "server/context.h"
#include "server/params.h"

namespace longshot::server {

// A part of a choice's answer, or the whole answer.
struct AnswerPart {
  int index = 0;
  bool first = false;  // the first part of this choice
  std::string text;
  std::vector<rollout::Choice> tokens;
  std::vector<int64_t> offsets;  // of each token: characters of the answer before it
  std::string finish_reason;     // empty: more parts follow
};

class Format {
 public:
  virtual ~Format() = default;
  virtual std::string id_prefix() const = 0;
  virtual std::string object(bool stream) const = 0;
  virtual OrderedJson choice(const AnswerPart& part, bool stream) const = 0;
  virtual OrderedJson logprobs(const AnswerPart& part,
                               const tokenizer::Tokenizer& tokenizer) const = 0;
};

// Generates the answer. An error becomes an error object, or an error event in a stream.
net::Reply answer(const Context& context, const net::Call& call, const OpenAiParams& params,
                  std::shared_ptr<const Format> format);

std::string sse_event(const std::string& data);  // "data: ...\n\n"
// Converts a log-probability to a number that JSON can represent: -inf becomes -9999, as in
// OpenAI's API.
double finite_logprob(float logprob);
std::string token_text(const tokenizer::Tokenizer& tokenizer, data::TokenId token);
int64_t characters(const std::string& text);  // code points of valid UTF-8

// Computes where tokens begin in the text of their answer, in characters. A token that continues a
// character begins where that character begins.
class Offsets {
 public:
  explicit Offsets(const tokenizer::Tokenizer& tokenizer) : text_(tokenizer) {}
  int64_t next(data::TokenId token) {
    const int64_t begin = characters_;
    characters_ += characters(text_.add(token));
    return begin;
  }

 private:
  rollout::TextStream text_;
  int64_t characters_ = 0;
};

}  // namespace longshot::server
