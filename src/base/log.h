#pragma once
// Log lines on stderr: time, level, message. Thread-safe. Metrics and results never go through
// here.

#include <fmt/core.h>

#include <string>

namespace longshot::log {

enum class Level { debug, info, warn, error, off };

void set_level(Level level);
void write(Level level, const std::string& message);

template <typename... A>
void debug(fmt::format_string<A...> f, A&&... a) {
  write(Level::debug, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void info(fmt::format_string<A...> f, A&&... a) {
  write(Level::info, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void warn(fmt::format_string<A...> f, A&&... a) {
  write(Level::warn, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void error(fmt::format_string<A...> f, A&&... a) {
  write(Level::error, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace longshot::log
