#pragma once
// A prompt with its judged samples: a row of samples.jsonl, which `longshot sample` writes and
// `select` and `curate` read (docs/formats.md).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "data/types.h"

namespace longshot::curate {

// One response to a prompt. There are three cases:
//   - judged: `score` is set;
//   - not judged: neither `score` nor `error` is set, because nothing was asked to judge;
//   - failed: `error` says why. If `finish` is empty too, there is no response.
struct JudgedSample {
  uint32_t index = 0;  // within the prompt; part of the random key
  std::string response;
  int64_t tokens = 0;  // of the response; 0: unknown, because the server does not tell
  std::string finish;  // data::finish_reason_name(): "stop", "length", ...; empty: no response
  std::optional<double> score;
  bool correct = false;
  std::string answer;                        // extracted from the response
  std::map<std::string, double> components;  // scores by reward name
  std::string error;
  std::vector<data::TokenId> token_ids;  // empty: not recorded
  std::vector<float> logprobs;           // of token_ids, or empty
};

// `tokens` of the prompt is empty and `difficulty` is 0: a row does not have them.
struct JudgedPrompt : data::Prompt {
  std::vector<JudgedSample> samples;  // by ascending index
};

// The prompt as in a row of a data set: the text, or the list of messages.
OrderedJson prompt_json(const data::Prompt& prompt);

OrderedJson to_json(const JudgedSample& sample);
OrderedJson to_json(const JudgedPrompt& prompt);

// Errors begin with `where` and name the key, for example
// "samples.jsonl:3: samples[2]: key 'tokens' has the wrong type (string)".
Result<JudgedPrompt> judged_prompt_from_json(const OrderedJson& json, const std::string& where);
Result<JudgedPrompt> judged_prompt_from_json(const Json& json, const std::string& where);

}  // namespace longshot::curate
