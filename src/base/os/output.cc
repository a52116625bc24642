#include "base/os/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/os/fs.h"
#include "base/os/stop.h"

namespace longshot {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kNewFileMode = 0666;

Status cannot_write(const std::string& name, int error) {
  return invalid_argument(fmt::format("cannot write to {}: {}", name, std::strerror(error)));
}

// Returns N if the path is /proc/PID/fd/N of this process. Such a link does not name a file: it
// leads to the descriptor, whose position and mode must be kept.
std::optional<int> own_descriptor(const fs::path& path) {
  std::error_code error;
  const fs::path folder = fs::canonical(path.parent_path(), error);
  if (error || folder != fs::path("/proc") / std::to_string(::getpid()) / "fd") return {};
  const std::string name = path.filename().string();
  int number = -1;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (code != std::errc() || end != name.data() + name.size()) return {};
  return number;
}

struct Place {
  std::optional<int> descriptor;
  fs::path path;  // after resolving all links
};

Result<Place> resolve(const std::string& name, const fs::path& path) {
  Place place{{}, path};
  const auto followed = follow_links(path, [&](const fs::path& step) {
    place.descriptor = own_descriptor(step);
    return place.descriptor.has_value();
  });
  if (!followed.ok())
    return invalid_argument("cannot write to " + name + ": " + followed.status().message());
  place.path = *followed;
  return place;
}

// Opening a FIFO without a reader with O_NONBLOCK fails at once, so this loop can also react to
// Ctrl-C.
Result<int> open_for_writing(const std::string& name, const fs::path& path) {
  for (int waited = 0;; ++waited) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
      ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
      return fd;
    }
    struct stat info {};
    const int error = errno;
    const bool fifo = ::stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode);
    if (error != ENXIO || !fifo) return cannot_write(name, error);
    if (stop_requested()) return cancelled("stopped before " + name + " had a reader");
    if (waited == 20) log::info("waiting for a reader of {}", name);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

Result<Output> Output::open(const fs::path& path, Kind kind) {
  Output output;
  const bool standard = path.empty() || path == "-";
  output.name_ = standard ? "stdout" : path.string();
  Place place{STDOUT_FILENO, path};
  if (!standard) {
    LS_ASSIGN_OR_RETURN(place, resolve(output.name_, path));
  }
  if (place.descriptor) {
    std::fflush(stdout);  // earlier output of this process comes first
    output.fd_ = ::fcntl(*place.descriptor, F_DUPFD_CLOEXEC, 3);
    if (output.fd_ < 0) return cannot_write(output.name_, errno);
    return output;
  }
  output.target_ = place.path;
  LS_RETURN_IF_ERROR(output.open_target(kind));
  return output;
}

Status Output::open_target(Kind kind) {
  struct stat info {};
  const bool exists = ::stat(target_.c_str(), &info) == 0;
  if (!exists && errno != ENOENT) return cannot_write(name_, errno);
  if (exists && S_ISDIR(info.st_mode)) return cannot_write(name_, EISDIR);
  if (!target_.has_filename()) return cannot_write(name_, exists ? EISDIR : ENOENT);
  if (exists && !S_ISREG(info.st_mode)) {
    LS_ASSIGN_OR_RETURN(fd_, open_for_writing(name_, target_));
    return ok_status();
  }
  if (exists && ::access(target_.c_str(), W_OK) != 0) return cannot_write(name_, errno);
  sync_ = true;
  if (kind == Kind::whole) {
    const Status opened = open_temporary(exists ? info.st_mode & 07777 : kNewFileMode);
    // If this user may not write to the folder, or does not own the file, the file can be written
    // but not replaced.
    if (opened.ok() || !exists) return opened;
  }
  truncate_ = exists;
  fd_ = ::open(target_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kNewFileMode);
  return fd_ >= 0 ? ok_status() : cannot_write(name_, errno);
}

Status Output::open_temporary(unsigned mode) {
  static std::atomic<int> count{0};
  fs::path temporary = target_;
  temporary += fmt::format(".tmp-{}-{}", ::getpid(), ++count);
  ::unlink(temporary.c_str());
  fd_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kNewFileMode);
  if (fd_ < 0) return cannot_write(name_, errno);
  temporary_ = temporary;
  if (mode == kNewFileMode) return ok_status();
  struct stat old {};
  const bool kept = ::stat(target_.c_str(), &old) == 0 &&
                    ::fchown(fd_, old.st_uid, old.st_gid) == 0 && ::fchmod(fd_, mode) == 0;
  if (kept) return ok_status();
  const Status failed = cannot_write(name_, errno);
  close();
  return failed;
}

Output::Output(Output&& other) noexcept {
  *this = std::move(other);
}

Output& Output::operator=(Output&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(target_, other.target_);
  std::swap(temporary_, other.temporary_);
  std::swap(fd_, other.fd_);
  std::swap(truncate_, other.truncate_);
  std::swap(sync_, other.sync_);
  return *this;
}

Output::~Output() {
  close();
}

void Output::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  if (!temporary_.empty()) ::unlink(std::exchange(temporary_, fs::path()).c_str());
}

Status Output::write(std::string_view bytes) {
  const auto failed = [&] {
    return io_error(fmt::format("cannot write to {}: {}", name_, std::strerror(errno)));
  };
  if (std::exchange(truncate_, false) && ::ftruncate(fd_, 0) != 0) return failed();
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed();
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return ok_status();
}

Status Output::finish() {
  LS_RETURN_IF_ERROR(write({}));  // an empty result also replaces the old content
  const bool synced = !sync_ || ::fsync(fd_) == 0;
  if (!synced || ::close(std::exchange(fd_, -1)) != 0)
    return io_error(fmt::format("cannot write to {}: {}", name_, std::strerror(errno)));
  if (temporary_.empty()) return ok_status();
  LS_RETURN_IF_ERROR(rename_durable(temporary_, target_));
  temporary_.clear();
  return ok_status();
}

bool Output::is_stdout() const {
  struct stat own {
  }, standard{};
  return ::fstat(fd_, &own) == 0 && ::fstat(STDOUT_FILENO, &standard) == 0 &&
         own.st_dev == standard.st_dev && own.st_ino == standard.st_ino;
}

Status write_output(const fs::path& path, std::string_view content) {
  LS_ASSIGN_OR_RETURN(Output output, Output::open(path));
  LS_RETURN_IF_ERROR(output.write(content));
  return output.finish();
}

}  // namespace longshot
