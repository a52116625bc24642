#pragma once
// Labelled responses judged by a reward model of any kind: one that scores, one that reasons in this process, or one
// behind URLs.

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
  int votes = 1;             // verdicts on each response; malformed ones do not vote
  int parallel = 8;          // responses at a time, of a served model
  int max_concurrent = 256;  // samples in flight in this process
  double timeout = 120;      // seconds for a response of a served model
};

enum class JudgeKind { scores, reasons, served };

// A response and its verdict, or why there is none.
struct JudgedResponse {
  size_t row = 0;
  const std::string* response = nullptr;  // in the row
  Status status;
  double score = 0;        // what pairs are compared by
  double probability = 0;  // that the response is right
};

// Every response of the rows in their order, both of a pair. `rows` must outlive the result.
Result<std::vector<JudgedResponse>> judge_rows(const JudgeOptions& options, JudgeKind kind,
                                               const std::vector<datasets::JudgedRow>& rows);

struct JudgeOutcome {
  std::vector<Judgement> judgements;
  std::vector<JudgedPair> pairs;
  int64_t malformed = 0;  // responses on which the judge answered without a verdict
  int64_t failed = 0;     // responses on which it did not answer, or that it cannot read
  std::string first_failure;
};
JudgeOutcome outcome_of(const std::vector<datasets::JudgedRow>& rows,
                        const std::vector<JudgedResponse>& responses);

}  // namespace longshot::eval
