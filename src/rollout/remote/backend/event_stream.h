#pragma once
// Server-sent events while they arrive (WHATWG HTML, section 9.2.6), as far as generation servers
// use them: the data of each event. Names, ids and comments are skipped.

#include <string>
#include <string_view>
#include <vector>

namespace longshot::rollout {

class EventStream {
 public:
  // The data of the events that end within `bytes`. Several data lines of an event are joined by
  // line ends; events without data are left out.
  std::vector<std::string> take(std::string_view bytes);
  size_t pending() const { return line_.size() + data_.size(); }  // bytes of an unfinished event

 private:
  void end_line(std::vector<std::string>& events);

  std::string line_, data_;
  bool has_data_ = false;
};

}  // namespace longshot::rollout
