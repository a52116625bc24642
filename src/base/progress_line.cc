#include "base/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace longshot {

std::string with_commas(int64_t value) {
  std::string text = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::start(int64_t first, int64_t total) {
  first_ = first;
  total_ = total;
  since_start_.restart();
}

std::string ProgressLine::head(int64_t iteration) const {
  if (total_ == 0) return fmt::format("{}", iteration);
  constexpr int kWidth = 20;
  const int filled = static_cast<int>(kWidth * iteration / total_);
  std::string left;
  if (iteration > first_) {
    const double each = since_start_.seconds() / static_cast<double>(iteration - first_);
    left = " " + format_duration(each * static_cast<double>(total_ - iteration)) + " left";
  }
  return fmt::format("[{}{}] {}/{}{}", std::string(filled, '#'), std::string(kWidth - filled, '.'),
                     iteration, total_, left);
}

void ProgressLine::update(int64_t iteration, const std::string& text) {
  if (!terminal_ || since_update_.seconds() < 0.1) return;
  since_update_.restart();
  std::fprintf(stderr, "\r\033[K%s | %s", head(iteration).c_str(), text.c_str());
  std::fflush(stderr);
}

void ProgressLine::finish(int64_t iteration, const std::string& text) {
  clear();
  std::fprintf(stderr, "%s | %s\n", head(iteration).c_str(), text.c_str());
}

void ProgressLine::clear() {
  if (terminal_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace longshot
