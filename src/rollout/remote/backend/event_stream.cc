#include "rollout/remote/backend/event_stream.h"

#include <utility>

namespace longshot::rollout {

std::vector<std::string> EventStream::take(std::string_view bytes) {
  std::vector<std::string> events;
  for (const char c : bytes) {
    if (c == '\n') {
      end_line(events);
    } else {
      line_ += c;
    }
  }
  return events;
}

void EventStream::end_line(std::vector<std::string>& events) {
  std::string line = std::exchange(line_, {});
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) {
    if (std::exchange(has_data_, false)) events.push_back(std::exchange(data_, {}));
    return;
  }
  std::string_view rest = line;
  if (!rest.starts_with("data:")) return;
  rest.remove_prefix(rest.starts_with("data: ") ? 6 : 5);
  if (std::exchange(has_data_, true)) data_ += '\n';
  data_ += rest;
}

}  // namespace longshot::rollout
