#include "sandbox/jail/run_root.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "sandbox/jail/die.h"
#include "sandbox/jail/image.h"
#include "sandbox/jail/syscalls.h"

namespace longshot::sandbox::jail {
namespace {

constexpr const char* kRoot = "/.jail/run/root";

void mount_layers(const Limits& limits) {
  const std::string size = "mode=0755,size=" + std::to_string(limits.disk_bytes) +
                           ",nr_inodes=" + std::to_string(limits.inodes);
  must(::mount("run", kRunDirectory, "tmpfs", MS_NOSUID | MS_NODEV, size.c_str()),
       "mounting tmpfs");
  const std::string upper = std::string(kRunDirectory) + "/upper",
                    scratch = std::string(kRunDirectory) + "/scratch";
  for (const char* path : {upper.c_str(), scratch.c_str(), kRoot}) must(::mkdir(path, 0755), path);
  const std::string layers = std::string("lowerdir=") + kLowerLayer + ",upperdir=" + upper +
                             ",workdir=" + scratch + ",userxattr";
  must(::mount("run", kRoot, "overlay", MS_NOSUID | MS_NODEV, layers.c_str()),
       "mounting the overlay");
}

void mount_image_again(const std::vector<std::string>& mounts) {
  for (const std::string& path : mounts) {
    const int tree = must(open_tree(path.c_str(), true), path.c_str());
    if (path == "/dev") must(set_mount(tree, {kMountReadOnly | kMountNoSuid}), "read-only /dev");
    must(move_mount(tree, (kRoot + path).c_str()), path.c_str());
    ::close(tree);
  }
  must(::mount("proc", (std::string(kRoot) + "/proc").c_str(), "proc",
               MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid,hidepid=2"),
       "mounting /proc");
}

void enter() {
  must(::chdir(kRoot), kRoot);
  must(pivot_root(".", "."), "pivot_root");
  must(::umount2(".", MNT_DETACH), "leaving the image");
}

void give(const char* path, const Ids& ids) {
  if (ids.two) must(::lchown(path, kProgramId, kProgramId), path);
}

void write_file(int directory, const File& file, const Ids& ids) {
  for (size_t slash = file.path.find('/'); slash != std::string::npos;
       slash = file.path.find('/', slash + 1)) {
    const std::string parent = file.path.substr(0, slash);
    if (::mkdirat(directory, parent.c_str(), 0755) == 0) {
      give(parent.c_str(), ids);
    } else if (errno != EEXIST) {
      fault("mkdir " + parent);
    }
  }
  const int fd = must(open_beneath(directory, file.path.c_str(), O_CREAT | O_EXCL | O_WRONLY,
                                   file.executable ? 0755 : 0644),
                      file.path.c_str());
  for (size_t done = 0; done < file.content.size();) {
    const ssize_t wrote = ::write(fd, file.content.data() + done, file.content.size() - done);
    if (wrote < 0) fault("writing " + file.path);
    done += wrote;
  }
  if (ids.two) must(::fchown(fd, kProgramId, kProgramId), "fchown");
  ::close(fd);
}

// False if the file is not regular, cannot be reached, or is larger than `max_bytes`.
bool read_regular(int directory, const std::string& path, uint64_t max_bytes,
                  std::string& content) {
  const int fd = open_beneath(directory, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) return false;
  struct stat info {};
  bool good = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
              static_cast<uint64_t>(info.st_size) <= max_bytes;
  if (good) {
    content.resize(info.st_size);
    for (size_t done = 0; good && done < content.size();) {
      const ssize_t got = ::pread(fd, content.data() + done, content.size() - done, done);
      good = got > 0;
      done += good ? got : 0;
    }
  }
  ::close(fd);
  return good;
}

}  // namespace

void enter_run_root(const Job& job, const std::vector<std::string>& mounts, const Ids& ids) {
  ::umask(022);
  mount_layers(job.limits);
  mount_image_again(mounts);
  enter();
  must(::chdir(kWorkDirectory), kWorkDirectory);
  give(".", ids);
  const int work = must(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), kWorkDirectory);
  for (const File& file : job.files) write_file(work, file, ids);
  ::close(work);
  must(::sethostname("sandbox", 7), "sethostname");
}

std::vector<File> fetch_files(const Job& job) {
  std::vector<File> files;
  uint64_t left = job.fetch_bytes;
  const int work = ::open(kWorkDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  for (const std::string& path : job.fetch) {
    File file{path, {}, false};
    if (!read_regular(work, path, left, file.content)) continue;
    left -= file.content.size();
    files.push_back(std::move(file));
  }
  ::close(work);
  return files;
}

}  // namespace longshot::sandbox::jail
