#pragma once
// The rule for the best checkpoint of a run by accuracy and length: among the evaluations whose
// accuracy is at most `margin` below the highest, the one with the shortest mean response, and of
// several such the earliest. It chooses the model that long2short starts from (Kimi k1.5 report,
// section 2.4). Not thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::loop {

// A held-out evaluation.
struct Evaluated {
  int64_t iteration = 0;
  double accuracy = 0;
  double length = 0;  // mean tokens of a response
};

Json to_json(const std::vector<Evaluated>& evaluations);
Result<std::vector<Evaluated>> evaluations_from_json(const Json& json, const std::string& where);

// Adds an evaluation, and removes those that can never become the best. One that is more accurate
// but longer than the best stays: when a later evaluation raises the highest accuracy, the best may
// fall out of the margin. Returns true if the new one stays.
bool add_evaluation(const Evaluated& evaluation, double margin, std::vector<Evaluated>& candidates);

// nullopt without candidates.
std::optional<Evaluated> best_of(const std::vector<Evaluated>& candidates, double margin);

// Makes <run>/best a link to the folder of that iteration's checkpoint.
Status link_best(const std::string& run_directory, int64_t iteration);
// Removes the link if its checkpoint is not there any more.
Status remove_broken_best(const std::string& run_directory);

}  // namespace longshot::loop
