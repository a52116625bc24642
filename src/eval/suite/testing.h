#pragma once
// A task with rows on disk, for tests.

#include <filesystem>
#include <string>
#include <vector>

#include "base/os/fs.h"
#include "eval/suite/items.h"

namespace longshot::eval {

inline std::string write_rows(const std::string& name, const std::vector<Json>& rows) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::string text;
  for (const Json& row : rows) text += dump_json(row) + "\n";
  LS_CHECK(write_file_atomic(path, text).ok(), "cannot write rows");
  return path.string();
}

inline std::unique_ptr<tokenizer::Tokenizer> letters() {
  return std::move(*tokenizer::make_character_tokenizer(
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .:?\n"));
}

inline Task choice_task(const std::string& file) {
  Task task;
  task.name = "quiz";
  task.kind = TaskKind::likelihood;
  task.files = {file};
  task.prompt = "Q: {q}\nA:";
  task.choices_column = "options_list";
  task.answer = "{answer}";
  return task;
}

}  // namespace longshot::eval
