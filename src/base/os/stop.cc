#include "base/os/stop.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace longshot {
namespace {

std::atomic<int> stop_count{0};
std::atomic<int> at_once{0};  // StopEndsProcess objects

// A terminal that closes may send SIGHUP more than once, so SIGHUP never escalates to an immediate
// exit.
void on_signal(int number) {
  int none = 0;
  if (at_once.load() > 0) _exit(130);
  if (number == SIGHUP) {
    stop_count.compare_exchange_strong(none, 1);
  } else if (stop_count.fetch_add(1) + 1 >= 3) {
    _exit(130);
  }
}

bool is_ignored(int number) {
  struct sigaction present {};
  return sigaction(number, nullptr, &present) == 0 && present.sa_handler == SIG_IGN;
}

}  // namespace

void install_stop_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  if (!is_ignored(SIGHUP)) sigaction(SIGHUP, &action, nullptr);  // nohup ignores it
  signal(SIGPIPE, SIG_IGN);
}

bool stop_requested() {
  return stop_count.load() > 0;
}
bool sleep_unless_stopped(Deadline end) {
  constexpr double kTick = 0.01;
  while (!end.expired()) {
    if (stop_requested()) return false;
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(kTick, end.seconds_left())));
  }
  return !stop_requested();
}
void wait_for_stop() {
  while (sleep_unless_stopped(Deadline::after_seconds(3600))) {
  }
}
StopEndsProcess::StopEndsProcess() {
  ++at_once;
  if (stop_requested()) _exit(130);
}
StopEndsProcess::~StopEndsProcess() {
  --at_once;
}
void request_stop() {
  stop_count.fetch_add(1);
}
void clear_stop_request() {
  stop_count.store(0);
}

}  // namespace longshot
