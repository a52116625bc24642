#include "curate/tests/problem.h"

#include <fmt/format.h>

#include <set>

#include "base/rng.h"
#include "base/text/text.h"
#include "datasets/rows.h"

namespace longshot::curate {
namespace {

Result<std::string> id_of(const Json& row, const std::string& where) {
  const auto id = row.find("id");
  if (id == row.end()) return invalid_argument(where + ": key 'id' is missing");
  if (id->is_number_integer()) return dump_json(*id);
  if (id->is_string() && !id->get_ref<const std::string&>().empty()) return id->get<std::string>();
  return invalid_argument(where + ": key 'id' must be a text or an integer");
}

Result<Submission> read_submission(const Json& json, const std::string& where) {
  Submission submission;
  if (json.is_string()) {
    submission.code = json.get<std::string>();
  } else {
    LS_ASSIGN_OR_RETURN(const auto language, json_get<std::string>(json, "language", where));
    LS_ASSIGN_OR_RETURN(submission.code, json_get<std::string>(json, "code", where));
    submission.language = to_lower(language);
  }
  if (trim(submission.code).empty()) return invalid_argument(where + ": the code is empty");
  return submission;
}

Status read_submissions(const Json& row, const std::string& where, Problem& problem) {
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(row, "submissions", where));
  if (!list.is_array()) return invalid_argument(where + ": key 'submissions' must be a list");
  for (size_t i = 0; i < list.size(); ++i) {
    LS_ASSIGN_OR_RETURN(problem.submissions.emplace_back(),
                        read_submission(list[i], fmt::format("{}: submission {}", where, i + 1)));
  }
  return ok_status();
}

Result<Problem> read_problem(const Json& row, const std::string& where) {
  Problem problem;
  LS_ASSIGN_OR_RETURN(problem.id, id_of(row, where));
  LS_ASSIGN_OR_RETURN(problem.statement, json_get<std::string>(row, "statement", where));
  if (trim(problem.statement).empty())
    return invalid_argument(where + ": key 'statement' is empty");
  LS_RETURN_IF_ERROR(read_submissions(row, where, problem));
  if (row.contains("special_judge") && !row.at("special_judge").is_null()) {
    LS_ASSIGN_OR_RETURN(problem.special_judge, json_get<bool>(row, "special_judge", where));
  }
  LS_ASSIGN_OR_RETURN(problem.generator, json_get_or<std::string>(row, "generator", "", where));
  LS_ASSIGN_OR_RETURN(problem.data_source,
                      json_get_or(row, "data_source", problem.data_source, where));
  LS_ASSIGN_OR_RETURN(problem.extra_info,
                      json_get_or(row, "extra_info", problem.extra_info, where));
  if (!problem.extra_info.is_object())
    return invalid_argument(where + ": key 'extra_info' must be an object");
  problem.content_hash = fmt::format("{:016x}", hash64(dump_json(row)));
  return problem;
}

}  // namespace

Result<std::vector<Problem>> read_problems(const std::vector<std::string>& files) {
  LS_ASSIGN_OR_RETURN(const auto rows, datasets::read_rows(files));
  std::vector<Problem> problems;
  std::set<std::string> ids;
  for (const auto& row : rows) {
    LS_ASSIGN_OR_RETURN(problems.emplace_back(), read_problem(row.json, row.where));
    if (!ids.insert(problems.back().id).second)
      return invalid_argument(row.where + ": the id '" + problems.back().id + "' is there twice");
  }
  if (problems.empty()) return invalid_argument("the input holds no problem");
  return problems;
}

}  // namespace longshot::curate
