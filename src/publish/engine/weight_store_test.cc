#include "publish/engine/weight_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/os/stop.h"
#include "publish/engine/testing.h"

namespace longshot::publish {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int64_t> versions(WeightStore& store) {
  std::vector<int64_t> found;
  for (const Held& held : store.held()) found.push_back(held->manifest().version);
  return found;
}

TEST(WeightStore, KeepsTheTwoNewestVersionsAsModelDirectories) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  EXPECT_EQ(store->latest(), nullptr);
  for (int64_t v = 1; v <= 4; ++v) {
    const RandomVersion version = random_version(v, {100, 50}, static_cast<uint64_t>(v));
    const auto held = put(*store, version);
    ASSERT_TRUE(held.ok()) << held.status().to_string();
    EXPECT_EQ((*held)->bytes(), version.data);
    EXPECT_EQ((*held)->file("config.json").value(), version.files.at("config.json"));
    EXPECT_FALSE((*held)->file("other").ok());
    EXPECT_TRUE(fs::exists((*held)->folder() / "model.safetensors"));
  }
  EXPECT_THAT(versions(*store), ElementsAre(3, 4));
  EXPECT_EQ(store->latest()->manifest().version, 4);
  EXPECT_EQ(store->find(3)->manifest().version, 3);
  EXPECT_EQ(store->find(2), nullptr);
  EXPECT_THAT(versions(*store_in(folder.path())), ElementsAre(3, 4));
}

TEST(WeightStore, ALaterEpochIsNewer) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  RandomVersion version = random_version(9, {100}, 1);
  ASSERT_TRUE(put(*store, version).ok());
  version = random_version(7, {100}, 2);
  version.manifest.epoch = 1;
  ASSERT_TRUE(put(*store, version).ok());
  EXPECT_EQ(store->latest()->manifest().version, 7);
  EXPECT_EQ(store->find(VersionId{1, 9}), nullptr);
  EXPECT_NE(store->find(VersionId{0, 9}), nullptr);
}

TEST(WeightStore, ARemovedVersionStaysValidForItsHolder) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  const RandomVersion first = random_version(1, {5000}, 1);
  const Held held = put(*store, first).value();
  for (int64_t v = 2; v <= 5; ++v) ASSERT_TRUE(put(*store, random_version(v, {5000}, 9)).ok());
  EXPECT_FALSE(fs::exists(held->folder()));
  EXPECT_EQ(held->bytes(), first.data);
}

uint64_t inode_of(const Held& held) {
  struct stat info {};
  EXPECT_EQ(::stat((held->folder() / "model.safetensors").c_str(), &info), 0);
  return info.st_ino;
}

TEST(WeightStore, ANewVersionTakesOverTheMemoryOfARemovedOne) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  std::vector<uint64_t> inodes;
  const std::vector<int64_t> sizes = {5000, 5000, 5000, 7000, 300, 5000};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const RandomVersion version = random_version(static_cast<int64_t>(i), {sizes[i]}, i);
    const Held held = put(*store, version).value();
    EXPECT_EQ(held->bytes(), version.data);
    inodes.push_back(inode_of(held));
    EXPECT_FALSE(fs::exists(folder.path() + "/spare"));
  }
  for (size_t i = 2; i < inodes.size(); ++i) EXPECT_EQ(inodes[i], inodes[i - 2]);
  EXPECT_NE(inodes[0], inodes[1]);
}

TEST(WeightStore, TheMemoryOfAVersionInUseIsNotTakenOver) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  const RandomVersion first = random_version(1, {5000}, 1);
  const Held held = put(*store, first).value();
  const uint64_t inode = inode_of(held);
  for (int64_t v = 2; v <= 4; ++v)
    EXPECT_NE(inode_of(put(*store, random_version(v, {5000}, 9)).value()), inode);
  EXPECT_EQ(held->bytes(), first.data);
}

