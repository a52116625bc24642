#include "sandbox/jail/image.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "sandbox/jail/die.h"
#include "sandbox/jail/syscalls.h"

namespace longshot::sandbox::jail {
namespace {

namespace fs = std::filesystem;

// Exists everywhere. The mount hides its content, but only in our namespace.
constexpr const char* kBuildAt = "/tmp";
constexpr const char* kTopLinks[] = {"/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"};
constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                    "/dev/urandom"};
// The dynamic linker's cache, and Debian's links that select one of several programs.
constexpr const char* kCopied[] = {"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives",
                                   "/etc/localtime"};

struct Text {
  const char* path;
  const char* content;
};
constexpr Text kTexts[] = {
    {"etc/passwd",
     "root:x:0:0:root:/:/usr/sbin/nologin\nuser:x:1000:1000::/box:/bin/bash\n"
     "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
    {"etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
    {"etc/hosts", "127.0.0.1 localhost sandbox\n"},
};

struct Directory {
  const char* path;
  mode_t mode;
};
constexpr Directory kDirectories[] = {{"etc", 0755},   {"dev", 0755},         {"proc", 0755},
                                      {"run", 0755},   {"run/shm", 01777},    {"tmp", 01777},
                                      {"var", 0755},   {"var/tmp", 01777},    {"box", 0755},
                                      {".jail", 0700}, {".jail/lower", 0700}, {".jail/run", 0700}};

MountSource take(const std::string& path, bool directory) {
  MountSource source{path, must(open_tree(path.c_str(), directory), path.c_str()), directory};
  const MountAttributes attributes{kMountReadOnly | kMountNoSuid | (directory ? kMountNoDev : 0)};
  must(set_mount(source.tree, attributes), ("read-only " + path).c_str());
  return source;
}

void make_parents(const std::string& root, const std::string& path) {
  std::error_code error;
  fs::create_directories(root + fs::path(path).parent_path().string(), error);
  if (error) fault("directories of " + path);
}

void put(const MountSource& source, const std::string& root) {
  const std::string target = root + source.path;
  make_parents(root, source.path);
  if (source.directory) {
    if (::mkdir(target.c_str(), 0755) != 0 && errno != EEXIST) fault("mkdir " + source.path);
  } else {
    ::close(must(::open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644), target.c_str()));
  }
  must(move_mount(source.tree, target.c_str()), ("mounting " + source.path).c_str());
}

void copy_from_host(const std::string& root) {
  for (const char* path : kCopied) {
    std::error_code missing;  // not every system has all of these files
    fs::copy(path, root + path, fs::copy_options::recursive | fs::copy_options::copy_symlinks,
             missing);
  }
  for (const char* path : kTopLinks) {
    std::error_code not_a_link;
    const fs::path target = fs::read_symlink(path, not_a_link);
    if (!not_a_link) fs::create_symlink(target, root + path, not_a_link);
  }
}

void write_own_files(const std::string& root) {
  for (const Directory& directory : kDirectories) {
    const std::string path = root + "/" + directory.path;
    if (::mkdir(path.c_str(), directory.mode) != 0 && errno != EEXIST) fault("mkdir " + path);
    // Unlike mkdir, chmod ignores the umask.
    must(::chmod(path.c_str(), directory.mode), path.c_str());
  }
  for (const Text& text : kTexts) std::ofstream(root + "/" + text.path) << text.content;
  constexpr const char* kLinks[][2] = {{"../run/shm", "/dev/shm"},
                                       {"/proc/self/fd", "/dev/fd"},
                                       {"/proc/self/fd/0", "/dev/stdin"},
                                       {"/proc/self/fd/1", "/dev/stdout"},
                                       {"/proc/self/fd/2", "/dev/stderr"}};
  for (const auto& [target, link] : kLinks) must(::symlink(target, (root + link).c_str()), link);
}

void enter(const std::string& root) {
  must(::chdir(root.c_str()), "entering the image");
  must(pivot_root(".", "."), "pivot_root to the image");
  must(::umount2(".", MNT_DETACH), "leaving the host's root");
  must(::chdir("/"), "chdir /");
}

}  // namespace

std::vector<MountSource> open_sources(const std::vector<std::string>& extra) {
  std::vector<MountSource> sources = {take("/usr", true)};
  for (const char* path : kTopLinks) {
    if (fs::is_directory(path) && !fs::is_symlink(path)) sources.push_back(take(path, true));
  }
  for (const std::string& path : extra) sources.push_back(take(path, true));
  for (const char* path : kDevices) sources.push_back(take(path, false));
  return sources;
}

std::vector<std::string> enter_image(const std::vector<MountSource>& sources) {
  must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private mounts");
  must(::mount("image", kBuildAt, "tmpfs", MS_NOSUID, "size=16m,mode=0755"), "mounting the image");
  write_own_files(kBuildAt);
  copy_from_host(kBuildAt);
  std::vector<std::string> mounts;
  for (const MountSource& source : sources) {
    put(source, kBuildAt);
    if (source.directory) mounts.push_back(source.path);
  }
  mounts.push_back("/dev");
  const std::string proc = std::string(kBuildAt) + "/proc";
  must(::mount("proc", proc.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
       "mounting /proc (containers that hide parts of theirs forbid it)");
  enter(kBuildAt);
  // The kernel refuses a lower layer that contains mounts which a run cannot remove. The lower
  // layer is therefore a second mount of the image's own files, without the mounts on top of them.
  const int files = must(open_tree("/", false), "the image's files");
  must(move_mount(files, kLowerLayer), kLowerLayer);
  ::close(files);
  return mounts;
}

}  // namespace longshot::sandbox::jail
