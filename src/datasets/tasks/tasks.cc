#include "datasets/tasks/tasks.h"

namespace longshot::datasets {

const std::vector<Task>& tasks() {
  static const std::vector<Task> table = {
      {"addition", "longshot/addition", "math", "0123456789+=;#", "digits of each number", 1, 18, 3,
       3, make_addition},
      {"chain", "longshot/chain", "math", "0123456789+-=;#", "operations in the chain", 1, 64, 2, 8,
       make_chain},
      {"check", "longshot/check", "math", "0123456789+-*=;#?{}\":, coretualfs",
       "operations in the chain", 1, 64, 1, 4, make_check},
      {"countdown", "countdown", "math", "0123456789+-*/()=,>:?[]<#nok", "numbers to use", 2, 6, 3,
       4, make_countdown},
      {"programs", "longshot/programs", "code",
       "0123456789+-*<>=.,:()[]`%\n abcdefghijklmnopqrstuvwxyz", "steps of the program", 1, 8, 1, 4,
       make_program},
      {"search", "longshot/search", "math", "0123456789x+%=?:no;k#-", "numbers to search", 2, 30,
       10, 10, make_search, true},
  };
  return table;
}

const Task* find_task(std::string_view name) {
  for (const Task& task : tasks()) {
    if (name == task.name) return &task;
  }
  return nullptr;
}

std::string task_names() {
  std::string names;
  for (const Task& task : tasks()) names += (names.empty() ? "" : ", ") + std::string(task.name);
  return names;
}

}  // namespace longshot::datasets
