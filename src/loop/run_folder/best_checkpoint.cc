#include "loop/run_folder/best_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/os/fs.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

double highest_accuracy(const std::vector<Evaluated>& evaluations) {
  return std::ranges::max_element(evaluations, {}, &Evaluated::accuracy)->accuracy;
}

// True if `a` is preferred to `b` whatever is evaluated later.
bool replaces(const Evaluated& a, const Evaluated& b) {
  if (a.accuracy < b.accuracy) return false;
  return a.length < b.length || (a.length == b.length && a.iteration < b.iteration);
}

}  // namespace

Json to_json(const std::vector<Evaluated>& evaluations) {
  Json list = Json::array();
  for (const Evaluated& e : evaluations)
    list.push_back({{"iteration", e.iteration}, {"accuracy", e.accuracy}, {"length", e.length}});
  return list;
}

Result<std::vector<Evaluated>> evaluations_from_json(const Json& json, const std::string& where) {
  std::vector<Evaluated> evaluations;
  for (const Json& item : json) {
    Evaluated e;
    LS_ASSIGN_OR_RETURN(e.iteration, json_get<int64_t>(item, "iteration", where));
    LS_ASSIGN_OR_RETURN(e.accuracy, json_get<double>(item, "accuracy", where));
    LS_ASSIGN_OR_RETURN(e.length, json_get<double>(item, "length", where));
    evaluations.push_back(e);
  }
  return evaluations;
}

bool add_evaluation(const Evaluated& evaluation, double margin,
                    std::vector<Evaluated>& candidates) {
  candidates.push_back(evaluation);
  const double lowest = highest_accuracy(candidates) - margin;
  std::vector<Evaluated> kept;
  for (const Evaluated& one : candidates) {
    const bool replaced = std::ranges::any_of(
        candidates, [&](const Evaluated& other) { return replaces(other, one); });
    if (one.accuracy >= lowest && !replaced) kept.push_back(one);
  }
  candidates = std::move(kept);
  return candidates.back().iteration == evaluation.iteration;
}

std::optional<Evaluated> best_of(const std::vector<Evaluated>& candidates, double margin) {
  if (candidates.empty()) return std::nullopt;
  const double lowest = highest_accuracy(candidates) - margin;
  std::optional<Evaluated> best;
  for (const Evaluated& one : candidates) {
    if (one.accuracy >= lowest && (!best || one.length < best->length)) best = one;
  }
  return best;
}

Status link_best(const std::string& run_directory, int64_t iteration) {
  const fs::path link = fs::path(run_directory) / "best";
  const fs::path temporary = fs::path(run_directory) / "best.tmp";
  LS_RETURN_IF_ERROR(remove_tree(temporary));
  std::error_code error;
  fs::create_directory_symlink(fmt::format("global_step_{}", iteration), temporary, error);
  if (error)
    return io_error(fmt::format("cannot link {}: {}", temporary.string(), error.message()));
  return rename_durable(temporary, link);
}

Status remove_broken_best(const std::string& run_directory) {
  const fs::path link = fs::path(run_directory) / "best";
  std::error_code error;
  if (!fs::is_symlink(link, error) || fs::exists(link, error)) return ok_status();
  fs::remove(link, error);
  if (!error) return ok_status();
  return io_error(fmt::format("cannot remove {}: {}", link.string(), error.message()));
}

}  // namespace longshot::loop
