#pragma once
// What the other processes of a gang do: process 0 runs the whole iteration (loop/rl/run.h), and
// they compute their lanes of each update and keep their shard of the moments.

#include <memory>
#include <string>

#include "base/status.h"
#include "config/config.h"
#include "train/shard/gang.h"

namespace longshot::loop {

// Repeats the calls of process 0's GangTrainer until the run ends. Signals do not end it, because
// process 0 may need it to save. Errors: the model cannot be loaded or differs from that of process
// 0; unavailable after the loss of another process.
Status follow(const config::TrainConfig& config, const std::string& config_text,
              const std::shared_ptr<train::Gang>& gang);

}  // namespace longshot::loop
