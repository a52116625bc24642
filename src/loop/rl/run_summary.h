#pragma once
// What a run has come to, for its last words.

#include <filesystem>
#include <string>

namespace longshot::loop {

// From metrics.jsonl below `run`: "held-out 0.375 -> 0.400, best 0.425 at 4", without evaluations the
// mean reward of the first and the last iteration; empty if there is nothing to compare.
std::string summarize_run(const std::filesystem::path& run);

}  // namespace longshot::loop
