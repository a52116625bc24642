#pragma once
// The figures of a task, computed from its rows of results only.

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::eval {

struct TaskFigures {
  std::string name;
  int64_t problems = 0, samples = 0;
  int64_t errors = 0;                      // samples without a verdict, which are left out
  std::string frequent_error;              // their most frequent reason
  double accuracy = 0, low = 0, high = 0;  // pass@1 with its 95 % interval
  std::map<int, double> pass_at_k;
  double majority_vote = -1;              // -1: one sample per problem
  double mean_tokens = 0, cut_share = 0;  // of the responses; 0 with kind likelihood
  // Likelihood: accuracy if log-probabilities are divided by the length of the continuation.
  double accuracy_norm = -1;
  // Means over samples of further figures of the rewards, and of IF-Eval the four measures.
  std::map<std::string, double> more;
};

// Error: a row has not the form that run_task() writes.
Result<TaskFigures> figures_of(const std::string& name, const std::vector<OrderedJson>& rows,
                               const std::vector<int>& pass_at);
// Without a judged sample there is no accuracy and no majority vote.
OrderedJson to_json(const TaskFigures& figures);

// What one problem contributes to a comparison of two models.
struct ProblemFigures {
  std::string id;
  double accuracy = 0;  // share of right samples
  double tokens = 0;    // mean length of the responses
};
// Problems without a verdict are left out.
Result<std::vector<ProblemFigures>> problems_of(const std::vector<OrderedJson>& rows);

}  // namespace longshot::eval
