#pragma once
// The data types shared by all stages. Plain values: no tensor, no handle, no pointer to another
// stage.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/engine_kind.h"
#include "data/message.h"
#include "data/step_value.h"

namespace longshot::data {

using TokenId = int32_t;

// One problem. `tokens` is the input of the policy; it is filled once, when the data set is loaded.
struct Prompt {
  std::string id;                 // stable across runs and files: given, or a hash of the content
  std::string data_source;        // chooses the reward rule; verl's column
  std::vector<Message> messages;  // chat form; empty when the prompt is raw text
  std::string text;               // raw form; empty when messages are given
  std::string ground_truth;       // as text; a value that is not a string is one line of JSON
  Json ground_truth_json;         // the row's value if it is not a string, else null
  Json extra_info;                // everything else of the row
  double difficulty = 0;          // for the curriculum: higher is harder; level or 1 - pass rate
  std::vector<TokenId> tokens;
};

// A prompt chosen for this iteration. `seed` mixes the run's seed with the number of earlier draws
// of the prompt, so that a second visit does not repeat the random numbers of the first.
struct Draw {
  Prompt prompt;
  uint64_t seed = 0;
};

enum class FinishReason {
  stop,        // end-of-sequence token, stop token or stop string
  length,      // the response reached its maximum length
  partial,     // the iteration's token budget ran out; to be continued
  repetition,  // a loop was detected
  aborted,     // stopped from outside; not to be trained on
};
const char* finish_reason_name(FinishReason reason);
std::optional<FinishReason> parse_finish_reason(const std::string& name);

// Response tokens [begin, end) were produced by policy `version`.
struct Segment {
  int begin = 0;
  int end = 0;
  int64_t version = 0;
  EngineKind engine = EngineKind::longshot;
};

// One response to one prompt.
struct Sample {
  std::string prompt_id;
  uint32_t index = 0;  // within the group; part of the random key
  uint64_t seed = 0;   // the draw's seed; part of the random key
  std::vector<TokenId> prompt_tokens;
  std::vector<TokenId> tokens;  // response, including the end-of-sequence token if one was sampled
  std::vector<float> logprobs;  // [tokens.size()] of the distribution each token was sampled from
  std::vector<Segment> segments;  // contiguous, cover [0, tokens.size())
  FinishReason finish = FinishReason::aborted;
  std::string text;  // response decoded without special tokens; for rewards, logs and people
};

// The result of judging one sample: a score, or an error with its reason. An error is never
// reported as a score of 0.
struct Verdict {
  bool scored = false;
  double score = 0;  // what policy optimization uses
  // All rewards that decide correctness agree that the answer is correct; score > 0 without such a
  // reward. Independent of later changes of the score.
  bool correct = false;
  // Scores by reward name, before weighting; further figures of reward functions by their names;
  // "repetition_penalty", "length" and "overlong" if applied.
  std::map<std::string, double> components;
  // By reward name, before weighting; only of rewards that give values per step. They do not change
  // the score.
  std::map<std::string, std::vector<StepValue>> step_values;
  std::string answer;  // what was extracted from the response, if anything
  std::string error;   // when !scored
};

// All judged samples of one prompt: the unit of policy optimization. samples[i] belongs to
// verdicts[i].
struct Group {
  Prompt prompt;
  std::vector<Sample> samples;
  std::vector<Verdict> verdicts;
};

// One sequence as the trainer sees it.
struct TrainRow {
  std::vector<TokenId> tokens;     // prompt then response
  int prompt_length = 0;           // tokens[0, prompt_length) carry no loss
  std::vector<uint8_t> loss_mask;  // [tokens.size()]; 1 where the token is trained on
  std::vector<float> logprobs;     // [tokens.size()] as the rollout recorded them; 0 in the prompt
  double reward = 0;
  int64_t group = 0;              // rows with equal `group` answer the same prompt
  std::vector<uint8_t> fresh;     // [tokens.size()]; 1 if the current policy produced it
  std::vector<Segment> segments;  // those of the sample, at positions of `tokens`
};

// JSON forms, for the records of the replay buffer and for other processes. Errors of the
// *_from_json functions name the missing key.
Json to_json(const Sample& sample);
Json to_json(const Verdict& verdict);
Json to_json(const Prompt& prompt);
Result<Sample> sample_from_json(const Json& json, const std::string& where);
Result<Verdict> verdict_from_json(const Json& json, const std::string& where);
Result<Prompt> prompt_from_json(const Json& json, const std::string& where);
Json to_json(const Group& group);
Result<Group> group_from_json(const Json& json, const std::string& where);

}  // namespace longshot::data
