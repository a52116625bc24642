#pragma once
// Which implementation of Runner generates, as a user chooses it.

#include <string_view>

#include "base/spelling.h"

namespace longshot::rollout {

enum class RunnerKind {
  automatic,  // cpu if the device is "cpu", torch otherwise
  cpu,        // longshot's own kernels
  torch,      // libtorch, on any of its devices
};

constexpr auto spellings(RunnerKind) {
  using enum RunnerKind;
  return std::to_array<Spelling<RunnerKind>>({{automatic, "auto"}, {cpu, "cpu"}, {torch, "torch"}});
}

inline bool uses_cpu_kernels(RunnerKind kind, std::string_view device) {
  return kind == RunnerKind::cpu || (kind == RunnerKind::automatic && device == "cpu");
}

}  // namespace longshot::rollout
