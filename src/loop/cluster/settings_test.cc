#include "loop/cluster/settings.h"

#include <gtest/gtest.h>

#include "loop/cluster/host_port.h"

namespace longshot::loop {
namespace {

TEST(WorkerSettings, EveryFieldReturns) {
  WorkerSettings settings{.run = "r", .limits = {}};
  settings.limits = {.max_running = 3,
                     .max_sequence = 77,
                     .kv_blocks = 9,
                     .max_rows = 5,
                     .weights = NumberFormat::int8,
                     .kv = NumberFormat::bf16};
  const Json json = to_json(settings);
  EXPECT_EQ(to_json(*worker_settings_from_json(json)), json);
  EXPECT_EQ(to_json(*coordinator_from_json(
                to_json(Coordinator{"h:1", "me", "http://h:2", "abc", settings}))),
            to_json(Coordinator{"h:1", "me", "http://h:2", "abc", settings}));
  for (const auto& [key, value] : json.items()) {
    Json less = json;
    less.erase(key);
    EXPECT_NE(worker_settings_from_json(less).status().message().find(key), std::string::npos);
  }
  Json other = json;
  other["kv"] = "float7";
  EXPECT_FALSE(worker_settings_from_json(other).ok());
}

TEST(WeightsSource, Returns) {
  const WeightsSource source{{.epoch = 2, .version = 9}, "http://h:1", ~uint64_t{0}};
  EXPECT_EQ(to_json(*weights_source_from_json(to_json(source))), to_json(source));
}

TEST(HostPort, IsReadFromTheLastColon) {
  EXPECT_EQ(parse_host_port("10.0.0.1:7000", "k")->host, "10.0.0.1");
  EXPECT_EQ(parse_host_port("10.0.0.1:7000", "k")->port, 7000);
  EXPECT_EQ(parse_host_port("[::1]:0", "k")->host, "::1");
  for (const char* bad : {"", "host", ":7", "host:", "host:x", "host:-1", "host:70000", "host:7 "})
    EXPECT_NE(parse_host_port(bad, "cluster.listen").status().message().find("cluster.listen"),
              std::string::npos)
        << bad;
}

TEST(HostPort, AllInterfacesAreReachedByTheMachinesName) {
  EXPECT_EQ(reachable_host({"127.0.0.1", 1}, ""), "127.0.0.1");
  EXPECT_EQ(reachable_host({"127.0.0.1", 1}, "gpu7"), "gpu7");
  EXPECT_NE(reachable_host({"0.0.0.0", 1}, ""), "0.0.0.0");
  EXPECT_EQ(reachable_host({"::1", 1}, ""), "[::1]");
  EXPECT_EQ(reachable_host({"::", 1}, "fd00::2"), "[fd00::2]");
  EXPECT_EQ(reachable_host({"::", 1}, "[fd00::2]"), "[fd00::2]");
}

TEST(HostPort, AnIpv6AddressIsWrittenInBrackets) {
  EXPECT_EQ(to_string({"10.0.0.1", 7000}), "10.0.0.1:7000");
  EXPECT_EQ(to_string(*parse_host_port("fd00::2:7000", "k")), "[fd00::2]:7000");
  EXPECT_EQ(to_string(*parse_host_port("[::1]:0", "k")), "[::1]:0");
}

}  // namespace
}  // namespace longshot::loop
