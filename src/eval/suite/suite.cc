#include "eval/suite/suite.h"

#include <fmt/format.h>

#include <set>
#include <sstream>

#include "base/os/fs.h"
#include "base/settings/checks.h"
#include "base/settings/parse_toml.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;

Status check(const Task& task, const std::string& where) {
  const auto bad = [&](const std::string& what) { return invalid_argument(where + ": " + what); };
  if (task.files.empty()) return bad("'files' is missing");
  if (task.prompt.empty()) return bad("'prompt' is missing");
  const bool choices = !task.choices.empty() || !task.choices_column.empty();
  if (!task.choices.empty() && !task.choices_column.empty())
    return bad("'choices' and 'choices_column' exclude each other");
  if (task.kind == TaskKind::likelihood && !choices)
    return bad("kind \"likelihood\" needs 'choices' or 'choices_column'");
  if (task.kind == TaskKind::likelihood && task.n != 1)
    return bad("'n' must be 1 with kind \"likelihood\"");
  if (choices && task.answer.empty())
    return bad("'answer' is missing: the letter, the number or the text of the right choice");
  if (task.n > 1 && task.temperature == 0)
    return bad("temperature 0 gives the same sample again: set 'n' to 1 or 'temperature' above 0");
  if (!task.answer.empty() && !task.answer_columns.empty())
    return bad("'answer' and 'answer_columns' exclude each other");
  if (!task.system.empty() && (!task.chat || task.kind == TaskKind::likelihood))
    return bad(
        "'system' turns every prompt into a chat, and with chat = false or kind \"likelihood\" "
        "prompts stay plain text: leave out one of the two");
  for (const double k : task.pass_at) {
    if (k < 1 || k > task.n || k != static_cast<int>(k))
      return bad(fmt::format("'pass_at' holds {}, which must be an integer from 1 to 'n'", k));
  }
  return ok_status();
}

void make_absolute(std::vector<std::string>& files, const fs::path& folder) {
  for (std::string& file : files) {
    if (fs::path(file).is_relative()) file = (folder / file).string();
  }
}

Result<Task> read_task(const toml::table& table, const fs::path& path, size_t number) {
  Task task;
  Settings settings;
  bind(settings, task);
  std::ostringstream text;
  text << table;
  const auto name = table["name"].value<std::string>();
  const std::string where =
      path.string() + (name ? ": task '" + *name + "'" : fmt::format(": task {}", number));
  if (!name || name->empty()) return invalid_argument(where + ": 'name' is missing");
  if (name->find('/') != std::string::npos || name->starts_with('.'))
    return invalid_argument(where + ": a name becomes a file name and must not contain '/'");
  LS_RETURN_IF_ERROR(settings.load_toml(text.str(), where));
  LS_RETURN_IF_ERROR(check(task, where));
  make_absolute(task.files, path.parent_path());
  make_absolute(task.shot_files, path.parent_path());
  return task;
}

}  // namespace

void bind(Settings& s, Task& t) {
  s.add("name", &t.name, "name of the task and of its file of results");
  s.add("kind", &t.kind, "how answers are found: generated, or by likelihood among choices");
  s.add("files", &t.files, "JSONL or parquet files of rows, relative to the suite file");
  s.add("id", &t.id, "template of a row's id; empty = its number");
  s.add("prompt", &t.prompt, "template of the prompt");
  s.add("system", &t.system, "system message");
  s.add("chat", &t.chat,
        "whether a generated answer follows a chat with the prompt as user's message");
  s.add("shots", &t.shots, "number of solved examples before the prompt", at_least(0));
  s.add("shot_files", &t.shot_files, "files whose first rows are the examples; empty = files");
  s.add("shot", &t.shot, "template of an example");
  s.add("separator", &t.separator, "text between examples");
  s.add("answer", &t.answer, "template of the ground truth");
  s.add("answer_pattern", &t.answer_pattern, "expression whose first group in answer is the truth");
  s.add("answer_columns", &t.answer_columns, "columns that make up the ground truth as an object");
  s.add("answer_from", &t.answer_from, "number of the first choice, if answers are numbers",
        [](const int& v) { return v == 0 || v == 1 ? "" : std::string("must be 0 or 1"); });
  s.add("choices_column", &t.choices_column, "column that holds the list of choices");
  s.add("choices", &t.choices, "template of each choice");
  s.add("shuffle", &t.shuffle, "whether choices are put in an order that depends on the row's id");
  s.add("continuation", &t.continuation, "template of the text whose likelihood is measured");
  s.add("reward", &t.reward, "reward functions, as in reward.functions");
  s.add("judged", &t.judged, "template of the text that the rewards judge");
  s.add("n", &t.n, "samples per row", at_least(1));
  s.add("temperature", &t.temperature, "of the samples; 0 = greedy", at_least(0.0));
  s.add("top_p", &t.top_p, "of the samples", at_least(0.0));
  s.add("max_tokens", &t.max_tokens, "most tokens of a response", at_least(1));
  s.add("stop", &t.stop, "texts that end a response");
  s.add("pass_at", &t.pass_at, "also report pass@k for these k");
}

Result<Suite> read_suite(const fs::path& path) {
  Suite suite;
  suite.name = path.stem().string();
  LS_ASSIGN_OR_RETURN(suite.text, read_file(path));
  LS_ASSIGN_OR_RETURN(const toml::table file, parse_toml(suite.text, path.string()));
  const auto* tasks = file["task"].as_array();
  if (tasks == nullptr || tasks->empty() || !tasks->is_array_of_tables())
    return invalid_argument(path.string() + ": there is no [[task]] table");
  for (const auto& [key, value] : file) {
    if (key.str() == "task") continue;
    return invalid_argument(fmt::format("{}: unknown key '{}'; a suite has only [[task]] tables",
                                        path.string(), key.str()));
  }
  std::set<std::string> names;
  for (size_t i = 0; i < tasks->size(); ++i) {
    LS_ASSIGN_OR_RETURN(Task task, read_task(*tasks->get(i)->as_table(), path, i + 1));
    if (!names.insert(task.name).second)
      return invalid_argument(path.string() + ": two tasks have the name '" + task.name + "'");
    suite.tasks.push_back(std::move(task));
  }
  return suite;
}

}  // namespace longshot::eval
