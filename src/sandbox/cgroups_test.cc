#include "sandbox/cgroups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/os/fs.h"

namespace longshot::sandbox {
namespace {

namespace fs = std::filesystem;

class Groups : public ::testing::Test {
 protected:
  Groups() : root_(fs::temp_directory_path() / ("cgroups_test_" + std::to_string(::getpid()))) {
    fs::create_directories(root_ / "proc/self");
  }
  ~Groups() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string get(const std::string& path) { return *read_file(root_ / path); }

  const fs::path root_;
};

TEST_F(Groups, Version1TakesEachControllersHierarchy) {
  put("proc/self/cgroup", "3:pids:/job\n2:memory:/job\n1:cpu,cpuacct:/\n");
  fs::create_directories(root_ / "sys/fs/cgroup/pids/job");
  fs::create_directories(root_ / "sys/fs/cgroup/memory/job");
  fs::create_directories(root_ / "sys/fs/cgroup/cpuacct");
  const GroupSupport support = find_groups(true, root_);
  EXPECT_TRUE(support.memory && support.processes && support.cpu_time);
  const fs::path mount = root_ / "sys/fs/cgroup";
  EXPECT_EQ(support.parents,
            (std::vector<fs::path>{mount / "memory/job", mount / "pids/job", mount / "cpuacct"}));
}

TEST_F(Groups, Version2HandsControllersDown) {
  put("proc/self/cgroup", "0::/user/scope\n");
  put("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
  put("sys/fs/cgroup/user/scope/cgroup.controllers", "cpu memory pids\n");
  put("sys/fs/cgroup/user/scope/cgroup.subtree_control", "");
  const GroupSupport looked = find_groups(false, root_);
  EXPECT_EQ(get("sys/fs/cgroup/user/scope/cgroup.subtree_control"), "");
  EXPECT_TRUE(looked.memory && looked.processes && looked.cpu_time);
  const GroupSupport support = find_groups(true, root_);
  EXPECT_EQ(support.parents, std::vector<fs::path>{root_ / "sys/fs/cgroup/user/scope"});
  EXPECT_EQ(get("sys/fs/cgroup/user/scope/cgroup.subtree_control"), "+memory +pids +cpu");
}

TEST_F(Groups, AHybridHostUsesVersion1WhereVersion2HasNoMemory) {
  put("proc/self/cgroup", "2:memory:/\n0::/\n");
  put("sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n");
  fs::create_directories(root_ / "sys/fs/cgroup/memory");
  const GroupSupport support = find_groups(true, root_);
  EXPECT_EQ(support.parents, std::vector<fs::path>{root_ / "sys/fs/cgroup/memory"});
  EXPECT_TRUE(support.memory);
  EXPECT_FALSE(support.processes);
}

TEST_F(Groups, WithoutAnyTheNoteSaysSo) {
  const GroupSupport support = find_groups(true, root_);
  EXPECT_TRUE(support.parents.empty());
  EXPECT_NE(support.note, "");
}

TEST_F(Groups, SlotsGetAGroupEachAndRemoveIt) {
  GroupSupport support;
  support.parents = {root_ / "a", root_ / "b"};
  for (const fs::path& parent : support.parents) fs::create_directories(parent);
  {
    SlotGroups groups(support);
    const auto names = groups.make(4);
    ASSERT_TRUE(names.ok());
    const size_t colon = names->find(':');
    EXPECT_TRUE(fs::is_directory(names->substr(0, colon)));
    EXPECT_TRUE(fs::is_directory(names->substr(colon + 1)));
    EXPECT_EQ(sweep_groups(support), 0) << "the process still runs";
  }
  EXPECT_TRUE(fs::is_empty(root_ / "a") && fs::is_empty(root_ / "b"));
}

TEST_F(Groups, SweepRemovesThoseOfDeadProcessesOnly) {
  GroupSupport support;
  support.parents = {root_};
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  const std::string gone = "longshot-" + std::to_string(dead) + "-1-0";
  // This process's pid with another start time: the pid was reused.
  const std::string earlier = "longshot-" + std::to_string(::getpid()) + "-1-0";
  for (const std::string& name :
       {gone, earlier, std::string("longshot-service"), std::string("other")})
    fs::create_directories(root_ / name);
  fs::create_directories(root_ / ("longshot-" + std::to_string(::getppid()) + "x"));
  EXPECT_GE(sweep_groups(support), 1);
  EXPECT_FALSE(fs::exists(root_ / earlier));
  EXPECT_TRUE(fs::exists(root_ / "longshot-service") && fs::exists(root_ / "other"));
}

}  // namespace
}  // namespace longshot::sandbox
