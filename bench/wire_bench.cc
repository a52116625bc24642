// The stream between a coordinator and a worker, without and with TLS, in one process over
// loopback: the time of a round trip, and samples a second of 2,048 tokens each.
//   wire_bench [ROUNDS]

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/os/clock.h"
#include "net/tls/testing.h"
#include "wire/worker_link.h"
#include "wire/worker_server.h"

namespace longshot::wire {
namespace {

constexpr int kTokens = 2048, kSamples = 4000, kTrips = 2000;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Answers each Ready with NewWeights.
struct Coordinator {
  explicit Coordinator(const LinkOptions& options) {
    LinkEvents events{.opened = [](LinkId, const std::string&) {},
                      .received = [this](LinkId link, FromWorker message) { take(link, message); },
                      .closed = [](LinkId) {}};
    server = WorkerServer::start("127.0.0.1:0", options, std::move(events)).value();
  }
  void take(LinkId link, const FromWorker& message) {
    if (const auto* ready = std::get_if<Ready>(&message))
      server->send(link, NewWeights{ready->version, {}});
  }
  std::unique_ptr<WorkerServer> server;
};

void exchange(WorkerLink& link, int64_t number) {
  link.send(Ready{number});
  const auto answer = link.receive(Deadline::after_seconds(30));
  LS_CHECK(answer.ok() && answer->has_value(), "no answer");
}

struct Figures {
  double microseconds = 0, samples_a_second = 0;
};

Figures measure(const LinkOptions& coordinator_options, const LinkOptions& worker_options) {
  const Coordinator coordinator(coordinator_options);
  const auto link =
      WorkerLink::dial("127.0.0.1:" + std::to_string(coordinator.server->port()), worker_options)
          .value();
  exchange(*link, 0);
  Figures out;
  std::vector<double> trips;
  for (int i = 0; i < kTrips; ++i) {
    const Stopwatch watch;
    exchange(*link, i);
    trips.push_back(1e6 * watch.seconds());
  }
  out.microseconds = median(trips);
  Piece piece;
  piece.tokens.assign(kTokens, 12345);
  piece.logprobs.assign(kTokens, -0.5F);
  const Stopwatch watch;
  for (int i = 0; i < kSamples; ++i) {
    piece.job = static_cast<uint64_t>(i);
    link->send(piece);
    while (link->waiting() > 64) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  exchange(*link, 1);  // after all of them
  out.samples_a_second = kSamples / watch.seconds();
  return out;
}

int run(int rounds) {
  net::TestAuthority authority;
  const LinkOptions coordinator{"", authority.identity({"127.0.0.1"})};
  const LinkOptions worker{"", authority.identity({"worker"})};
  std::vector<double> trips[2], rates[2];
  for (int i = 0; i < rounds; ++i) {
    for (const int tls : {0, 1}) {
      const Figures seen = tls == 0 ? measure({}, {}) : measure(coordinator, worker);
      trips[tls].push_back(seen.microseconds);
      rates[tls].push_back(seen.samples_a_second);
    }
  }
  for (const int tls : {0, 1})
    fmt::print("{:<6} round trip {:6.1f} µs, {:7.0f} samples/s of {} tokens\n",
               tls == 0 ? "plain" : "TLS", median(trips[tls]), median(rates[tls]), kTokens);
  fmt::print("TLS / plain: round trip {:.2f}, samples/s {:.2f}; medians of {} rounds in turns\n",
             median(trips[1]) / median(trips[0]), median(rates[1]) / median(rates[0]), rounds);
  return 0;
}

}  // namespace
}  // namespace longshot::wire

int main(int argc, char** argv) {
  return longshot::wire::run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 5);
}
