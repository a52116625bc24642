#include "commands/data/curate_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/os/machine.h"
#include "base/progress_line.h"
#include "base/rng.h"
#include "commands/command.h"
#include "commands/judge/reward_types.h"
#include "commands/key_flags.h"
#include "config/sections/data.h"
#include "config/sections/rollout.h"
#include "curate/samples/direct_text.h"
#include "curate/samples/prompt_template.h"
#include "curate/samples/sample_run.h"

namespace longshot::commands {
namespace {

Result<std::vector<curate::Ask>> asks_of(const std::vector<data::Prompt>& prompts,
                                         const curate::TryOptions& tries) {
  LS_ASSIGN_OR_RETURN(const auto around,
                      curate::PromptTemplate::parse(std::string(curate::kDirectTxt), "direct.txt"));
  std::vector<curate::Ask> asks;
  for (const data::Prompt& prompt : prompts) {
    curate::Ask ask{prompt, prompt};
    if (!tries.chain_of_thought) {
      LS_ASSIGN_OR_RETURN(ask.asked, around.apply(prompt, {}));
    }
    asks.push_back(std::move(ask));
  }
  return asks;
}

Result<std::unique_ptr<reward::RewardStage>> open_rewards(const CurateModelOptions& o) {
  reward::RewardOptions rewards = o.reward.stage;
  rewards.repetition_penalty = 0;
  LS_ASSIGN_OR_RETURN(rewards.rewards, parse_rewards(o.rewards));
  return reward::RewardStage::create(rewards);
}

// A guess ends with its first success, which is all that is asked.
curate::SampleRunOptions run_options(const curate::TryOptions& tries, int max_concurrent) {
  curate::SampleRunOptions run;
  run.n = tries.samples;
  run.until_correct = tries.chain_of_thought ? 0 : 1;
  run.prompts_at_once = std::clamp(2 * max_concurrent / tries.samples, 2, 512);
  return run;
}

// Only counts of these are used, and the texts are in the folder's samples.jsonl.
curate::JudgedPrompt without_texts(curate::JudgedPrompt row) {
  for (auto& sample : row.samples) sample.response.clear();
  return row;
}

// Answers with other settings stay beside these, for a return to their settings.
std::string folder_of(const curate::TryOptions& tries, const OrderedJson& settings) {
  return fmt::format("{}/{:016x}", tries.folder, hash64(dump_json(settings)));
}

Status check_errors(const curate::SampleResult& result, const std::string& folder) {
  if (result.all_errors == 0) return ok_status();
  const std::string failed = fmt::format("{} of {} samples have failed; {}/samples.jsonl says why",
                                         result.all_errors, result.all_samples, folder);
  if (result.all_errors == result.all_samples) return unavailable(failed);
  log::warn("{}", failed);
  return ok_status();
}

Result<std::vector<curate::JudgedPrompt>> ask_model(const CurateModelOptions& o,
                                                    const OrderedJson& model_settings,
                                                    const std::vector<data::Prompt>& prompts,
                                                    const curate::TryOptions& tries) {
  InferenceOptions inference = o.inference;
  if (!tries.chain_of_thought) {
    inference.sampling.max_response_length = tries.max_tokens;
    inference.max_tokens = nullptr;
  }
  LS_ASSIGN_OR_RETURN(auto asks, asks_of(prompts, tries));
  LS_ASSIGN_OR_RETURN(LocalModel model, read_local_model(inference, o.local, {}, asks));
  OrderedJson settings = model_settings;
  settings["n"] = tries.samples;
  settings["max_tokens"] = inference.sampling.max_response_length;
  LS_ASSIGN_OR_RETURN(const auto rewards, open_rewards(o));
  const std::string folder = folder_of(tries, settings);
  LS_ASSIGN_OR_RETURN(auto journal, curate::SampleJournal::open(folder, settings));
  const auto run = run_options(tries, o.local.max_concurrent);
  LS_ASSIGN_OR_RETURN(const auto source,
                      open_local_source(inference, model, run.prompts_at_once * run.n));
  ProgressLine line;
  line.start(0, static_cast<int64_t>(asks.size()));
  std::vector<curate::JudgedPrompt> rows;
  const auto result = curate::run_samples(
      asks, run, *source, rewards.get(), journal,
      [&](const curate::SampleProgress& p) {
        line.update(p.prompts, fmt::format("{} samples, {} correct", p.samples, p.correct));
      },
      [&](const curate::JudgedPrompt& row) { rows.push_back(without_texts(row)); });
  line.clear();
  LS_RETURN_IF_ERROR(result.status());
  LS_RETURN_IF_ERROR(check_errors(*result, folder));
  return rows;
}

}  // namespace

void add_curate_model_options(CLI::App& command, CurateModelOptions& o) {
  o.inference.sampling.temperature = 1;
  o.inference.sampling.max_response_length = 2048;
  o.reward.stage.threads = usable_cores(inspect_machine());
  Settings keys;
  config::bind_response_length(keys, o.inference.sampling.max_response_length);
  config::bind_sampling(keys, o.inference.sampling, config::Greedy::refused);
  config::bind_concurrency(keys, o.local.max_concurrent);
  config::bind(keys, o.reward, reward_types());
  CLI::Option* model = command.add_option(
      "--model", o.inference.model.path,
      fmt::format("model that the stages hackable and difficulty ask if no files of samples are "
                  "given: {}",
                  kModelHelp));
  add_key_flags(command, keys,
                {{"--temperature", "rollout.temperature"},
                 {"--max-tokens", "data.max_response_length"},
                 {"--max-concurrent", "rollout.max_concurrent"},
                 {"--reward-timeout", "reward.timeout"}});
  o.inference.max_tokens = command.get_option("--max-tokens");
  command
      .add_option("--reward", o.rewards,
                  "reward functions: NAME, NAME:WEIGHT or a JSON object with options; "
                  "docs/rewards.md")
      ->capture_default_str();
  for (const char* flag :
       {"--temperature", "--max-tokens", "--max-concurrent", "--reward-timeout", "--reward"})
    command.get_option(flag)->needs(model);
}

Result<curate::CurateModel> make_curate_model(CurateModelOptions& o) {
  curate::CurateModel model;
  if (o.inference.model.path.empty()) return model;
  LS_RETURN_IF_ERROR(parse_rewards(o.rewards).status());
  model.settings = {{"seed", o.inference.seed},
                    {"temperature", o.inference.sampling.temperature},
                    {"max_tokens", o.inference.sampling.max_response_length},
                    {"rewards", o.rewards}};
  LS_RETURN_IF_ERROR(add_model_settings(o.inference, o.local, model.settings));
  model.ask = [&o, settings = model.settings](const std::vector<data::Prompt>& prompts,
                                              const curate::TryOptions& tries) {
    return ask_model(o, settings, prompts, tries);
  };
  return model;
}

}  // namespace longshot::commands
