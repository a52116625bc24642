#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace longshot::log {
namespace {

spdlog::logger& logger() {
  // Leaked: log lines may be written while other statics are being destroyed.
  static auto* instance = new std::shared_ptr<spdlog::logger>([] {
    auto l = std::make_shared<spdlog::logger>(
        "longshot", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    l->set_pattern("%H:%M:%S %^%l%$ %v");
    return l;
  }());
  return **instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

}  // namespace

void set_level(Level level) {
  logger().set_level(to_spdlog(level));
}
void write(Level level, const std::string& message) {
  logger().log(to_spdlog(level), message);
}

}  // namespace longshot::log
