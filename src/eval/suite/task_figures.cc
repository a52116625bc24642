#include "eval/suite/task_figures.h"

#include <algorithm>

#include "eval/evaluate.h"

namespace longshot::eval {
namespace {

// The member as T. Error: it is missing or of another type.
template <typename T>
Result<T> get(const OrderedJson& row, const char* key) {
  const auto it = row.find(key);
  const bool fits = it != row.end() && (std::is_same_v<T, std::string> ? it->is_string()
                                        : std::is_same_v<T, bool>      ? it->is_boolean()
                                                                       : it->is_number());
  if (!fits) return corrupt(std::string("a row of results has no '") + key + "'");
  return it->get<T>();
}

bool is_likelihood(const OrderedJson& row) {
  return row.contains("pick");
}

Status add_sample(const OrderedJson& row, data::Group& group) {
  data::Sample sample;
  data::Verdict verdict;
  LS_ASSIGN_OR_RETURN(const int tokens, get<int>(row, "tokens"));
  sample.tokens.assign(static_cast<size_t>(std::max(tokens, 0)), 0);
  LS_ASSIGN_OR_RETURN(const std::string finish, get<std::string>(row, "finish"));
  sample.finish = data::parse_finish_reason(finish).value_or(data::FinishReason::stop);
  verdict.scored = !row.contains("error");
  if (verdict.scored) {
    LS_ASSIGN_OR_RETURN(verdict.score, get<double>(row, "score"));
    LS_ASSIGN_OR_RETURN(verdict.correct, get<bool>(row, "correct"));
    LS_ASSIGN_OR_RETURN(verdict.answer, get<std::string>(row, "answer"));
    if (row.contains("components") && row["components"].is_object()) {
      for (const auto& [key, value] : row["components"].items()) {
        if (value.is_number()) verdict.components[key] = value.get<double>();
      }
    }
  } else {
    LS_ASSIGN_OR_RETURN(verdict.error, get<std::string>(row, "error"));
  }
  group.samples.push_back(std::move(sample));
  group.verdicts.push_back(std::move(verdict));
  return ok_status();
}

Result<data::Group> group_of(const OrderedJson& row) {
  data::Group group;
  if (!row.contains("samples") || !row["samples"].is_array())
    return corrupt("a row of results has no 'samples'");
  for (const OrderedJson& sample : row["samples"]) {
    LS_RETURN_IF_ERROR(add_sample(sample, group));
  }
  return group;
}

// Means of the components over all judged samples.
std::map<std::string, double> components_of(const std::vector<data::Group>& groups) {
  std::map<std::string, Summary> sums;
  for (const data::Group& group : groups) {
    for (const data::Verdict& verdict : group.verdicts) {
      for (const auto& [key, value] : verdict.components) sums[key].add(value);
    }
  }
  std::map<std::string, double> means;
  for (const auto& [key, sum] : sums) means[key] = sum.mean();
  const auto all = means.find("ifeval/instructions");
  if (all == means.end()) return means;
  const double instructions = std::max(all->second, 1e-9);
  means["ifeval/instruction_strict"] = means["ifeval/followed_strict"] / instructions;
  means["ifeval/instruction_loose"] = means["ifeval/followed_loose"] / instructions;
  return means;
}

Result<TaskFigures> likelihood_figures(const std::vector<OrderedJson>& rows) {
  TaskFigures out;
  double right = 0, right_norm = 0;
  for (const OrderedJson& row : rows) {
    LS_ASSIGN_OR_RETURN(const int answer, get<int>(row, "answer"));
    LS_ASSIGN_OR_RETURN(const int pick, get<int>(row, "pick"));
    LS_ASSIGN_OR_RETURN(const int pick_norm, get<int>(row, "pick_norm"));
    right += pick == answer ? 1 : 0;
    right_norm += pick_norm == answer ? 1 : 0;
  }
  out.problems = out.samples = static_cast<int64_t>(rows.size());
  const double count = std::max<double>(1, static_cast<double>(rows.size()));
  out.accuracy = right / count;
  out.accuracy_norm = right_norm / count;
  std::tie(out.low, out.high) = wilson_interval(right, static_cast<double>(rows.size()));
  return out;
}

Result<TaskFigures> generation_figures(const std::vector<OrderedJson>& rows,
                                       const std::vector<int>& pass_at) {
  std::vector<data::Group> groups;
  for (const OrderedJson& row : rows) {
    LS_ASSIGN_OR_RETURN(data::Group group, group_of(row));
    groups.push_back(std::move(group));
  }
  const EvalResult result = summarize(groups, pass_at);
  TaskFigures out;
  out.problems = result.problems;
  out.samples = result.samples;
  out.errors = result.errors;
  out.frequent_error = result.frequent_error;
  out.accuracy = result.accuracy;
  out.low = result.low;
  out.high = result.high;
  out.pass_at_k = result.pass_at_k;
  const bool several = std::any_of(groups.begin(), groups.end(),
                                   [](const data::Group& g) { return g.samples.size() > 1; });
  if (several) out.majority_vote = result.majority_vote;
  out.mean_tokens = result.mean_response_length;
  out.cut_share = result.cut_share;
  out.more = components_of(groups);
  return out;
}

}  // namespace

Result<TaskFigures> figures_of(const std::string& name, const std::vector<OrderedJson>& rows,
                               const std::vector<int>& pass_at) {
  LS_ASSIGN_OR_RETURN(TaskFigures out, !rows.empty() && is_likelihood(rows.front())
                                           ? likelihood_figures(rows)
                                           : generation_figures(rows, pass_at));
  out.name = name;
  return out;
}

OrderedJson to_json(const TaskFigures& f) {
  OrderedJson json = {
      {"task", f.name}, {"problems", f.problems}, {"samples", f.samples}, {"errors", f.errors}};
  if (f.errors > 0) json["frequent_error"] = f.frequent_error;
  if (f.problems > 0) {
    json["accuracy"] = f.accuracy;
    json["accuracy_95"] = {f.low, f.high};
    if (f.accuracy_norm >= 0) json["accuracy_norm"] = f.accuracy_norm;
    if (f.majority_vote >= 0) json["majority_vote"] = f.majority_vote;
  }
  for (const auto& [k, value] : f.pass_at_k) json["pass_at_k"][std::to_string(k)] = value;
  if (f.accuracy_norm < 0) {
    json["mean_tokens"] = f.mean_tokens;
    json["cut_share"] = f.cut_share;
  }
  for (const auto& [key, value] : f.more) json["figures"][key] = value;
  return json;
}

Result<std::vector<ProblemFigures>> problems_of(const std::vector<OrderedJson>& rows) {
  std::vector<ProblemFigures> out;
  for (const OrderedJson& row : rows) {
    ProblemFigures figures;
    LS_ASSIGN_OR_RETURN(figures.id, get<std::string>(row, "id"));
    if (is_likelihood(row)) {
      LS_ASSIGN_OR_RETURN(const TaskFigures one, likelihood_figures({row}));
      figures.accuracy = one.accuracy;
      out.push_back(figures);
      continue;
    }
    LS_ASSIGN_OR_RETURN(const TaskFigures one, generation_figures({row}, {}));
    if (one.problems == 0) continue;
    figures.accuracy = one.accuracy;
    figures.tokens = one.mean_tokens;
    out.push_back(figures);
  }
  return out;
}

}  // namespace longshot::eval
