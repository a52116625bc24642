#pragma once
// One-line summary of the results of a run, printed at its end.

#include <filesystem>
#include <string>

namespace longshot::loop {

// Reads metrics.jsonl in `run` and returns the first, last and best held-out accuracy, with the
// interval of the last: "held-out 0.375 -> 0.400 (95 % interval 0.310 to 0.494), best 0.425 at
// iteration 4". With fewer than two evaluations it returns the same for the mean reward, without an
// interval ("reward ..."); empty if there are fewer than two iterations.
std::string summarize_run(const std::filesystem::path& run);

}  // namespace longshot::loop
