#include "sandbox/wire.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>

namespace longshot::sandbox {
namespace {

class Writer {
 public:
  template <typename T>
  void field(const T& value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void field(const std::string& text) {
    field(static_cast<uint64_t>(text.size()));
    bytes_ += text;
  }
  void field(const File& file) {
    field(file.path);
    field(file.content);
    field(file.executable);
  }
  template <typename T>
  void field(const std::vector<T>& list) {
    field(static_cast<uint64_t>(list.size()));
    for (const T& item : list) field(item);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first field that does not fit, all further reads fail.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  void field(T& value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    if (!take(sizeof(T))) return;
    std::memcpy(&value, taken_.data(), sizeof(T));
  }
  void field(bool& value) {
    char byte = 0;
    field(byte);
    value = byte != 0;
  }
  void field(std::string& text) {
    uint64_t size = 0;
    field(size);
    if (take(size)) text.assign(taken_);
  }
  void field(File& file) {
    field(file.path);
    field(file.content);
    field(file.executable);
  }
  template <typename T>
  void field(std::vector<T>& list) {
    uint64_t size = 0;
    field(size);
    // Avoids growth for lists of usual size, which would leave copies of short texts behind.
    list.reserve(std::min<uint64_t>(size, 4096));
    for (uint64_t i = 0; i < size && ok_; ++i) field(list.emplace_back());
  }
  bool ok() const { return ok_; }
  std::string_view rest() const { return bytes_; }

 private:
  bool take(uint64_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return false;
    taken_ = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }

  std::string_view bytes_, taken_;
  bool ok_ = true;
};

// One list of fields for both directions.
template <typename Stream, typename T>
void fields_of_limits(Stream& stream, T& limits) {
  stream.field(limits.cpu_seconds);
  stream.field(limits.idle_seconds);
  stream.field(limits.wall_seconds);
  stream.field(limits.memory_bytes);
  stream.field(limits.processes);
  stream.field(limits.open_files);
  stream.field(limits.file_bytes);
  stream.field(limits.disk_bytes);
  stream.field(limits.inodes);
  stream.field(limits.output_bytes);
}

template <typename Stream, typename T>
void fields_of_job(Stream& stream, T& job) {
  stream.field(job.argv);
  stream.field(job.input);
  stream.field(job.files);
  stream.field(job.fetch);
  stream.field(job.fetch_bytes);
  stream.field(job.limit_address_space);
  fields_of_limits(stream, job.limits);
}

template <typename Stream, typename T>
void fields_of_outcome(Stream& stream, T& outcome) {
  stream.field(outcome.ending);
  stream.field(outcome.message);
  stream.field(outcome.exit_code);
  stream.field(outcome.signal);
  stream.field(outcome.cpu_seconds);
  stream.field(outcome.wall_seconds);
  stream.field(outcome.memory_bytes);
  stream.field(outcome.out);
  stream.field(outcome.err);
  stream.field(outcome.files);
}

template <typename Stream, typename T>
void fields_of_report(Stream& stream, T& report) {
  stream.field(report.finished);
  stream.field(report.out_of_memory);
  stream.field(report.cancelled);
  stream.field(report.memory_bytes);
  stream.field(report.message);
}

}  // namespace

std::string frame_head(FrameType type, uint64_t body_size) {
  std::string head(kFrameHead, static_cast<char>(type));
  std::memcpy(head.data() + 1, &body_size, sizeof(body_size));
  return head;
}

std::string frame(FrameType type, std::string_view body) {
  return frame_head(type, body.size()).append(body);
}

std::optional<uint64_t> body_size(std::string_view head) {
  uint64_t size = 0;
  if (head.size() != kFrameHead || std::strchr("RJCO", head[0]) == nullptr) return std::nullopt;
  std::memcpy(&size, head.data() + 1, sizeof(size));
  return size <= kMaxFrame ? std::optional(size) : std::nullopt;
}

std::string encode(const Job& job) {
  Writer writer;
  fields_of_job(writer, job);
  return writer.take();
}
std::string encode(const Outcome& outcome) {
  Writer writer;
  fields_of_outcome(writer, outcome);
  return writer.take();
}
std::string encode(const LaneReport& report) {
  Writer writer;
  fields_of_report(writer, report);
  return writer.take();
}

std::optional<Job> decode_job(std::string_view bytes) {
  Reader reader(bytes);
  Job job;
  fields_of_job(reader, job);
  return reader.ok() && reader.rest().empty() ? std::optional(std::move(job)) : std::nullopt;
}
std::optional<Outcome> decode_outcome(std::string_view bytes) {
  Reader reader(bytes);
  Outcome outcome;
  fields_of_outcome(reader, outcome);
  return reader.ok() && reader.rest().empty() ? std::optional(std::move(outcome)) : std::nullopt;
}
std::optional<LaneReport> decode_report(std::string_view bytes, std::string_view* rest) {
  Reader reader(bytes);
  LaneReport report;
  fields_of_report(reader, report);
  *rest = reader.rest();
  return reader.ok() ? std::optional(std::move(report)) : std::nullopt;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(sent);
  }
  return true;
}

bool receive_all(int socket, char* into, size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket, into, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    size -= got;
  }
  return true;
}

const char* ending_word(Ending ending) {
  constexpr const char* kWords[] = {"OK", "RE", "SG", "TO", "ML", "OL", "CE", "XX"};
  return kWords[static_cast<size_t>(ending)];
}

Outcome combine(const LaneReport& report, Outcome outcome) {
  if (!report.finished) {
    // If the kernel kills the supervisor for memory, the run ends as if it had killed any other of
    // its processes.
    outcome.ending = report.out_of_memory ? Ending::memory : Ending::internal;
    outcome.message = report.out_of_memory ? "killed for memory" : report.message;
  } else if (report.out_of_memory &&
             (outcome.ending == Ending::runtime || outcome.ending == Ending::signaled)) {
    outcome.ending = Ending::memory;
    outcome.message = "killed for memory";
  }
  if (report.memory_bytes > 0) outcome.memory_bytes = report.memory_bytes;
  return outcome;
}

}  // namespace longshot::sandbox
