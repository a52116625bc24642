#pragma once
// A Chain-of-Thought reward model behind OpenAI's chat API. It reasons and ends with a verdict
// (reward/judge/votes.h).

#include <memory>

#include "reward/judge/votes.h"
#include "reward/reward.h"

namespace longshot::reward {

// Thread-safe.
class Judge {
 public:
  // {"url": "http://host:port" or a list of them, "model": "", "prompt": kJudgePrompt, "votes": 1,
  //  "tries": 3, "temperature": 0.7, "max_tokens": 1024, "headers": {}}
  // Requests go to the services in turn; net::chat_path() completes the urls. `votes` is odd.
  // "model" is sent unless it is empty.
  static Result<std::unique_ptr<Judge>> create(const Json& options);
  ~Judge();

  // Returns `votes` verdicts. Malformed verdicts are requested again with another seed, until there
  // were malformed ones in `tries` rounds; then the status is corrupt and says how many verdicts
  // there were. The seeds are a function of the prompt and the round. Other errors: those of
  // net::ChatClient::ask(), with invalid_argument in place of corrupt.
  Result<Votes> ask(const JudgedAnswer& answer, Deadline deadline);

 private:
  class Impl;
  explicit Judge(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The question is the whole conversation, question_text(), or the raw prompt of a row without a
// chat. The majority of the verdicts decides `correct`; the value is Votes::value(). A failure of
// the judge itself, malformed verdicts included, is an error and never a 0.
Result<std::unique_ptr<Reward>> make_judge(const Json& options);

}  // namespace longshot::reward
