#include "loop/rl/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "loop/cluster/cluster_rollout.h"
#include "loop/rl/parts.h"
#include "rollout/jobs.h"
#include "tokenizer/token_table.h"

namespace longshot::loop {
namespace {

// Finds a reward that fails for every row by trying it on one row. The response is the ground
// truth, which most rewards can judge. An unavailable service or a timeout is only a warning,
// because the service may be started later.
Status try_rewards(Parts& parts) {
  const auto draws = parts.prompts->next(1, 0);
  data::Sample sample;
  sample.prompt_id = draws.front().prompt.id;
  sample.text = draws.front().prompt.ground_truth;
  sample.finish = data::FinishReason::stop;
  const data::Verdict verdict = parts.rewards->judge({&draws.front().prompt}, {&sample}).front();
  if (verdict.scored) {
    log::info("rewards: the ground truth of prompt {} as the response gets {:.3f} ({})",
              sample.prompt_id, verdict.score, verdict.correct ? "right" : "not right");
    return ok_status();
  }
  if (verdict.error == reward::kNoRewardApplies) {
    log::warn("no reward applies to prompt {}", sample.prompt_id);
    return ok_status();
  }
  const std::string reason =
      fmt::format("the rewards cannot judge the ground truth of prompt {}: {}", sample.prompt_id,
                  verdict.error);
  for (StatusCode code : {StatusCode::unavailable, StatusCode::timeout}) {
    if (verdict.error.find(fmt::format(": {}: ", status_code_name(code))) == std::string::npos)
      continue;
    log::warn("{}", reason);
    return ok_status();
  }
  return invalid_argument(reason);
}

// Shows the tokens of the first prompt, and of the answer that the run's first sample would be.
Status log_tokens(const std::vector<data::Draw>& first, Parts& parts) {
  LS_ASSIGN_OR_RETURN(const auto samples, parts.rollout->generate(rollout::make_jobs(first, 1),
                                                                  parts.engine_options, nullptr));
  const data::Sample& answer = samples.front();
  const tokenizer::Tokenizer& tokenizer = *parts.tokenizer;
  const std::string head = tokenizer::token_table_head("log-prob.");
  std::string text = "tokens of the prompt:\n" + head;
  for (const data::TokenId id : answer.prompt_tokens)
    text += tokenizer::token_table_row(tokenizer, id, "");
  text += fmt::format("tokens of an answer ({} tokens, finish: {}):\n{}", answer.tokens.size(),
                      data::finish_reason_name(answer.finish), head);
  const std::vector<data::TokenId>& ends = parts.engine_options.sampling.stop_tokens;
  for (size_t i = 0; i < answer.tokens.size(); ++i) {
    const bool end = std::ranges::count(ends, answer.tokens[i]) > 0;
    text += tokenizer::token_table_row(tokenizer, answer.tokens[i],
                                       fmt::format("{:.4f}", answer.logprobs[i]),
                                       end ? "end token" : "");
  }
  text.pop_back();
  log::info("{}", text);
  return ok_status();
}

}  // namespace

Status check_inputs(const config::TrainConfig& config, bool show_tokens) {
  const std::string& mode = config.trainer.resume_mode;
  if (config.trainer.names_checkpoint() && !std::filesystem::is_directory(mode)) {
    return invalid_argument("trainer.resume_mode = \"" + mode +
                            "\" is neither auto, disable nor a checkpoint's directory");
  }
  if (config.cluster.on()) LS_RETURN_IF_ERROR(check_cluster(config.cluster));
  LS_ASSIGN_OR_RETURN(Parts parts,
                      make_parts(config::in_one_process(config), {}, "", "", train::alone()));
  LS_RETURN_IF_ERROR(parts.publisher->publish(parts.trainer->model().weights()).status());
  const auto first = parts.prompts->next(1, 0);
  log::info("a prompt as the model sees it ({} tokens):\n{}", first[0].prompt.tokens.size(),
            parts.tokenizer->decode(first[0].prompt.tokens, false));
  if (show_tokens) LS_RETURN_IF_ERROR(log_tokens(first, parts));
  log::info("model {}: {} parameters", config.model.path,
            model::parameter_count(parts.trainer->model().weights().config()));
  log::info("{} training prompts, {} held-out ones, {} iterations; {}", parts.prompts->size(),
            parts.val_prompts.size(), parts.total_iterations, parts.prompts->debug_string());
  for (const config::Phase& phase : config.phase.phases)
    log::info("{} begins {}: {}", phase.name, start_text(phase), settings_text(phase));
  return try_rewards(parts);
}

}  // namespace longshot::loop
