#include "curate/samples/asks.h"

#include <fmt/format.h>

namespace longshot::curate {
namespace {

Result<Ask> make_ask(data::Prompt prompt, const std::optional<PromptTemplate>& around,
                     const AskOptions& options, const AskTexts& texts) {
  Ask ask{std::move(prompt), {}};
  ask.asked = ask.prompt;
  if (around) {
    const auto examples =
        choose_examples(texts.examples, options.examples, options.seed, ask.prompt);
    LS_ASSIGN_OR_RETURN(ask.asked, around->apply(ask.prompt, examples));
  }
  LS_ASSIGN_OR_RETURN(ask.asked, with_system(std::move(ask.asked), options.system));
  return ask;
}

}  // namespace

Result<AskTexts> read_ask_texts(const AskOptions& options) {
  AskTexts texts;
  if (options.template_path.empty()) {
    if (options.example_files.empty()) return texts;
    return invalid_argument("--examples needs a --template with the placeholder {examples}");
  }
  LS_ASSIGN_OR_RETURN(const PromptTemplate parsed, PromptTemplate::load(options.template_path));
  texts.template_text = parsed.text();
  if (parsed.has_examples() && options.example_files.empty())
    return invalid_argument(options.template_path + ": {examples} needs --examples FILE");
  if (!parsed.has_examples() && !options.example_files.empty())
    return invalid_argument(options.template_path +
                            ": --examples needs the placeholder {examples} in the template");
  if (!options.example_files.empty()) {
    LS_ASSIGN_OR_RETURN(texts.examples, read_examples(options.example_files));
  }
  return texts;
}

Result<std::vector<Ask>> read_asks(const AskOptions& options, const AskTexts& texts) {
  LS_ASSIGN_OR_RETURN(auto prompts, datasets::read_prompts(options.files, options.columns));
  const auto size = static_cast<int64_t>(prompts.size());
  if (options.from >= size)
    return invalid_argument(fmt::format("--from {}: there are only {} rows", options.from, size));
  const int64_t count = options.max_problems > 0
                            ? std::min(options.max_problems, size - options.from)
                            : size - options.from;
  std::optional<PromptTemplate> around;
  if (!texts.template_text.empty()) {
    LS_ASSIGN_OR_RETURN(around, PromptTemplate::parse(texts.template_text, options.template_path));
  }
  std::vector<Ask> asks;
  for (int64_t i = options.from; i < options.from + count; ++i) {
    LS_ASSIGN_OR_RETURN(
        Ask ask, make_ask(std::move(prompts[static_cast<size_t>(i)]), around, options, texts));
    asks.push_back(std::move(ask));
  }
  return asks;
}

}  // namespace longshot::curate
