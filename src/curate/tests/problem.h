#pragma once
// A programming problem without test cases: its statement, and programs that are known to solve it.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::curate {

struct Submission {
  std::string language = "python";  // in lower case
  std::string code;
};

struct Problem {
  std::string id;
  std::string statement;
  std::vector<Submission> submissions;
  std::optional<bool> special_judge;  // nullopt: the statement's words decide
  std::string generator;              // a Python program; empty: requested from a model
  std::string data_source = "make_tests";
  Json extra_info = Json::object();  // copied to the row that is made
  std::string content_hash;          // of the whole row; a changed row is another problem
};

// Reads rows {"id", "statement", "submissions": [{"language", "code"}, or the code of a Python
// program], "special_judge"?, "generator"?, "data_source"?, "extra_info"?} of JSONL and parquet
// files; other columns are ignored. A bad row is an error that names file, line and key. An id that
// occurs twice is an error too.
Result<std::vector<Problem>> read_problems(const std::vector<std::string>& files);

}  // namespace longshot::curate
