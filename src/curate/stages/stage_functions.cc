#include "curate/stages/stage_functions.h"

#include <algorithm>

#include "base/os/stop.h"
#include "base/thread_pool.h"

namespace longshot::curate {
namespace {

constexpr size_t kWindow = 4096;  // rows in memory at once
constexpr int kLeastRange = 16;

}  // namespace

Status for_each_kept_row(const StageContext& context, const RowJudge& judge,
                         const std::function<Status(size_t row, const OrderedJson& result)>& use) {
  ThreadPool pool(context.options.threads);
  const auto total = static_cast<int64_t>(context.rows.size());
  Lines lines;
  for (size_t first = 0; first < context.rows.size(); first += kWindow) {
    if (stop_requested()) return cancelled("stopped");
    LS_RETURN_IF_ERROR(context.rows.rows().read_range(first, kWindow, lines));
    std::vector<Result<OrderedJson>> results(lines.size(), OrderedJson());
    pool.parallel_ranges(static_cast<int>(lines.size()), kLeastRange, [&](int begin, int end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        if (!context.set.alive[first + i]) continue;
        const auto line = parse_ordered_json(lines[i], "rows.jsonl");
        results[i] = line.ok() ? judge(first + i, *line) : line.status();
      }
    });
    for (size_t i = 0; i < results.size(); ++i) {
      if (!context.set.alive[first + i]) continue;
      if (!results[i].ok()) return results[i].status();
      LS_RETURN_IF_ERROR(use(first + i, *results[i]));
    }
    context.on_progress(static_cast<int64_t>(first + lines.size()), total);
  }
  return ok_status();
}

std::string text_of_row(const OrderedJson& row) {
  std::string text;
  for (const OrderedJson& message : row["prompt"]) {
    if (message.value("role", "") != "user") continue;
    if (!text.empty()) text += "\n";
    const OrderedJson& content = message["content"];
    if (content.is_string()) {
      text += content.get<std::string>();
    } else {
      for (const OrderedJson& part : content) text += part.value("text", "");
    }
  }
  return text;
}

std::string answer_of_row(const OrderedJson& row) {
  const OrderedJson& answer = row["reward_model"]["ground_truth"];
  return answer.is_string() ? answer.get<std::string>() : dump_json(answer);
}

Result<OrderedJson> run_stage(Stage stage, const StageContext& context, DecisionWriter& writer) {
  switch (stage) {
    case Stage::normalize:
      return run_normalize(context, writer);
    case Stage::format:
      return run_format(context, writer);
    case Stage::duplicates:
      return run_duplicates(context, writer);
    case Stage::contamination:
      return run_contamination(context, writer);
    case Stage::tags:
      return run_tags(context, writer);
    case Stage::hackable:
      return run_hackable(context, writer);
    case Stage::difficulty:
      return run_difficulty(context, writer);
    case Stage::balance:
      return run_balance(context, writer);
  }
  return internal_error("there is no such stage");
}

}  // namespace longshot::curate
