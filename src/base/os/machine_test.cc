#include "base/os/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace longshot {
namespace {

class MachineTest : public testing::Test {
 protected:
  MachineTest() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ =
        std::filesystem::temp_directory_path() / ("machine_" + std::to_string(::getpid()) + name);
  }
  ~MachineTest() override { std::filesystem::remove_all(root_); }

  void plant(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }

  std::filesystem::path root_;
};

TEST_F(MachineTest, ReadsProcessorAndMemory) {
  plant("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 3GHz\nflags\t\t: fpu avx2 fma\n");
  plant("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 3 kB\nMemAvailable:   1024 kB\n");
  const Machine machine = inspect_machine(root_);
  EXPECT_EQ(machine.cpu_model, "Some CPU @ 3GHz");
  EXPECT_EQ(machine.cpu_flags, (std::set<std::string>{"fpu", "avx2", "fma"}));
  EXPECT_EQ(machine.memory_total, 2048u << 10);
  EXPECT_EQ(usable_memory(machine), 1024u << 10);
  EXPECT_EQ(machine.cgroup_version, 0);
  EXPECT_FALSE(machine.seccomp_filters);
}

TEST_F(MachineTest, TheTightestLimitOnTheWayUpCounts) {
  plant("proc/self/cgroup", "0::/pod/app\n");
  plant("sys/fs/cgroup/cgroup.controllers", "cpu memory pids");
  plant("sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
  plant("sys/fs/cgroup/pod/memory.max", "1000000\n");
  plant("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
  plant("sys/fs/cgroup/pod/app/memory.max", "4000000\n");
  plant("sys/fs/cgroup/pod/app/cgroup.controllers", "memory pids\n");
  Machine machine = inspect_machine(root_);
  EXPECT_EQ(machine.cgroup_version, 2);
  EXPECT_EQ(machine.cpu_quota, 1.5);
  EXPECT_EQ(machine.memory_limit, 1000000u);
  EXPECT_EQ(machine.cgroup_controllers, (std::set<std::string>{"memory", "pids"}));
  EXPECT_FALSE(machine.cgroup_writable) << "there is no cgroup.subtree_control";
  plant("sys/fs/cgroup/pod/app/cgroup.subtree_control", "");
  EXPECT_TRUE(inspect_machine(root_).cgroup_writable);
  plant("sys/fs/cgroup/pod/app/cgroup.controllers", "cpu memory\n");
  EXPECT_FALSE(inspect_machine(root_).cgroup_writable) << "the number of processes has no limit";
  machine.cores = 8;
  EXPECT_EQ(usable_cores(machine), 2);
  machine.memory_available = 5000000;
  EXPECT_EQ(usable_memory(machine), 1000000u);
}

TEST_F(MachineTest, APathOutsideTheContainerFallsBackToTheMountPoint) {
  plant("proc/self/cgroup", "0::/../../host/slice\n");
  plant("sys/fs/cgroup/cgroup.controllers", "cpu");
  plant("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(inspect_machine(root_).cpu_quota, 0.5);
}

TEST_F(MachineTest, ReadsVersionOneGroups) {
  plant("proc/self/cgroup", "4:cpu,cpuacct:/a\n5:memory:/a\n");
  plant("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n");
  plant("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  plant("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  plant("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  const Machine machine = inspect_machine(root_);
  EXPECT_EQ(machine.cgroup_version, 1);
  EXPECT_EQ(machine.cpu_quota, 3.0);
  EXPECT_EQ(machine.cgroup_controllers, (std::set<std::string>{"cpu", "memory"}));
  EXPECT_FALSE(machine.cgroup_writable) << "processes cannot be limited";
  EXPECT_FALSE(machine.memory_limit);
}

TEST_F(MachineTest, ReadsKernelFeaturesAndGpus) {
  plant("proc/sys/kernel/seccomp/actions_avail", "kill_process trap errno allow\n");
  plant("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t NVIDIA H200\nIRQ: 1\n");
  const Machine machine = inspect_machine(root_);
  EXPECT_TRUE(machine.seccomp_filters);
  EXPECT_EQ(machine.nvidia_gpus, std::vector<std::string>{"NVIDIA H200"});
}

TEST(Machine, ThisOneHasACoreAndMemory) {
  const Machine machine = inspect_machine();
  EXPECT_GE(usable_cores(machine), 1);
  EXPECT_LE(usable_cores(machine), static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_GT(usable_memory(machine), 1u << 20);
}

TEST(Machine, ThePeakOfMemoryCoversWhatWasUsed) {
  const std::vector<char> block(size_t{64} << 20, 1);  // 1/16 GiB
  EXPECT_GT(peak_memory_gib(), 1.0 / 16) << block.size();
  EXPECT_LT(peak_memory_gib(), 64);
}

TEST(FindInPath, FindsTheShellAndNothingElse) {
  EXPECT_NE(find_in_path("sh"), "");
  EXPECT_EQ(find_in_path("no-such-program-anywhere"), "");
}

}  // namespace
}  // namespace longshot
