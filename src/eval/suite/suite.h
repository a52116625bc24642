#pragma once
// A suite of benchmark tasks over local files, as a TOML file describes it; docs/evaluation.md
// explains each key. Pure except for reading files.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings/settings.h"
#include "base/spelling.h"
#include "base/status.h"

namespace longshot::eval {

enum class TaskKind {
  generate,    // the model answers; rewards judge the answers
  likelihood,  // the choice to which the model gives the highest probability is its answer
};
constexpr auto spellings(TaskKind) {
  using enum TaskKind;
  return std::to_array<Spelling<TaskKind>>({{generate, "generate"}, {likelihood, "likelihood"}});
}

// Texts are templates (fill.h) over the columns of a row.
struct Task {
  std::string name;
  TaskKind kind = TaskKind::generate;
  std::vector<std::string> files;  // absolute, or relative to the suite file
  std::string id;                  // empty: the row's number
  std::string prompt;
  std::string system;  // system message; needs `chat`
  // generate: the prompt is the user's message, if there is a template or a system message
  bool chat = true;
  int shots = 0;                        // number of solved examples before the prompt
  std::vector<std::string> shot_files;  // empty: `files`; a row is not an example of itself
  std::string shot;                     // an example; empty: `prompt`, a blank and the answer
  std::string separator = "\n\n";       // between examples

  std::string answer;                       // the ground truth
  std::string answer_pattern;               // its first group is the ground truth
  std::vector<std::string> answer_columns;  // the ground truth is the object of these columns
  // The number of the first choice, if answers are numbers. -1: not said; numbers count from 0, and
  // a text that is also a choice is that choice.
  int answer_from = -1;
  std::string choices_column;              // the column that is the list of choices
  std::vector<std::string> choices;        // or a template for each choice
  bool shuffle = false;                    // the order of the choices, by the row's id
  std::string continuation = " {choice}";  // likelihood: what is scored

  Json reward = Json::array({"auto"});
  std::string judged = "{response}";  // what the rewards see
  int n = 1;
  double temperature = 0, top_p = 1;
  int max_tokens = 512;
  std::vector<std::string> stop;
  std::vector<double> pass_at;
};

struct Suite {
  std::string name;
  std::vector<Task> tasks;
  std::string text;  // of the file
};

// Binds the keys of a [[task]] table.
void bind(Settings& settings, Task& task);

// Error: invalid_argument that names file, task and key.
Result<Suite> read_suite(const std::filesystem::path& path);

}  // namespace longshot::eval
