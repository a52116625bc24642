#pragma once
// Section [rollout]: how samples are generated.

#include "base/number_format.h"
#include "base/settings/settings.h"
#include "config/sections/machine.h"
#include "rollout/engine.h"
#include "rollout/runner_kind.h"

namespace longshot::config {

struct RolloutOptions {
  int n = 8;
  int max_concurrent = 256;
  int workers = 1;
  rollout::RunnerKind runner = rollout::RunnerKind::automatic;
  NumberFormat dtype = NumberFormat::f32, kv_dtype = NumberFormat::f32;
  int kv_blocks = 0;
  rollout::EngineOptions engine;
};

void bind(Settings& settings, RolloutOptions& options);

// Keys that commands have as flags too.
enum class Greedy { refused, allowed };  // whether the temperature may be 0
void bind_sampling(Settings& settings, rollout::SamplingOptions& sampling, Greedy greedy);
void bind_formats(Settings& settings, NumberFormat& dtype, NumberFormat& kv_dtype);
void bind_runner(Settings& settings, rollout::RunnerKind& runner);
void bind_speculation(Settings& settings, rollout::Speculation& speculation);
void bind_concurrency(Settings& settings, int& max_concurrent);
void bind_kv_blocks(Settings& settings, int& kv_blocks);

// Error: the device lacks what the keys need.
Status validate(const RolloutOptions& options, const MachineOptions& machine);

}  // namespace longshot::config
