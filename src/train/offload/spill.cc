#include "train/offload/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/os/fs.h"

namespace longshot::train {
namespace {

constexpr int64_t kBlock = 4 << 20;  // bytes with a checksum of their own; in the cache meanwhile

Status failed(const std::string& folder, const std::string& what, int error) {
  return io_error(fmt::format("{}: {}: {}", folder, what, std::strerror(error)));
}

// Some file systems, such as NFS, have no files without a name.
int open_nameless(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  std::string name = folder + "/offload-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

// Calls `transfer` (pread or pwrite) until the whole block is done. Returns an errno; 0: done.
template <typename Transfer>
int whole(const Transfer& transfer, int file, std::byte* data, int64_t bytes, int64_t at) {
  while (bytes > 0) {
    const ssize_t done = transfer(file, data, static_cast<size_t>(bytes), at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return done < 0 ? errno : EIO;
    data += done;
    bytes -= done;
    at += done;
  }
  return 0;
}

std::string_view view(const std::byte* data, int64_t bytes) {
  return {reinterpret_cast<const char*>(data), static_cast<size_t>(bytes)};
}

}  // namespace

Result<std::unique_ptr<Spill>> Spill::create(const std::string& folder, int64_t bytes) {
  LS_RETURN_IF_ERROR(make_directories(folder));
  const int file = open_nameless(folder);
  if (file < 0) return failed(folder, "no file can be made there", errno);
  const int error = bytes > 0 ? ::posix_fallocate(file, 0, bytes) : 0;
  void* memory = error != 0 ? MAP_FAILED
                            : ::mmap(nullptr, static_cast<size_t>(std::max<int64_t>(bytes, 1)),
                                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    return std::unique_ptr<Spill>(new Spill(folder, file, static_cast<std::byte*>(memory), bytes));
  }
  const int why = error != 0 ? error : errno;
  ::close(file);
  return failed(folder, fmt::format("no room for {:.2f} GiB", static_cast<double>(bytes) / kGiB),
                why);
}

Spill::~Spill() {
  ::munmap(data_, static_cast<size_t>(std::max<int64_t>(bytes_, 1)));
  ::close(file_);
}

Status Spill::out() {
  if (out_) return ok_status();
  checksums_.clear();
  for (int64_t at = 0; at < bytes_; at += kBlock) {
    const int64_t size = std::min(kBlock, bytes_ - at);
    checksums_.push_back(checksum(view(data_ + at, size)));
    if (const int error = whole(::pwrite, file_, data_ + at, size, at); error != 0)
      return failed(folder_, "the trainer's state could not be written", error);
    // The disk begins at once, so that the kernel can free its copy soon.
    (void)::sync_file_range(file_, at, size, SYNC_FILE_RANGE_WRITE);
  }
  if (bytes_ > 0 && ::madvise(data_, static_cast<size_t>(bytes_), MADV_DONTNEED) != 0)
    return failed(folder_, "the memory could not be freed", errno);
  out_ = true;
  return ok_status();
}

Status Spill::in() {
  if (!out_) return ok_status();
  for (int64_t at = 0; at < bytes_; at += kBlock) {
    const int64_t size = std::min(kBlock, bytes_ - at);
    if (const int error = whole(::pread, file_, data_ + at, size, at); error != 0)
      return failed(folder_, "the trainer's state could not be read back", error);
    if (checksum(view(data_ + at, size)) != checksums_[static_cast<size_t>(at / kBlock)]) {
      return corrupt(folder_ + ": the disk returned other bytes than were written");
    }
  }
  out_ = false;
  return ok_status();
}

}  // namespace longshot::train