TEST(WeightStore, AVersionThatIsWrittenAgainReplacesTheOldOne) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  const Held old = put(*store, random_version(1, {100}, 1)).value();
  const RandomVersion other = random_version(1, {100}, 2);
  ASSERT_TRUE(put(*store, other).ok());
  EXPECT_EQ(store->latest()->bytes(), other.data);
  EXPECT_NE(old->bytes(), other.data);
}

TEST(WeightStore, WhoLeavesKeepsTheVersionsOfOthers) {
  const MemoryFolder folder;
  auto store = store_in(folder.path()), other = store_in(folder.path());
  ASSERT_TRUE(put(*store, random_version(1, {100}, 1)).ok());
  store->leave(Deadline::after_seconds(5));
  store = nullptr;
  EXPECT_THAT(versions(*other), ElementsAre(1));
  other->leave(Deadline::after_seconds(5));
  EXPECT_THAT(versions(*other), ElementsAre());
}

TEST(WeightStore, OneWriterAtATime) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path()), other = store_in(folder.path());
  auto writer = store->try_write();
  ASSERT_TRUE(writer.ok() && writer->has_value());
  EXPECT_FALSE(other->try_write().value().has_value());
  EXPECT_FALSE(store->try_write().value().has_value());
  const auto late = other->write(Deadline::after_seconds(0.05));
  EXPECT_EQ(late.status().code(), StatusCode::timeout);
  writer->reset();
  EXPECT_TRUE(other->write(Deadline::after_seconds(5)).ok());
}

TEST(WeightStore, WithoutCommitNothingRemains) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  {
    auto writer = store->write(Deadline::after_seconds(5)).value();
    ASSERT_TRUE(writer.reserve({0, 1}, 1000).ok());
    ASSERT_TRUE(writer.write_at(990, "0123456789").ok());
  }
  EXPECT_THAT(versions(*store), ElementsAre());
  EXPECT_FALSE(fs::exists(fs::path(folder.path()) / "0-1"));
}

TEST(WeightStore, WithoutRoomTheErrorNamesTheFolderAndWhatToDo) {
  const MemoryFolder folder;
  constexpr uint64_t kTooMuch = uint64_t{1} << 46;
  const auto plain = store_in(folder.path() + "/plain");
  auto writer = plain->write(Deadline::after_seconds(5)).value();
  const Status full = writer.reserve({0, 1}, kTooMuch);
  EXPECT_EQ(full.code(), StatusCode::exhausted);
  EXPECT_THAT(full.message(), HasSubstr("--fallback"));
  EXPECT_THAT(full.message(), HasSubstr(folder.path()));
  EXPECT_FALSE(fs::exists(fs::path(folder.path()) / "plain/0-1"));
}

// Mounts a memory file system of one MiB, in a namespace of the calling process alone.
bool mount_small(const std::string& folder) {
  const uid_t user = geteuid();
  if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (user != 0) std::ofstream("/proc/self/uid_map") << user << ' ' << user << " 1";
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m,mode=0777") == 0;
}

