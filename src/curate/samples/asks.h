#pragma once
// The rows of a data set → what the model is asked.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "curate/samples/prompt_template.h"
#include "curate/samples/sample_journal.h"
#include "datasets/prompts.h"

namespace longshot::curate {

struct AskOptions {
  std::vector<std::string> files;
  datasets::ColumnMapping columns;
  int64_t from = 0;          // rows left out at the beginning
  int64_t max_problems = 0;  // rows used after them; 0 = all
  std::string system;        // a system message; empty: none
  std::string template_path;
  std::vector<std::string> example_files;
  int examples = 0;  // shown with each problem
  uint64_t seed = 0;
};

// Everything but the rows that the asked prompts depend on, for the settings of a journal.
struct AskTexts {
  std::string template_text;            // empty: none
  std::vector<SolvedExample> examples;  // all to choose from
};

// Reads the template and the examples. Error: a template without {problem}; examples without
// {examples} in the template, or the reverse.
Result<AskTexts> read_ask_texts(const AskOptions& options);

// Reads the rows and applies the template. The asked prompts are not tokenized yet. Error: there is
// no row after `from`; a prompt does not fit the template or the system message.
Result<std::vector<Ask>> read_asks(const AskOptions& options, const AskTexts& texts);

}  // namespace longshot::curate
