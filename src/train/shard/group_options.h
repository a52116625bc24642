#pragma once
// How a trainer finds the others of its group: the environment that torchrun, and by a few lines of
// a script srun or a JobSet, set for each process. Torch-free.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "train/shard/heartbeats.h"

namespace longshot::train {

struct GroupOptions {
  int rank = 0, size = 1;
  // Where the processes meet. Process 0 listens there, unless torchrun's agent already does.
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  bool agent_listens = false;
  int restart = 0;  // times that the launcher has started the group again
  std::chrono::milliseconds join_timeout{std::chrono::minutes(2)};
  // The limit of each call, for processes that are alive but do not make it. It must exceed the
  // longest difference between the processes, such as one lane more of forward and backward passes.
  std::chrono::milliseconds call_timeout{std::chrono::minutes(5)};
  HeartbeatOptions heartbeat;
};

// Reads RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TORCHELASTIC_USE_AGENT_STORE and
// TORCHELASTIC_RESTART_COUNT. A process without WORLD_SIZE is alone. `variable` returns the value
// of a name, "" if it is not set. invalid_argument: a variable is missing or has no valid value.
Result<GroupOptions> group_options(const std::function<std::string(const char*)>& variable);
Result<GroupOptions> group_options_of_environment();

// "127.0.0.1:29500", for messages.
std::string meeting_point(const GroupOptions& options);

}  // namespace longshot::train