TEST(WeightStore, AVersionTooLargeForTheFolderGoesToTheFallback) {
  const MemoryFolder folder;
  const std::string memory = folder.path() + "/memory", disk = folder.path() + "/disk";
  fs::create_directories(memory);
  const RandomVersion small = random_version(1, {10}, 1), large = random_version(2, {500'000}, 2);
  const pid_t child = fork();
  if (child == 0) {
    if (!mount_small(memory)) _exit(77);
    const auto store =
        WeightStore::open({.run = "run", .folder = memory, .fallback = disk}).value();
    const bool written = put(*store, small).ok() && put(*store, large).ok();
    const bool found = store->latest()->bytes() == large.data;
    _exit(written && found && fs::exists(memory + "/0-1") && fs::exists(disk + "/0-2") ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(WeightStore, VersionsInTheFallbackAreFound) {
  const MemoryFolder folder;
  const std::string memory = folder.path() + "/memory", disk = folder.path() + "/disk";
  ASSERT_TRUE(put(*store_in(disk), random_version(1, {10}, 1)).ok());
  const auto store = WeightStore::open({.run = "run", .folder = memory, .fallback = disk}).value();
  ASSERT_TRUE(put(*store, random_version(2, {10}, 2)).ok());
  EXPECT_THAT(versions(*store), ElementsAre(1, 2));
  ASSERT_TRUE(put(*store, random_version(3, {10}, 3)).ok());
  EXPECT_THAT(versions(*store), ElementsAre(2, 3));
  EXPECT_FALSE(fs::exists(fs::path(disk) / "0-1"));
}

TEST(WeightStore, DamagedVersionsAreRemovedAtTheStart) {
  const MemoryFolder folder;
  {
    const auto store = store_in(folder.path());
    for (int64_t v = 1; v <= 2; ++v) ASSERT_TRUE(put(*store, random_version(v, {100}, 1)).ok());
  }
  fs::resize_file(fs::path(folder.path()) / "0-2/model.safetensors", 100);
  EXPECT_THAT(versions(*store_in(folder.path())), ElementsAre(1));
  std::ofstream(fs::path(folder.path()) / "0-1/config.json") << "{}";
  EXPECT_THAT(versions(*store_in(folder.path())), ElementsAre());
}

TEST(WeightStore, AVersionThatWasJustWrittenIsKeptEvenIfOthersAreNewer) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  for (int64_t v : {50, 51, 1}) ASSERT_TRUE(put(*store, random_version(v, {10}, 1)).ok());
  EXPECT_THAT(versions(*store), ElementsAre(1, 51));
  ASSERT_TRUE(store->clear(Deadline::after_seconds(5)).ok());
  EXPECT_THAT(versions(*store), ElementsAre());
}

TEST(WeightStore, NamesThatAreNotSafeAreRefused) {
  for (const char* run : {"", "..", "a/b", "a b"})
    EXPECT_EQ(WeightStore::open({.run = run}).status().code(), StatusCode::invalid_argument) << run;
}

// Writes version 2 and ends the process without any cleaning at the given step.
[[noreturn]] void write_and_die(const std::string& folder, const RandomVersion& version, int step) {
  const auto store = store_in(folder);
  int at = 0;
  const auto die_at = [&] {
    if (at++ == step) _exit(0);
  };
  auto writer = store->write(Deadline::after_seconds(10)).value();
  die_at();
  if (!writer.reserve(id_of(version.manifest), version.data.size()).ok()) _exit(1);
  die_at();
  for (size_t i = 0; i < version.data.size(); i += 1000) {
    if (!writer.write_at(i, std::string_view(version.data).substr(i, 1000)).ok()) _exit(1);
    die_at();
  }
  for (const auto& [name, content] : version.files) {
    if (!writer.add_file(name, content).ok()) _exit(1);
    die_at();
  }
  if (!writer.commit(version.manifest).ok()) _exit(1);
  _exit(3);
}

TEST(WeightStore, ACrashAtAnyPointLeavesTheOldVersionOrTheNewOne) {
  const RandomVersion first = random_version(1, {100}, 1), second = random_version(2, {2000}, 2);
  int steps = 0;
  for (bool complete = false; !complete; ++steps) {
    const MemoryFolder folder;
    ASSERT_TRUE(put(*store_in(folder.path()), first).ok());
    const pid_t child = fork();
    if (child == 0) write_and_die(folder.path(), second, steps);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_NE(WEXITSTATUS(status), 1);
    complete = WEXITSTATUS(status) == 3;
    const auto store = store_in(folder.path());
    EXPECT_EQ(store->latest()->bytes(), complete ? second.data : first.data) << steps;
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(name == "lock" || name == "users" || fs::exists(entry.path() / "manifest.json"))
          << name;
    }
    ASSERT_TRUE(put(*store, second).ok());
    EXPECT_EQ(store->latest()->bytes(), second.data);
  }
  EXPECT_GT(steps, 10);
}

}  // namespace
}  // namespace longshot::publish
