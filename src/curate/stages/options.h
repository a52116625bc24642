#pragma once
// The settings of `longshot curate`, stage by stage.

#include <cstdint>
#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "base/spelling.h"
#include "base/status.h"
#include "curate/contamination/evaluation_index.h"
#include "curate/duplicates/find_duplicates.h"
#include "curate/filters/balance.h"
#include "curate/filters/tags.h"
#include "curate/rows/problem_row.h"

namespace longshot::curate {

// In the order in which they run.
enum class Stage {
  normalize,      // rows of any shape -> clean problems
  format,         // multiple choice, true/false and proofs are dropped
  duplicates,     // exact and near duplicates are dropped
  contamination,  // problems of evaluation files are dropped
  tags,           // problems get tags
  hackable,       // problems whose answer a model guesses are dropped
  difficulty,     // 1 - pass rate; trivial problems are dropped
  balance,        // groups of tags are cut to a cap or to shares
};

constexpr auto spellings(Stage) {
  using enum Stage;
  return std::to_array<Spelling<Stage>>({{normalize, "normalize"},
                                         {format, "format"},
                                         {duplicates, "duplicates"},
                                         {contamination, "contamination"},
                                         {tags, "tags"},
                                         {hackable, "hackable"},
                                         {difficulty, "difficulty"},
                                         {balance, "balance"}});
}

struct CurateOptions {
  std::vector<std::string> files;
  uint64_t seed = 0;
  int threads = 2;
  RowOptions rows;
  bool require_answer = true;
  int max_words = 0;
  bool format = true;
  std::vector<std::string> drop_formats = {"multiple_choice", "true_false", "proof"};
  bool duplicates = true;
  DuplicateOptions duplicate;
  bool keep_other_answers = false;
  std::vector<std::string> evaluation_files;
  OverlapOptions overlap;
  TagOptions tags;
  bool hackable = true, difficulty = true;  // if there are samples or a model
  std::vector<std::string> hack_samples;
  int hack_tries = 8;
  int hack_tokens = 64;
  std::vector<std::string> difficulty_samples;
  int difficulty_tries = 10;
  int least_samples = 1;
  double trivial = 1;
  bool drop_unsolved = false;
  std::string balance_over;
  BalanceOptions balance;
};

// The seed as a key has the type int64_t.
struct CurateKeys {
  int64_t seed = 0;
};

// Binds all keys but the files. The structs must outlive the settings.
void bind(Settings& settings, CurateOptions& options, CurateKeys& keys);
// Completes the options after the settings were read and checks what concerns several keys.
Status complete(CurateOptions& options, const CurateKeys& keys);

// True if the settings ask for the stage. `with_model`: a model can be asked.
bool is_enabled(Stage stage, const CurateOptions& options, bool with_model);
// Everything that the result of a stage depends on, apart from its input and the files it reads.
OrderedJson settings_of(Stage stage, const Settings& settings);
// The files that a stage reads in addition to the rows.
std::vector<std::string> files_of(Stage stage, const CurateOptions& options);

}  // namespace longshot::curate
