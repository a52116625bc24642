#include "curate/text/line_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace longshot::curate {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

}  // namespace

LineFile::LineFile(LineFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      begins_(std::move(other.begins_)) {}

LineFile& LineFile::operator=(LineFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(begins_, other.begins_);
  return *this;
}

LineFile::~LineFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<LineFile> LineFile::open(const std::filesystem::path& path) {
  LineFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.fd_ < 0) return io_error("cannot open " + path.string() + ": " + std::strerror(errno));
  LS_RETURN_IF_ERROR(file.index());
  return file;
}

Status LineFile::index() {
  std::string block(kBlock, '\0');
  uint64_t at = 0;
  while (true) {
    const ssize_t got = ::pread(fd_, block.data(), block.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("cannot read " + path_.string() + ": " + std::strerror(errno));
    if (got == 0) break;
    const char* const end = block.data() + got;
    for (const char* p = block.data(); p < end; ++p) {
      p = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
      if (p == nullptr) break;
      begins_.push_back(at + static_cast<uint64_t>(p - block.data()) + 1);
    }
    at += static_cast<uint64_t>(got);
  }
  begins_.shrink_to_fit();
  if (begins_.back() == at) return ok_status();
  return corrupt(path_.string() + ": the last line does not end with a line feed");
}

Status LineFile::read_bytes(uint64_t begin, size_t size, char* to) const {
  while (size > 0) {
    const ssize_t got = ::pread(fd_, to, size, static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return io_error("cannot read " + path_.string());
    begin += static_cast<uint64_t>(got);
    to += got;
    size -= static_cast<size_t>(got);
  }
  return ok_status();
}

Status LineFile::read(size_t line, std::string& text) const {
  text.resize(begins_[line + 1] - begins_[line] - 1);
  return read_bytes(begins_[line], text.size(), text.data());
}

Status LineFile::read_range(size_t first, size_t count, Lines& lines) const {
  const size_t end = std::min(first + count, this->lines());
  lines.first_ = first;
  lines.begins_.clear();
  for (size_t line = first; line <= end; ++line)
    lines.begins_.push_back(begins_[line] - begins_[first]);
  lines.bytes_.resize(lines.begins_.back());
  return read_bytes(begins_[first], lines.bytes_.size(), lines.bytes_.data());
}

}  // namespace longshot::curate
