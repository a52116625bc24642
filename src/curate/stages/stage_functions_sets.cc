// The stages that compare rows with one another or with evaluation rows.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/os/stop.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "curate/stages/stage_functions.h"
#include "curate/text/words.h"
#include "datasets/rows.h"

namespace longshot::curate {
namespace {

constexpr size_t kWindow = 4096;
constexpr int kLeastRange = 16;

double rounded(double similarity) {
  return std::round(similarity * 1e4) / 1e4;
}

OrderedJson summary_of(const DuplicateSearch& found, const DuplicateOptions& options) {
  return {{"bands", found.bands.bands},
          {"band_rows", found.bands.rows},
          {"recall_at_threshold", rounded(candidate_probability(found.bands, options.threshold))},
          {"recall_at_0.9", rounded(candidate_probability(found.bands, 0.9))},
          {"distinct_texts", found.distinct},
          {"candidate_pairs", found.candidates},
          {"similarities_computed", found.checks},
          {"largest_bucket", found.largest_bucket}};
}

OrderedJson details_of(const Duplicate& duplicate, double threshold) {
  OrderedJson details = {{"of", duplicate.representative}};
  if (duplicate.exact) return details;
  details["similarity"] = rounded(duplicate.similarity);
  if (duplicate.similarity < threshold - 1e-9) details["through"] = duplicate.linked;
  return details;
}

// An evaluation row as dropped rows name it.
struct EvaluationRow {
  std::string where;
};

Result<EvaluationIndex> read_evaluation(const CurateOptions& options,
                                        std::vector<EvaluationRow>& rows) {
  LS_ASSIGN_OR_RETURN(EvaluationIndex index, EvaluationIndex::create(options.overlap));
  RowOptions reading = options.rows;
  reading.prompt_column.clear();
  reading.answer_column.clear();
  LS_RETURN_IF_ERROR(
      datasets::for_each_row(options.evaluation_files, [&](datasets::Row&& row) -> Status {
        if (stop_requested()) return cancelled("stopped");
        LS_ASSIGN_OR_RETURN(const data::Prompt problem, parse_problem(row, reading));
        index.add(problem_words(problem, reading));
        rows.push_back({std::move(row.where)});
        return ok_status();
      }));
  index.finish();
  return index;
}

OrderedJson details_of(const Overlap& overlap, const std::vector<EvaluationRow>& rows) {
  OrderedJson details = {{"evaluation", rows[overlap.row].where}};
  if (overlap.words.empty()) {
    details["similarity"] = rounded(overlap.similarity);
  } else {
    details["words"] = overlap.words;
  }
  return details;
}

// The tag that a row is balanced by; empty if it has none.
std::string group_of(const OrderedJson& members, const std::string& over) {
  const auto tags = members.find("tags");
  if (tags == members.end()) return "";
  for (const auto& tag : *tags) {
    const auto text = tag.get<std::string>();
    if (text.starts_with(over)) return text;
  }
  return "";
}

struct Ranked {
  uint64_t rank;
  size_t row;
  bool operator<(const Ranked& other) const {
    return rank != other.rank ? rank < other.rank : row < other.row;
  }
};

}  // namespace

Result<OrderedJson> run_duplicates(const StageContext& context, DecisionWriter& writer) {
  const CurateOptions& options = context.options;
  LS_ASSIGN_OR_RETURN(const DuplicateSearch found,
                      find_duplicates(context.rows.words(), context.set.alive, options.duplicate,
                                      context.folder / "bands", context.on_progress));
  int64_t other_answers = 0, chained = 0;
  for (const Duplicate& duplicate : found.duplicates) {
    if (stop_requested()) return cancelled("stopped");
    OrderedJson details = details_of(duplicate, options.duplicate.threshold);
    LS_ASSIGN_OR_RETURN(const OrderedJson row, context.rows.read(duplicate.row));
    LS_ASSIGN_OR_RETURN(const OrderedJson kept, context.rows.read(duplicate.representative));
    const bool other = answer_of_row(row["row"]) != answer_of_row(kept["row"]);
    other_answers += other;
    chained += details.contains("through");
    if (other && options.keep_other_answers) continue;
    if (other) details["other_answer"] = answer_of_row(row["row"]);
    LS_RETURN_IF_ERROR(writer.drop(
        duplicate.row, duplicate.exact ? "exact_duplicate" : "near_duplicate", details));
  }
  OrderedJson summary = summary_of(found, options.duplicate);
  summary["duplicates_with_other_answers"] = other_answers;
  summary["joined_by_chains"] = chained;
  return summary;
}

Result<OrderedJson> run_contamination(const StageContext& context, DecisionWriter& writer) {
  std::vector<EvaluationRow> evaluation;
  LS_ASSIGN_OR_RETURN(const EvaluationIndex index, read_evaluation(context.options, evaluation));
  ThreadPool pool(context.options.threads);
  const auto total = static_cast<int64_t>(context.rows.size());
  Lines lines;
  for (size_t first = 0; first < context.rows.size(); first += kWindow) {
    if (stop_requested()) return cancelled("stopped");
    LS_RETURN_IF_ERROR(context.rows.words().read_range(first, kWindow, lines));
    std::vector<std::optional<Overlap>> found(lines.size());
    pool.parallel_ranges(static_cast<int>(lines.size()), kLeastRange, [&](int begin, int end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        if (context.set.alive[first + i]) found[i] = index.find(lines[i]);
      }
    });
    for (size_t i = 0; i < found.size(); ++i) {
      if (!found[i]) continue;
      LS_RETURN_IF_ERROR(writer.drop(first + i,
                                     found[i]->words.empty() ? "similar" : "shared_ngram",
                                     details_of(*found[i], evaluation)));
    }
    context.on_progress(static_cast<int64_t>(first + lines.size()), total);
  }
  return OrderedJson{{"evaluation_rows", evaluation.size()}};
}

Result<OrderedJson> run_balance(const StageContext& context, DecisionWriter& writer) {
  const CurateOptions& options = context.options;
  std::map<std::string, std::vector<Ranked>> groups;
  for (size_t row = 0; row < context.rows.size(); ++row) {
    if (!context.set.alive[row]) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson names, context.rows.read_names(row));
    groups[group_of(context.set.members_of(row), options.balance_over)].push_back(
        {balance_rank(options.balance.seed, hash64(full_id(names["row"]))), row});
  }
  GroupSizes sizes;
  for (const auto& [group, rows] : groups) sizes[group] = static_cast<int64_t>(rows.size());
  LS_ASSIGN_OR_RETURN(const GroupSizes targets, target_sizes(sizes, options.balance));
  std::vector<std::pair<size_t, std::string>> dropped;
  for (auto& [group, rows] : groups) {
    std::sort(rows.begin(), rows.end());
    for (auto i = static_cast<size_t>(targets.at(group)); i < rows.size(); ++i)
      dropped.emplace_back(rows[i].row, group);
  }
  std::sort(dropped.begin(), dropped.end());
  for (const auto& [row, group] : dropped)
    LS_RETURN_IF_ERROR(writer.drop(row, "group", {{"group", group}}));
  return OrderedJson{{"before", sizes}, {"after", targets}};
}

}  // namespace longshot::curate
