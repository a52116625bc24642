#include "train/shard/group_options.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

namespace longshot::train {
namespace {

Result<int> number(const char* name, const std::string& text, int low, int high) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value >= low && value <= high) return value;
  return invalid_argument(fmt::format(
      "the environment variable {} is '{}' and must be a number from {} to {}; torchrun sets it",
      name, text, low, high));
}

}  // namespace

Result<GroupOptions> group_options(const std::function<std::string(const char*)>& variable) {
  GroupOptions options;
  if (variable("WORLD_SIZE").empty()) return options;
  LS_ASSIGN_OR_RETURN(options.size, number("WORLD_SIZE", variable("WORLD_SIZE"), 1, 1 << 20));
  LS_ASSIGN_OR_RETURN(options.rank, number("RANK", variable("RANK"), 0, options.size - 1));
  options.host = variable("MASTER_ADDR");
  if (options.host.empty()) {
    return invalid_argument(
        "the environment variable MASTER_ADDR is not set and must name the host of process 0");
  }
  LS_ASSIGN_OR_RETURN(const int port, number("MASTER_PORT", variable("MASTER_PORT"), 1, 65535));
  options.port = static_cast<uint16_t>(port);
  options.agent_listens = variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (const std::string restart = variable("TORCHELASTIC_RESTART_COUNT"); !restart.empty()) {
    LS_ASSIGN_OR_RETURN(options.restart, number("TORCHELASTIC_RESTART_COUNT", restart, 0, 1 << 30));
  }
  return options;
}

Result<GroupOptions> group_options_of_environment() {
  return group_options([](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  });
}

std::string meeting_point(const GroupOptions& options) {
  return fmt::format("{}:{}", options.host, options.port);
}

}  // namespace longshot::train
