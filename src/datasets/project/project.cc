#include "datasets/project/project.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/json.h"
#include "base/os/fs.h"
#include "base/rng.h"
#include "base/text/text.h"
#include "datasets/project/assets.h"

namespace longshot::datasets {
namespace {

constexpr std::string_view kLetters = "abcdefgh";
constexpr int kTrainRows = 2000, kValRows = 256, kSftRows = 8000;
constexpr uint64_t kSeed = 1;

using Values = std::map<std::string, std::string>;

// What differs between the two kinds of projects, by the words between two @ in their files.
Values values_of_tiny_model() {
  return {{"batch", "32"},
          {"prompt", "16"},
          {"response", "16"},
          {"temperature", "1.0"},
          {"mini_batches", "4"},
          {"lr", "1e-4"},
          {"iterations", "200"},
          {"test_freq", "50"},
          {"val_temperature", "1.0"},
          {"warm_up", std::string(kWarmUpMd)},
          {"example", "given `dbac=`, it answers `abcd`"},
          {"time", "about 20 s on two cores"}};
}

Values values_of_given_model() {
  return {{"batch", "16"},
          {"prompt", "128"},
          {"response", "24"},
          {"temperature", "0.7"},
          {"mini_batches", "2"},
          {"lr", "1e-5"},
          {"iterations", "30"},
          {"test_freq", "10"},
          {"val_temperature", "0.0"},
          {"warm_up", ""},
          {"example", "asked for d, b, a, c, it answers a, b, c, d"},
          {"time", "`longshot doctor --plan config.toml` predicts how long it takes"}};
}

std::string filled(std::string_view text, const Values& values) {
  std::string out(text);
  for (const auto& [name, value] : values) replace_all(out, "@" + name + "@", value);
  return out;
}

// A word of a shell's command line.
std::string shell_word(const std::string& text) {
  const auto plain = [](char c) {
    return is_alpha(c) || is_digit(c) || std::string_view("/._-+:@%,").find(c) != std::string::npos;
  };
  if (std::ranges::all_of(text, plain)) return text;
  std::string quoted = text;
  replace_all(quoted, "'", "'\\''");
  return "'" + quoted + "'";
}

// Draws problems, each with other letters than those before.
class Problems {
 public:
  // Small pretrained models get few of the longer problems right.
  explicit Problems(bool tiny) : fewest_(tiny ? 3 : 2), most_(tiny ? 7 : 4) {}

  std::string next() {
    while (true) {
      std::string letters = draw();
      if (seen_.insert(letters).second) return letters;
    }
  }
  // Also one that next() has returned, if `held_out` is not it.
  std::string next_but(const std::set<std::string>& held_out) {
    while (true) {
      std::string letters = draw();
      if (!held_out.contains(letters)) return letters;
    }
  }

 private:
  std::string draw() {
    std::string letters;
    for (int64_t left = rng_.next_int(fewest_, most_); left > 0; --left)
      letters += kLetters[rng_.next_below(kLetters.size())];
    return letters;
  }

  const int fewest_, most_;  // letters of a problem
  CounterRng rng_{kSeed};
  std::set<std::string> seen_;
};

std::string sorted(std::string letters) {
  std::ranges::sort(letters);
  return letters;
}

std::string prompt_of(const std::string& letters, bool tiny) {
  if (tiny) return letters + "=";
  return fmt::format(
      "Sort these letters alphabetically: {}\nAnswer with the sorted letters only, separated by "
      "commas.",
      fmt::join(letters, ", "));
}

std::string row(const std::string& letters, bool tiny, const char* answer) {
  OrderedJson json;
  json["prompt"] = prompt_of(letters, tiny);
  json[answer] = sorted(letters);
  return dump_json(json) + '\n';
}

// The files with rows, in the order val, train, sft, by their names.
std::map<std::string, std::string> rows(bool tiny) {
  Problems problems(tiny);
  std::set<std::string> held_out;
  std::map<std::string, std::string> files;
  while (held_out.size() < kValRows) {
    const std::string letters = problems.next();
    held_out.insert(letters);
    files["val.jsonl"] += row(letters, tiny, "ground_truth");
  }
  for (int i = 0; i < kTrainRows; ++i)
    files["train.jsonl"] += row(problems.next(), tiny, "ground_truth");
  if (!tiny) return files;
  for (int i = 0; i < kSftRows; ++i)
    files["sft.jsonl"] += row(problems.next_but(held_out), tiny, "completion");
  files["alphabet.txt"] = std::string(kLetters) + "=";  // each character becomes a token
  return files;
}

std::string table_of_files(bool tiny) {
  std::string table = R"(| `config.toml` | the settings of the run |
| `reward.py` | the reward, a Python function |
| `train.jsonl`, `val.jsonl` | prompts with what is right about their answers, for training and evaluation |)";
  if (tiny)
    table += R"(
| `sft.toml`, `sft.jsonl`, `alphabet.txt` | what makes the tiny model to start from: settings, answers to imitate, tokens |)";
  return table;
}

std::map<std::string, std::string> files_of(const ProjectOptions& options) {
  const bool tiny = options.model.empty();
  const std::string model = tiny ? "runs/sft" : options.model;
  const Values values = tiny ? values_of_tiny_model() : values_of_given_model();
  std::map<std::string, std::string> files = rows(tiny);
  files["config.toml"] = filled(filled(kConfigToml, values), {{"model", dump_json(Json(model))}});
  files["reward.py"] = kRewardPy;
  if (tiny) files["sft.toml"] = kSftToml;
  files["README.md"] = filled(filled(kReadmeMd, values), {{"files", table_of_files(tiny)},
                                                          {"longshot", shell_word(options.program)},
                                                          {"model", shell_word(model)}});
  return files;
}

}  // namespace

Result<std::vector<std::string>> write_project(const ProjectOptions& options) {
  const auto files = files_of(options);
  const std::filesystem::path directory = options.directory;
  std::vector<std::string> names, there;
  std::error_code error;
  for (const auto& [name, content] : files) {
    names.push_back(name);
    if (std::filesystem::exists(std::filesystem::symlink_status(directory / name, error)))
      there.push_back((directory / name).string());
  }
  if (!there.empty()) {
    return invalid_argument(
        fmt::format("{} {} already, and nothing was written: name another folder",
                    fmt::join(there, ", "), there.size() == 1 ? "exists" : "exist"));
  }
  LS_RETURN_IF_ERROR(make_directories(directory));
  for (const auto& [name, content] : files)
    LS_RETURN_IF_ERROR(write_file_atomic(directory / name, content));
  return names;
}

}  // namespace longshot::datasets
