// Gangs of real processes on the loopback interface.
#include "train/shard/group.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <set>
#include <sstream>

#include "base/os/clock.h"
#include "base/os/machine.h"
#include "base/os/subprocess.h"
#include "base/rng.h"
#include "train/shard/local_address.h"

namespace longshot::train {
namespace {

using testing::HasSubstr;
using Lines = std::set<std::string>;

std::string free_port() {
  const int socket = listen_on("127.0.0.1", 0).value();
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(socket);
  return std::to_string(ntohs(address.sin_port));
}

struct GangOptions {
  int size = 1, lanes = 4, fits = 2;
  std::string moments = "f32", fault = "", timeout = "60", silence = "20";
};

// The processes of a gang; ends with this object.
class Processes {
 public:
  explicit Processes(const GangOptions& options) {
    const std::string port = free_port();
    for (int rank = 0; rank < options.size; ++rank) {
      SubprocessOptions process;
      process.argv = {LONGSHOT_GANG_MEMBER, std::to_string(options.lanes),
                      std::to_string(options.fits), options.moments};
      process.environment = {
          {"RANK", std::to_string(rank)},    {"WORLD_SIZE", std::to_string(options.size)},
          {"MASTER_ADDR", "127.0.0.1"},      {"MASTER_PORT", port},
          {"GANG_TIMEOUT", options.timeout}, {"GANG_SILENCE", options.silence}};
      if (!options.fault.empty()) process.environment.emplace_back("GANG_FAULT", options.fault);
      members_.push_back(Subprocess::start(process).value());
    }
  }

  // Waits for the process and returns its output.
  std::string output(int rank, double seconds) {
    const auto text = member(rank).read_all(Deadline::after_seconds(seconds));
    return text.ok() ? *text : text.status().to_string() + member(rank).stderr_tail();
  }
  ExitState exit_of(int rank) {
    const auto state = member(rank).wait(Deadline::after_seconds(10));
    return state.ok() ? *state : ExitState{.code = -1};
  }
  Subprocess& member(int rank) { return *members_[static_cast<size_t>(rank)]; }

