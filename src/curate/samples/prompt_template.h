#pragma once
// Instruction files: texts that are put around a problem when a model is asked, for few-shot and
// long-CoT prompting. The placeholder {problem} is replaced by the problem and {examples} by solved
// examples. All other braces are kept, because instructions contain LaTeX and JSON.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::curate {

// A problem with its solution, shown to the model as an example.
struct SolvedExample {
  std::string problem, solution;
};

// Reads solved examples from JSONL or parquet files. The solution is the first of: the first
// correct sample of a row of samples.jsonl; the last turn of `messages`; `completion`, `response`,
// `solution` or `answer`. Errors name file, line and key.
Result<std::vector<SolvedExample>> read_examples(const std::vector<std::string>& files);

// Returns `count` examples for a prompt, chosen by (seed, prompt id): the same for every sample of
// the prompt. An example whose problem is the prompt's own is never chosen, because it contains the
// answer. Fewer are returned if there are fewer.
std::vector<SolvedExample> choose_examples(const std::vector<SolvedExample>& examples, int count,
                                           uint64_t seed, const data::Prompt& prompt);

// "Problem:\n...\n\nSolution:\n...", with a blank line between examples.
std::string format_examples(const std::vector<SolvedExample>& examples);

// Thread-safe.
class PromptTemplate {
 public:
  // The text must contain {problem} once. `where` begins the errors.
  static Result<PromptTemplate> parse(std::string text, const std::string& where);
  static Result<PromptTemplate> load(const std::string& path);

  bool has_examples() const { return text_.find(kExamples) != std::string::npos; }
  const std::string& text() const { return text_; }

  // The prompt with the template around its text, or around the text of its last user message.
  // Earlier messages stay. Error: the prompt is a chat without a user message.
  Result<data::Prompt> apply(const data::Prompt& prompt,
                             const std::vector<SolvedExample>& examples) const;

 private:
  static constexpr const char* kProblem = "{problem}";
  static constexpr const char* kExamples = "{examples}";
  explicit PromptTemplate(std::string text) : text_(std::move(text)) {}
  std::string fill(const std::string& problem, const std::string& examples) const;

  std::string text_;
};

// Puts a system message before the prompt. A text becomes the user's message. Error: the prompt has
// a system message of its own.
Result<data::Prompt> with_system(data::Prompt prompt, const std::string& system);

// The text of the problem: the prompt's text, or that of its last user message.
std::string problem_text(const data::Prompt& prompt);

}  // namespace longshot::curate
