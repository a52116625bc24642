#include "base/stop.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace longshot {
namespace {

std::atomic<int> stop_count{0};

void on_signal(int) {
  if (stop_count.fetch_add(1) + 1 >= 3) _exit(130);
}

}  // namespace

void install_stop_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

bool stop_requested() {
  return stop_count.load() > 0;
}
void request_stop() {
  stop_count.fetch_add(1);
}
void clear_stop_request() {
  stop_count.store(0);
}

}  // namespace longshot
