// What a coordinator computes to hand out samples: microseconds of Pool::orders(), which follows
// each batch of messages, and of Pool::receive(), with 16 samples at each of many workers.
//   pool_bench [WORKERS...]

#include <fmt/core.h>

#include <cstdlib>
#include <vector>

#include "base/check.h"
#include "base/os/clock.h"
#include "rollout/remote/pool.h"

namespace longshot::rollout {
namespace {

constexpr int kSlots = 16, kCalls = 2000, kTokens = 32;

std::vector<wire::Job> jobs_of(int count) {
  std::vector<wire::Job> jobs(static_cast<size_t>(count));
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].sample.prompt_id = fmt::format("p{}", i / kSlots);
    jobs[i].sample.index = static_cast<uint32_t>(i);
    jobs[i].max_response_length = 1 << 20;
  }
  return jobs;
}

void measure(int workers) {
  Pool pool({1e9});
  for (int i = 0; i < workers; ++i) {
    pool.join(static_cast<WorkerId>(i), kSlots, 0);
    pool.set_version(static_cast<WorkerId>(i), 1, 0);
  }
  pool.begin(jobs_of(workers * kSlots), 1, 0);
  const Stopwatch giving;
  const std::vector<Order> orders = pool.orders(0);
  const double given = giving.seconds();
  const Stopwatch asking;
  for (int i = 0; i < kCalls; ++i) LS_CHECK(pool.orders(1).empty(), "nothing waits");
  const double asked = asking.seconds();
  wire::Piece piece;
  piece.version = 1;
  piece.tokens.assign(kTokens, 7);
  piece.logprobs.assign(kTokens, -1);
  const Stopwatch receiving;
  for (int i = 0; i < kCalls; ++i) {
    const Order& order = orders[static_cast<size_t>(i) % orders.size()];
    piece.job = order.jobs.front().id;
    piece.begin = kTokens * (i / static_cast<int>(orders.size()));
    LS_CHECK(pool.receive(order.worker, piece, 2).ok(), "a sound piece");
  }
  fmt::print(
      "{:>6} workers: {:.2f} s to hand out {} samples, {:.1f} us to ask, {:.1f} us a piece\n",
      workers, given, workers * kSlots, 1e6 * asked / kCalls, 1e6 * receiving.seconds() / kCalls);
}

}  // namespace
}  // namespace longshot::rollout

int main(int argc, char** argv) {
  if (argc < 2)
    for (const int workers : {10, 100, 1000}) longshot::rollout::measure(workers);
  for (int i = 1; i < argc; ++i) longshot::rollout::measure(std::max(1, std::atoi(argv[i])));
  return 0;
}
