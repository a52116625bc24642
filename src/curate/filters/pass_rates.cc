#include "curate/filters/pass_rates.h"

#include "base/os/stop.h"
#include "base/rng.h"
#include "datasets/rows.h"

namespace longshot::curate {

PassRate pass_rate(const JudgedPrompt& prompt, int most) {
  PassRate rate;
  for (const JudgedSample& sample : prompt.samples) {
    if (!sample.score || (most > 0 && sample.index >= static_cast<uint32_t>(most))) continue;
    ++rate.judged;
    rate.correct += sample.correct;
  }
  return rate;
}

Status for_each_judged(const std::vector<std::string>& files,
                       const std::function<Status(JudgedPrompt&& prompt)>& use) {
  return datasets::for_each_row(files, [&](datasets::Row&& row) -> Status {
    if (stop_requested()) return cancelled("stopped");
    LS_ASSIGN_OR_RETURN(JudgedPrompt prompt,
                        judged_prompt_from_json(OrderedJson(row.json), row.where));
    return use(std::move(prompt));
  });
}

Result<PassRates> read_pass_rates(const std::vector<std::string>& files, int most) {
  PassRates rates;
  LS_RETURN_IF_ERROR(for_each_judged(files, [&](JudgedPrompt&& prompt) {
    const PassRate found = pass_rate(prompt, most);
    PassRate& rate = rates[hash64(prompt.id)];
    rate.judged += found.judged;
    rate.correct += found.correct;
    return ok_status();
  }));
  return rates;
}

}  // namespace longshot::curate
