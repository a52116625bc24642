#pragma once
// A round of generation on several rollout workers, simulated with discrete events: which worker
// gets which sample is decided by the run's own rollout::Pool on a clock of the simulation. Pure
// and deterministic.
//
// A worker decodes all its running samples in one step, whose seconds depend on their number. It
// reads the prompt of a group once. Pieces of about 32 tokens travel over the worker's link, and
// pass through the coordinator one after the other. The memory of KV caches and speculation are not
// simulated.

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace longshot::loop {

// What a machine needs, in seconds.
struct StepCosts {
  // {running samples, seconds of a decode step of all of them}, ascending and not empty. Linear
  // between two points and after the last one.
  std::vector<std::pair<double, double>> points;
  double context = 0;       // added to a step for each response token of each running sample
  double prompt_token = 0;  // to read a token of a prompt

  double step(double running) const;
};
StepCosts scaled(StepCosts costs, double factor);

struct SimulatedWorker {
  double speed = 1;  // a machine with the StepCosts has 1
  int slots = 1;     // samples at a time
  double ready = 0;  // second from which on it has the weights
  double bytes_per_second = std::numeric_limits<double>::infinity();
  double latency = 0;  // seconds of a message, in either direction
};

struct SimulatedJobs {
  std::vector<int> lengths;  // tokens of each sample, group by group
  int n = 1;                 // samples of a group
  double prompt = 0;         // tokens of a prompt
};

// How samples come into the coordinator, and what it does with them.
struct Intake {
  double bytes_per_second = std::numeric_limits<double>::infinity();
  double message_seconds = 0;  // for a piece
  double reward_seconds = 0;   // to judge a sample
  int reward_threads = 1;      // samples that are judged at the same time
};

// What a token of a sample and a piece take on the wire, at most.
constexpr double kTokenBytes = 9, kPieceBytes = 64;
constexpr int kPieceTokens = 32;

struct SimulatedRound {
  double seconds = 0;  // until the last sample has arrived
  double judged = 0;   // until the last sample is judged
  double busy = 0;     // seconds in which workers computed, the sum over all of them
  double bytes = 0;    // that the coordinator received
  double pieces = 0;
  int64_t moved = 0;  // samples that were given to a further worker
};

// Needs a worker, a sample, and positive speeds, slots and rates. Samples of many tokens are
// simulated in coarser steps, so that a round takes seconds at most.
SimulatedRound simulate_round(const StepCosts& costs, const SimulatedJobs& jobs,
                              const std::vector<SimulatedWorker>& workers, const Intake& intake);

// Seconds after which each host has a version of the weights, if all begin at the same time and
// `uplink` sends to all of them. No host gets more than its link, and what remains of the uplink is
// shared equally. Rates are finite, in bytes a second.
std::vector<double> fetch_seconds(double bytes, double uplink, const std::vector<double>& links);

}  // namespace longshot::loop
