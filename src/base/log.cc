#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <deque>
#include <mutex>
#include <utility>

#include "base/log_reader.h"
#include "base/os/clock.h"

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

struct Readers {
  std::mutex mutex;
  std::weak_ptr<const WarningReader> current;
  std::deque<Warning> kept;  // while there is no reader
};

Readers& readers() {
  static auto* const instance = new Readers;  // leaked for the same reason as the logger
  return *instance;
}

void pass_to_reader(Warning warning) {
  Readers& all = readers();
  std::shared_ptr<const WarningReader> reader;
  {
    std::lock_guard lock(all.mutex);
    reader = all.current.lock();
    if (!reader) {
      all.kept.push_back(std::move(warning));
      if (all.kept.size() > kKeptWarnings) all.kept.pop_front();
      return;
    }
  }
  (*reader)(warning);
}

}  // namespace

void set_level(Level level) {
  logger().set_level(to_spdlog(level));
}
void write(Level level, const std::string& message) {
  logger().log(to_spdlog(level), message);
  if (level == Level::warn || level == Level::error) pass_to_reader({unix_time(), message});
}

std::shared_ptr<const WarningReader> read_warnings(WarningReader reader) {
  auto handle = std::make_shared<const WarningReader>(std::move(reader));
  std::deque<Warning> kept;
  {
    std::lock_guard lock(readers().mutex);
    readers().current = handle;
    std::swap(kept, readers().kept);
  }
  for (const Warning& warning : kept) (*handle)(warning);
  return handle;
}

}  // namespace longshot::log