 private:
  std::vector<std::unique_ptr<Subprocess>> members_;
};

Lines lines_with(const std::string& text, const std::string& beginning) {
  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(beginning)) lines.insert(line);
  return lines;
}

int64_t number(const std::string& text, const std::string& name) {
  const Lines lines = lines_with(text, name + " ");
  return lines.size() == 1 ? std::stoll(lines.begin()->substr(name.size())) : -1;
}

// What must not depend on the number of processes.
struct Trained {
  Lines weights, moments, metrics;
};

// In 8 bits the small weights of this model have larger moments than the others, so shards of equal
// numbers of elements differ in bytes.
void expect_small(const std::string& output, const std::string& moments, int64_t whole_moments,
                  int size) {
  const auto parameters = static_cast<double>(number(output, "parameters"));
  const auto steps = static_cast<double>(number(output, "steps"));
  const double sent = static_cast<double>(number(output, "sent")) / steps;
  EXPECT_LE(sent, 2.0 * (size - 1) / size * parameters * 4 * 1.02);
  EXPECT_GE(sent, 2.0 * (size - 1) / size * parameters * 4 * 0.98);
  if (moments == "int8") return;
  EXPECT_LE(static_cast<double>(number(output, "moment_bytes")),
            static_cast<double>(whole_moments) / size * 1.05);
}

Trained train(const GangOptions& options, int64_t& whole_moments) {
  Processes processes(options);
  Trained trained;
  for (int rank = 0; rank < options.size; ++rank) {
    const std::string output = processes.output(rank, 60);
    EXPECT_TRUE(processes.exit_of(rank).success())
        << output << processes.member(rank).stderr_tail();
    const Trained own{lines_with(output, "weight"), lines_with(output, "moment exp"),
                      lines_with(output, "metric")};
    if (rank == 0) trained = own;
    EXPECT_EQ(own.weights, trained.weights) << "process " << rank;
    EXPECT_EQ(own.metrics, trained.metrics) << "process " << rank;
    trained.moments.insert(own.moments.begin(), own.moments.end());
    if (options.size == 1) whole_moments = number(output, "moment_bytes");
    expect_small(output, options.moments, whole_moments, options.size);
  }
  return trained;
}

TEST(Group, OneTwoAndFourProcessesTrainTheSameBits) {
  for (const std::string moments : {"f32", "int8"}) {
    int64_t whole = 0;
    const Trained one = train({.size = 1, .moments = moments}, whole);
    EXPECT_GT(one.weights.size(), 10U);
    EXPECT_GT(one.moments.size(), 100U);
    EXPECT_GT(one.metrics.size(), 10U);
    for (const int size : {2, 4}) {
      if (moments == "int8" && size == 2) continue;
      const Trained several = train({.size = size, .moments = moments}, whole);
      EXPECT_EQ(several.weights, one.weights) << size;
      EXPECT_EQ(several.moments, one.moments) << size;
      EXPECT_EQ(several.metrics, one.metrics) << size;
    }
  }
}

// Where a process fails: between two exchanges, while gradients are exchanged, and while weights
// are gathered.
const std::map<std::string, std::string> kPlaces = {{"backward", "end the weights"},
                                                    {"exchange", "start the gradients"},
                                                    {"gather", "start the weights"}};

std::string fault(const std::string& place, int signal, CounterRng& rng, int rank = 1) {
  const std::string moment = kPlaces.at(place).substr(0, kPlaces.at(place).find(' '));
  const std::string what = kPlaces.at(place).substr(moment.size() + 1);
  return std::to_string(rank) + " " + std::to_string(rng.next_below(6)) + " " + moment + " " +
         std::to_string(rng.next_below(place == "backward" ? 3000 : 300)) + " " +
         std::to_string(signal) + " " + what;
}

std::string expect_unavailable(Processes& processes, int rank, double seconds) {
  const std::string output = processes.output(rank, seconds);
  EXPECT_THAT(output, HasSubstr("error unavailable: trainer " + std::to_string(rank) + " of "));
  EXPECT_EQ(processes.exit_of(rank).code, 3) << processes.member(rank).stderr_tail();
  return output;
}

TEST(Group, AKilledProcessIsAnErrorOfTheOthersWithinSeconds) {
  CounterRng rng(7);
  for (const auto& [place, unused] : kPlaces) {
    const std::string chosen = fault(place, SIGKILL, rng);
    SCOPED_TRACE(place + ": " + chosen);
    Processes processes({.size = 4, .fits = 3, .fault = chosen});
    processes.output(1, 60);
    EXPECT_EQ(processes.exit_of(1).signal, SIGKILL);
    const Stopwatch watch;
    for (const int rank : {0, 2, 3}) expect_unavailable(processes, rank, 10);
    EXPECT_LT(watch.seconds(), 10);  // the calls' own limit is 60 s
  }
}

// The calls' own limit is 60 s. The processes that wait end, although their call still waits.
TEST(Group, AStoppedProcessIsNamedAfterSomeBeats) {
  CounterRng rng(9);
  for (const auto& [place, unused] : kPlaces) {
    const std::string chosen = fault(place, SIGSTOP, rng);
    SCOPED_TRACE(place + ": " + chosen);
    Processes processes({.size = 4, .fits = 3, .fault = chosen, .silence = "3"});
    std::string all;
    for (const int rank : {0, 2, 3}) all += expect_unavailable(processes, rank, 30);
    EXPECT_THAT(all,
                HasSubstr("trainer 1 on " + host_name() + " has given no sign of life for 3 s"));
    processes.member(1).kill();
  }
}

TEST(Group, AStoppedMeetingPointIsNamedAfterSomeBeats) {
  CounterRng rng(10);
  Processes processes(
      {.size = 4, .fits = 3, .fault = fault("exchange", SIGSTOP, rng, /*rank=*/0), .silence = "3"});
  std::string all;
  for (const int rank : {1, 2, 3}) all += expect_unavailable(processes, rank, 30);
  EXPECT_THAT(all, HasSubstr("the meeting point 127.0.0.1:"));
  EXPECT_THAT(all, HasSubstr(" of trainer 0 on "));
  EXPECT_THAT(all, HasSubstr("no sign of life for 3 s"));
  processes.member(0).kill();
}

TEST(Group, AProcessThatDoesNotCallIsAnErrorAfterTheTimeout) {
  CounterRng rng(8);
  Processes processes(
      {.size = 2, .fits = 3, .fault = fault("backward", SIGSTOP, rng), .timeout = "2"});
  expect_unavailable(processes, 0, 30);
  processes.member(1).kill();
}

TEST(Group, AProcessThatNobodyJoinsIsAnError) {
  GroupOptions options;
  options.size = 2;
  options.port = static_cast<uint16_t>(std::stoi(free_port()));
  options.join_timeout = std::chrono::milliseconds(500);
  const auto group = join_group(options);
  ASSERT_FALSE(group.ok());
  EXPECT_EQ(group.status().code(), StatusCode::unavailable);
  EXPECT_THAT(group.status().message(), HasSubstr("trainer 0 of 2, meeting point 127.0.0.1:"));
}

}  // namespace
}  // namespace longshot::train
