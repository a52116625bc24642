#pragma once
// Judges labelled responses with a reward model of any kind: one that scores, one that reasons in
// this process, or one behind URLs.

#include <string>
#include <vector>

#include "base/status.h"
#include "datasets/preference.h"
#include "eval/judgements.h"
#include "inference/open_model.h"
#include "reward/judge/judge.h"

namespace longshot::eval {

struct JudgeOptions {
  inference::ModelChoice model;
  inference::EngineChoice engine;
  rollout::SamplingOptions sampling;  // of a model that reasons
  uint64_t seed = 0;
  std::vector<std::string> urls;  // of a served model
  std::string served_model;       // its name in requests
  std::string prompt = reward::kJudgePrompt;
  bool default_length = false;  // sampling.max_response_length may be lowered for a small model
  int votes = 1;                // verdicts on each response; malformed ones are not counted
  int parallel = 8;             // responses judged at a time by a served model
  int max_concurrent = 256;     // samples in flight in this process
  double timeout = 120;         // seconds per response of a served model
};

enum class JudgeKind { scores, reasons, served };

// A response and its verdict. If there is no verdict, `status` says why.
struct JudgedResponse {
  size_t row = 0;
  const std::string* response = nullptr;  // in the row
  Status status;
  double score = 0;        // pairs are compared by it
  double probability = 0;  // that the response is right
};

// Judges every response of `rows` in order; a pair has two. `rows` must outlive the result. Error:
// the model cannot be loaded or run, or a stop was requested. A single response without a verdict
// is not an error.
Result<std::vector<JudgedResponse>> judge_rows(const JudgeOptions& options, JudgeKind kind,
                                               const std::vector<datasets::JudgedRow>& rows);

struct JudgeOutcome {
  std::vector<Judgement> judgements;
  std::vector<JudgedPair> pairs;
  int64_t malformed = 0;  // responses on which the reply has no readable verdict
  int64_t failed = 0;     // responses without a reply, or that the model cannot read
  std::string first_failure;
};
// Collects the verdicts. A pair needs verdicts on both of its responses.
JudgeOutcome outcome_of(const std::vector<datasets::JudgedRow>& rows,
                        const std::vector<JudgedResponse>& responses);

}  // namespace longshot::eval
