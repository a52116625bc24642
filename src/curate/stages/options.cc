#include "curate/stages/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/settings/checks.h"
#include "curate/filters/problem_format.h"

namespace longshot::curate {
namespace {

void bind_rows(Settings& s, CurateOptions& o) {
  s.add("normalize.clean", &o.rows.clean,
        "clean texts and answers; false: only their shape changes");
  s.add("normalize.form", &o.rows.form,
        "Unicode form of the texts that are written; nfkc turns x² into x2");
  s.add("normalize.prompt_key", &o.rows.prompt_column,
        "column of the problem; empty: prompt, problem, question, query or instruction");
  s.add("normalize.answer_key", &o.rows.answer_column,
        "column of the answer; empty: reward_model.ground_truth, ground_truth, answer or solution");
  s.add("normalize.data_source", &o.rows.data_source,
        "data_source of rows without one; it chooses the reward");
  s.add("normalize.require_answer", &o.require_answer, "drop rows without an answer");
  s.add("normalize.max_words", &o.max_words, "drop longer problems; 0 = none", at_least(0));
  s.add("normalize.ignore", &o.rows.ignore,
        "texts that many rows share, such as an instruction; left out of comparisons only",
        no_empty_string("must not contain an empty text"));
}

void bind_duplicates(Settings& s, CurateOptions& o) {
  s.add("format.enabled", &o.format, "drop problems by their format");
  s.add("format.drop", &o.drop_formats, "multiple_choice, true_false, proof",
        [](const std::vector<std::string>& names) -> std::string {
          for (const auto& name : names) {
            if (!value_of<ProblemFormat>(name)) return "'" + name + "' is not a format";
          }
          return "";
        });
  s.add("duplicates.enabled", &o.duplicates, "drop exact and near duplicates");
  s.add("duplicates.threshold", &o.duplicate.threshold,
        "Jaccard similarity of the shingles from which two problems are duplicates",
        within(0.3, 1));
  s.add("duplicates.shingle", &o.duplicate.shingle, "words of a shingle", at_least(1));
  s.add("duplicates.permutations", &o.duplicate.permutations,
        "hash functions of a signature; more find more pairs near the threshold", at_least(1));
  s.add("duplicates.keep_other_answers", &o.keep_other_answers,
        "keep a duplicate whose answer differs from that of the row that represents it");
}

void bind_contamination(Settings& s, CurateOptions& o) {
  s.add("contamination.files", &o.evaluation_files,
        "evaluation files; problems in them are dropped");
  s.add("contamination.ngram", &o.overlap.ngram, "words of a shared run that tells contamination",
        at_least(1));
  s.add("contamination.least_words", &o.overlap.least_words,
        "shorter problems must be equal; others are also found inside longer ones", at_least(1));
  s.add("contamination.common", &o.overlap.common,
        "a run in more evaluation rows than this is boilerplate; 0 = none is", at_least(0));
  s.add("contamination.threshold", &o.overlap.threshold, "Jaccard similarity to an evaluation row",
        within(0.3, 1));
}

void bind_models(Settings& s, CurateOptions& o) {
  s.add("tags.columns", &o.tags.columns, "columns whose values become tags COLUMN:VALUE");
  s.add_parsed("tags.rules", &o.tags.rules, "list of {tag, pattern}: PCRE2 searched in the problem",
               check_tag_rules);
  s.add("tags.samples", &o.tags.samples, "samples.jsonl of a model that was asked for tags");
  s.add("tags.allowed", &o.tags.allowed, "tags that the model may give; empty: any");
  s.add("hackable.enabled", &o.hackable,
        "drop guessable problems, if there are samples or a model");
  s.add("difficulty.enabled", &o.difficulty,
        "measure the difficulty, if there are samples or a model");
  s.add("hackable.samples", &o.hack_samples,
        "samples.jsonl of a model that answered without chain of thought");
  s.add("hackable.tries", &o.hack_tries, "a problem with a correct one of the first N is dropped",
        at_least(1));
  s.add("hackable.max_tokens", &o.hack_tokens, "most tokens of a guess that a model is asked for",
        at_least(1));
  s.add("difficulty.samples", &o.difficulty_samples, "samples.jsonl; difficulty = 1 - pass rate");
  s.add("difficulty.tries", &o.difficulty_tries, "samples that a model is asked for", at_least(1));
  s.add("difficulty.least_samples", &o.least_samples,
        "problems with fewer judged samples get no difficulty", at_least(1));
  s.add("difficulty.trivial", &o.trivial, "problems with this pass rate or more are dropped",
        above(0));
  s.add("difficulty.drop_unsolved", &o.drop_unsolved,
        "drop problems that no sample solved; otherwise they are marked never_solved");
  s.add("balance.over", &o.balance_over,
        "balance over the tags that begin with this, such as subject:; empty: the first tag");
  s.add("balance.cap", &o.balance.cap, "most problems of a tag; 0 = any number",
        at_least(int64_t{0}));
  s.add_parsed("balance.shares", &o.balance.shares, "table of tags and their shares of the result",
               check_shares);
}

}  // namespace

void bind(Settings& settings, CurateOptions& options, CurateKeys& keys) {
  bind_rows(settings, options);
  bind_duplicates(settings, options);
  bind_contamination(settings, options);
  bind_models(settings, options);
  settings.add("curate.seed", &keys.seed, "of the hash functions and of the balance");
  settings.add("curate.threads", &options.threads, "threads; they change no result", at_least(1));
}

Status complete(CurateOptions& options, const CurateKeys& keys) {
  options.seed = static_cast<uint64_t>(keys.seed);
  options.duplicate.seed = options.overlap.seed = options.balance.seed = options.seed;
  options.duplicate.threads = options.threads;
  options.overlap.shingle = options.duplicate.shingle;
  options.overlap.permutations = options.duplicate.permutations;
  if (options.files.empty()) return invalid_argument("name at least one file of problems");
  if (options.overlap.least_words > options.overlap.ngram) {
    return invalid_argument("contamination.least_words must not be more than contamination.ngram");
  }
  const bool balances = options.balance.cap > 0 || !options.balance.shares.empty();
  const bool tagged =
      !options.tags.columns.empty() || !options.tags.rules.empty() || !options.tags.samples.empty();
  if (balances && !tagged)
    return invalid_argument("balance needs tags: set tags.columns, tags.rules or tags.samples");
  return choose_bands(options.duplicate.threshold, options.duplicate.permutations).status();
}

bool is_enabled(Stage stage, const CurateOptions& options, bool with_model) {
  switch (stage) {
    case Stage::normalize:
      return true;
    case Stage::format:
      return options.format;
    case Stage::duplicates:
      return options.duplicates;
    case Stage::contamination:
      return !options.evaluation_files.empty();
    case Stage::tags:
      return !options.tags.columns.empty() || !options.tags.rules.empty() ||
             !options.tags.samples.empty();
    case Stage::hackable:
      return options.hackable && (!options.hack_samples.empty() || with_model);
    case Stage::difficulty:
      return options.difficulty && (!options.difficulty_samples.empty() || with_model);
    case Stage::balance:
      return options.balance.cap > 0 || !options.balance.shares.empty();
  }
  return false;
}

OrderedJson settings_of(Stage stage, const Settings& settings) {
  OrderedJson json;
  const std::string prefix = std::string(name_of(stage)) + ".";
  const bool shingled = stage == Stage::contamination;
  for (const std::string& key : settings.keys()) {
    const bool shared =
        shingled && (key == "duplicates.shingle" || key == "duplicates.permutations");
    if (key.starts_with(prefix) || shared || key == "curate.seed")
      json[key] = settings.value_text(key);
  }
  return json;
}

std::vector<std::string> files_of(Stage stage, const CurateOptions& options) {
  switch (stage) {
    case Stage::normalize:
      return options.files;
    case Stage::contamination:
      return options.evaluation_files;
    case Stage::tags:
      return options.tags.samples.empty() ? std::vector<std::string>()
                                          : std::vector{options.tags.samples};
    case Stage::hackable:
      return options.hack_samples;
    case Stage::difficulty:
      return options.difficulty_samples;
    default:
      return {};
  }
}

}  // namespace longshot::curate
