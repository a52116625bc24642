#include "curate/select/select_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_set>

#include "base/log.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "curate/select/training_rows.h"
#include "datasets/rows.h"

namespace longshot::curate {
namespace {

Status write_rows(const JudgedPrompt& prompt, const Selection& selection,
                  const std::function<Status(const OrderedJson& row)>& write) {
  for (const size_t place : selection.responses)
    LS_RETURN_IF_ERROR(write(response_row(prompt, prompt.samples[place])));
  for (const auto& [chosen, rejected] : selection.pairs)
    LS_RETURN_IF_ERROR(write(pair_row(prompt, prompt.samples[chosen], prompt.samples[rejected])));
  return ok_status();
}

}  // namespace

Result<SelectFunnel> select_files(const std::vector<std::string>& files, const RuleOptions& options,
                                  const std::function<Status(const OrderedJson& row)>& write) {
  SelectFunnel funnel;
  std::unordered_set<uint64_t> ids;
  bool warned = false;
  int64_t rows = 0;
  LS_RETURN_IF_ERROR(datasets::for_each_row(files, [&](datasets::Row&& row) -> Status {
    if (stop_requested()) return cancelled("stopped; nothing is written");
    ++rows;
    LS_ASSIGN_OR_RETURN(const JudgedPrompt prompt, judged_prompt_from_json(row.json, row.where));
    if (!ids.insert(hash64(prompt.id)).second && !std::exchange(warned, true))
      log::warn("{}: the prompt '{}' occurs again; caps apply to each of its rows", row.where,
                prompt.id);
    const Selection selection = select(prompt, options);
    funnel.add(prompt, selection);
    return write_rows(prompt, selection, write);
  }));
  if (rows == 0) return invalid_argument(fmt::format("no rows in {}", fmt::join(files, ", ")));
  return funnel;
}

}  // namespace longshot::curate
