#include "config/sections/data.h"

#include "base/settings/checks.h"

namespace longshot::config {
namespace {

void bind_sampler(Settings& s, prompts::SamplerOptions& o) {
  s.add("data.order", &o.order, "how prompts are chosen");
  s.add("data.filter", &o.filter,
        "greso: a prompt is often skipped if the scores of its last groups were all equal; "
        "docs/algorithms.md");
  s.add("data.curriculum_iterations", &o.curriculum_iterations,
        "curriculum: first iterations of its stages, ascending");
  s.add("data.curriculum_min_difficulty", &o.curriculum_min_difficulty,
        "curriculum: lowest difficulty of each stage");
  s.add("data.curriculum_max_difficulty", &o.curriculum_max_difficulty,
        "curriculum: highest difficulty of each stage");
  s.add("data.prioritized_floor", &o.prioritized_floor,
        "prioritized: lowest weight, so that a solved problem is still seen", within(1e-6, 1));
}

}  // namespace

void bind_columns(Settings& s, datasets::ColumnMapping& c) {
  s.add("data.prompt_key", &c.prompt, "column of the prompt (messages or text)");
  s.add("data.ground_truth_key", &c.ground_truth,
        "column of the answer; empty: reward_model.ground_truth, ground_truth, answer, solution");
  s.add("data.data_source_key", &c.data_source, "column that names the task");
  s.add("data.difficulty_key", &c.difficulty,
        "column of the difficulty; empty: extra_info.difficulty, difficulty, else 0");
  s.add("data.apply_chat_template", &c.apply_chat_template,
        "a prompt that is a text is the user's message where the model has a chat template; false: "
        "the model sees the text as it is");
  s.add("data.system_prompt", &c.system_prompt,
        "system message put before every prompt, which becomes a chat by it; not with "
        "data.apply_chat_template=false; empty = none");
}

void bind_response_length(Settings& s, int& max_response_length) {
  s.add("data.max_response_length", &max_response_length,
        "tokens; a longer response is cut (finish reason length)", at_least(1));
}

void bind(Settings& s, DataOptions& d, int& max_response_length) {
  s.add("data.train_files", &d.train_files, "JSONL or parquet files of verl or TRL rows");
  s.add("data.val_files", &d.val_files, "held-out problems");
  s.add("data.train_batch_size", &d.train_batch_size, "prompts (groups) per iteration",
        at_least(1));
  s.add("data.max_prompt_length", &d.max_prompt_length, "tokens; longer prompts are left out",
        at_least(1));
  bind_response_length(s, max_response_length);
  bind_columns(s, d.columns);
  bind_sampler(s, d.sampler);
}

}  // namespace longshot::config
