// The stages that use how a model answered.

#include <fmt/format.h>

#include <cmath>

#include "base/log.h"
#include "base/rng.h"
#include "curate/stages/stage_functions.h"
#include "datasets/prompts.h"

namespace longshot::curate {
namespace {

Result<std::vector<data::Prompt>> kept_prompts(const StageContext& context) {
  std::vector<data::Prompt> prompts;
  for (size_t row = 0; row < context.rows.size(); ++row) {
    if (!context.set.alive[row]) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson line, context.rows.read(row));
    LS_ASSIGN_OR_RETURN(
        auto prompt,
        datasets::parse_prompt({Json(line["row"]), line["where"].get<std::string>()}, {}));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

// From files, or from the model that the context has.
Result<PassRates> pass_rates(const StageContext& context, const std::vector<std::string>& files,
                             int most, const TryOptions& ask) {
  if (!files.empty()) return read_pass_rates(files, most);
  LS_ASSIGN_OR_RETURN(const auto prompts, kept_prompts(context));
  LS_ASSIGN_OR_RETURN(const auto judged, context.ask(prompts, ask));
  PassRates rates;
  for (const JudgedPrompt& prompt : judged) rates[hash64(prompt.id)] = pass_rate(prompt, most);
  return rates;
}

// Calls use(row, rate) for each kept row; rows without samples get a rate of 0 samples. It is an
// error if no row has samples: then the files belong to other problems.
Status for_each_rate(const StageContext& context, const PassRates& rates, const char* stage,
                     const std::function<Status(size_t row, const PassRate& rate)>& use) {
  const auto total = static_cast<int64_t>(context.rows.size());
  int64_t kept = 0, found = 0;
  for (size_t row = 0; row < context.rows.size(); ++row) {
    if (!context.set.alive[row]) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson names, context.rows.read_names(row));
    const auto rate = rates.find(hash64(full_id(names["row"])));
    ++kept;
    found += rate != rates.end();
    LS_RETURN_IF_ERROR(use(row, rate == rates.end() ? PassRate{} : rate->second));
    context.on_progress(static_cast<int64_t>(row + 1), total);
  }
  if (kept == 0 || found > 0) return ok_status();
  return invalid_argument(
      fmt::format("{}.samples: no id of the samples is the id of a problem; make them with "
                  "`longshot sample OUT/prompts.jsonl` from this folder's prompts",
                  stage));
}

double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

}  // namespace

Result<OrderedJson> run_hackable(const StageContext& context, DecisionWriter& writer) {
  const CurateOptions& options = context.options;
  TryOptions ask;
  ask.samples = options.hack_tries;
  ask.chain_of_thought = false;
  ask.max_tokens = options.hack_tokens;
  ask.folder = context.folder / "hackable";
  LS_ASSIGN_OR_RETURN(const PassRates rates,
                      pass_rates(context, options.hack_samples, options.hack_tries, ask));
  int64_t incomplete = 0;
  LS_RETURN_IF_ERROR(for_each_rate(context, rates, "hackable", [&](size_t row, const PassRate& r) {
    if (r.correct > 0)
      return writer.drop(row, "guessed", {{"correct", r.correct}, {"tries", r.judged}});
    incomplete += r.judged < static_cast<uint32_t>(options.hack_tries);
    return ok_status();
  }));
  if (incomplete > 0)
    log::warn("hackable: {} problems have fewer than {} judged answers and are kept", incomplete,
              options.hack_tries);
  return OrderedJson{{"tries", options.hack_tries}, {"with_fewer_tries", incomplete}};
}

Result<OrderedJson> run_difficulty(const StageContext& context, DecisionWriter& writer) {
  const CurateOptions& options = context.options;
  TryOptions ask;
  ask.samples = options.difficulty_tries;
  ask.folder = context.folder / "difficulty";
  LS_ASSIGN_OR_RETURN(const PassRates rates,
                      pass_rates(context, options.difficulty_samples, 0, ask));
  int64_t unmeasured = 0, unsolved = 0;
  std::vector<int64_t> histogram(10, 0);
  const auto use = [&](size_t row, const PassRate& r) {
    if (r.judged < static_cast<uint32_t>(options.least_samples)) {
      ++unmeasured;
      return ok_status();
    }
    const OrderedJson details = {{"correct", r.correct}, {"samples", r.judged}};
    if (r.rate() >= options.trivial) return writer.drop(row, "trivial", details);
    unsolved += r.correct == 0;
    if (r.correct == 0 && options.drop_unsolved) return writer.drop(row, "unsolved", details);
    const double difficulty = rounded(1 - r.rate());
    ++histogram[std::min<size_t>(9, static_cast<size_t>(difficulty * 10))];
    OrderedJson members = {{"difficulty", difficulty}, {"pass_samples", r.judged}};
    if (r.correct == 0) members["never_solved"] = true;
    return writer.set(row, members);
  };
  LS_RETURN_IF_ERROR(for_each_rate(context, rates, "difficulty", use));
  if (unmeasured > 0)
    log::warn("difficulty: {} problems have fewer than {} judged samples and no difficulty",
              unmeasured, options.least_samples);
  return OrderedJson{
      {"without_difficulty", unmeasured}, {"never_solved", unsolved}, {"histogram", histogram}};
}

}  // namespace longshot::curate
