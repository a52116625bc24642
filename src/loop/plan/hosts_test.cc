#include "loop/plan/hosts.h"

#include <gtest/gtest.h>

#include <fstream>

namespace longshot::loop {
namespace {

Result<Hosts> hosts_of(const std::string& text) {
  const std::string path = testing::TempDir() + "hosts.toml";
  std::ofstream(path) << text;
  return read_hosts(path);
}

TEST(Hosts, AreReadFromAFile) {
  const auto hosts = hosts_of(
      "[trainers]\ncount = 2\nlink_gbits = 25\n"
      "[[host]]\ncount = 3\nspeed = 0.5\nslots = 7\n"
      "[[host]]\nworkers = 2\ncores = 4\nthreads = 4\nwith_coordinator = true\n");
  ASSERT_TRUE(hosts.ok()) << hosts.status().message();
  EXPECT_EQ(hosts->trainers.count, 2);
  EXPECT_EQ(hosts->trainers.link_gbits, 25);
  ASSERT_EQ(hosts->kinds.size(), 2u);
  EXPECT_EQ(hosts->kinds[0].slots, 7);
  EXPECT_TRUE(hosts->kinds[1].with_coordinator);
  EXPECT_EQ(hosts->workers(), 5);
  EXPECT_FALSE(hosts->costs);
}

TEST(Hosts, CostsReplaceWhatIsMeasured) {
  const auto hosts =
      hosts_of("[[host]]\n[costs]\nsteps = [[1, 0.1], [8, 0.2]]\nupdate = 4\nprompt_token = 0.5\n");
  ASSERT_TRUE(hosts.ok()) << hosts.status().message();
  ASSERT_TRUE(hosts->costs);
  EXPECT_EQ(hosts->costs->steps.points.size(), 2u);
  EXPECT_EQ(hosts->costs->steps.prompt_token, 0.5);
  EXPECT_EQ(hosts->costs->update, 4);
}

struct Refused {
  const char* text;
  const char* named;
};
class HostsRefused : public testing::TestWithParam<Refused> {};

TEST_P(HostsRefused, NamesTheKey) {
  const auto hosts = hosts_of(GetParam().text);
  ASSERT_FALSE(hosts.ok());
  EXPECT_EQ(hosts.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(hosts.status().message().find(GetParam().named), std::string::npos)
      << hosts.status().message();
}

INSTANTIATE_TEST_SUITE_P(
    All, HostsRefused,
    testing::Values(
        Refused{"[trainers]\ncount = 2\n", "[[host]]"},
        Refused{"[trainers]\ncount = 0\n[[host]]\n", "trainers.count"},
        Refused{"[[host]]\nspeed = 0\n", "host 1"}, Refused{"[[host]]\nspeed = 0\n", "speed"},
        Refused{"[[host]]\n[[host]]\nworkers = -1\n", "host 2"},
        Refused{"[[host]]\nspeeed = 1\n", "speed"},
        Refused{"[[host]]\nlink_gbits = 0\n", "link_gbits"},
        Refused{"[[host]]\nwith_coordinator = true\ncount = 2\n", "with_coordinator"},
        Refused{"[[host]]\nwith_coordinator = true\n[[host]]\nwith_coordinator = true\n",
                "with_coordinator"},
        Refused{"[[host]]\n[costs]\nupdate = 3\n", "steps"},
        Refused{"[[host]]\n[costs]\nsteps = [[1, 0.1]]\n", "update"},
        Refused{"[[host]]\n[costs]\nsteps = [[2, 0.1], [1, 0.2]]\nupdate = 1\n", "ascend"},
        Refused{"[[host]]\n[costs]\nsteps = [[1, 0.2], [2, 0.1]]\nupdate = 1\n", "ascend"},
        Refused{"[[host]]\n[costs]\nsteps = [[0, 0.2]]\nupdate = 1\n", "ascend"},
        Refused{"[[host]]\n[costs]\nsteps = [3]\nupdate = 1\n", "ascend"},
        Refused{"[[host]]\n[costs]\nsteps = [[1, 0.1]]\nupdate = -1\n", "costs.update"}));

TEST(Hosts, WorkersOfAHostShareItsCores) {
  const WorkerHost own{.threads = 2};
  EXPECT_EQ(own.worker_speed(1, 2), 1);
  EXPECT_EQ(own.worker_speed(1, 4), 0.5);
  const WorkerHost two{.workers = 3, .cores = 2, .threads = 1};
  EXPECT_EQ(two.worker_speed(1, 1), 1);
  EXPECT_EQ(two.worker_speed(2, 1), 1);
  EXPECT_DOUBLE_EQ(two.worker_speed(3, 1), 2.0 / 3);
  const WorkerHost fast{.cores = 8, .threads = 4, .speed = 3};
  EXPECT_EQ(fast.worker_speed(1, 2), 6);
}

TEST(Hosts, WorkersArePlacedInOrderAndHostsRepeated) {
  Hosts hosts;
  hosts.kinds = {{.workers = 2, .cores = 1, .threads = 1, .with_coordinator = true},
                 {.count = 2, .speed = 3}};
  const auto placed = place_workers(hosts, 6, 1);
  ASSERT_EQ(placed.size(), 6u);
  const std::vector<int> host{0, 0, 1, 2, 3, 3};
  const std::vector<double> speed{0.5, 0.5, 3, 3, 0.5, 0.5};
  for (size_t i = 0; i < placed.size(); ++i) {
    EXPECT_EQ(placed[i].host, host[i]);
    EXPECT_EQ(placed[i].speed, speed[i]);
    EXPECT_EQ(placed[i].kind.with_coordinator, i < 2);
  }
  EXPECT_EQ(place_workers(hosts, 1, 1).front().speed, 1);  // it is alone on its host
}

TEST(Hosts, EqualOnesNeedAtLeastOne) {
  EXPECT_EQ(equal_hosts(2, 5)->workers(), 5);
  EXPECT_FALSE(equal_hosts(0, 1).ok());
  EXPECT_FALSE(equal_hosts(1, 0).ok());
}

}  // namespace
}  // namespace longshot::loop
