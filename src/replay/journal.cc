#include "replay/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fs.h"

namespace longshot::replay {
namespace {

constexpr size_t kHeader = sizeof(uint32_t) + sizeof(uint64_t);

template <typename T>
T read_raw(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void append_raw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string frame(const Json& record) {
  const std::vector<uint8_t> packed = Json::to_msgpack(record);
  const std::string_view payload(reinterpret_cast<const char*>(packed.data()), packed.size());
  std::string out;
  out.reserve(kHeader + payload.size());
  append_raw(out, static_cast<uint32_t>(payload.size()));
  append_raw(out, checksum(payload));
  out.append(payload);
  return out;
}

Status errno_status(const char* action, const std::string& path) {
  return io_error(fmt::format("cannot {} {}: {}", action, path, std::strerror(errno)));
}

}  // namespace

Result<std::vector<Json>> parse_journal(std::string_view bytes, const std::string& where) {
  std::vector<Json> records;
  size_t at = 0;
  while (at < bytes.size()) {
    const std::string place = fmt::format("{} at byte {}", where, at);
    if (bytes.size() - at < kHeader) return corrupt(place + ": the record header is cut off");
    const size_t length = read_raw<uint32_t>(bytes.data() + at);
    const auto sum = read_raw<uint64_t>(bytes.data() + at + sizeof(uint32_t));
    at += kHeader;
    if (bytes.size() - at < length) return corrupt(place + ": the record is cut off");
    const std::string_view payload = bytes.substr(at, length);
    if (checksum(payload) != sum) return corrupt(place + ": the record's checksum does not match");
    Json record = Json::from_msgpack(payload.begin(), payload.end(), true, false);
    if (record.is_discarded()) return corrupt(place + ": the record is not MessagePack");
    records.push_back(std::move(record));
    at += length;
  }
  return records;
}

Journal::~Journal() {
  close();
}

void Journal::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Status Journal::open(const std::string& path, int64_t offset, std::vector<Json>* records) {
  close();
  records->clear();
  if (offset > 0) {
    LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
    if (static_cast<int64_t>(file.bytes().size()) < offset) {
      return corrupt(
          fmt::format("{} has {} bytes, {} expected", path, file.bytes().size(), offset));
    }
    LS_ASSIGN_OR_RETURN(*records, parse_journal(file.bytes().substr(0, offset), path));
  }
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) return errno_status("open", path);
  if (::ftruncate(fd_, offset) != 0) return errno_status("cut", path);
  if (::lseek(fd_, offset, SEEK_SET) != offset) return errno_status("seek in", path);
  path_ = path;
  offset_ = offset;
  return ok_status();
}

Status Journal::append(const Json& record) {
  const std::string bytes = frame(record);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, offset_ + done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("write", path_);
    done += static_cast<size_t>(n);
  }
  offset_ += static_cast<int64_t>(bytes.size());
  return ok_status();
}

Status Journal::sync() {
  if (::fdatasync(fd_) != 0) return errno_status("sync", path_);
  return ok_status();
}

}  // namespace longshot::replay
