#pragma once
// Jobs and outcomes as bytes on a stream socket between the service and its jails: a type, a
// length, and the fields in order. Both ends come from the same build. All functions are
// thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/job.h"

namespace longshot::sandbox {

enum class FrameType : char {
  ready = 'R',    // jail: set up
  job = 'J',      // service
  cancel = 'C',   // service: end the current run; ignored between runs
  outcome = 'O',  // jail: a LaneReport, followed by an Outcome if it is finished
};
constexpr size_t kFrameHead = 9;  // type, little-endian 64-bit length of the body
constexpr uint64_t kMaxFrame = 1ull << 30;

std::string frame(FrameType type, std::string_view body);
std::string frame_head(FrameType type, uint64_t body_size);
// The size of the body; nothing if the header is invalid.
std::optional<uint64_t> body_size(std::string_view head);

std::string encode(const Job& job);
std::string encode(const Outcome& outcome);
std::string encode(const LaneReport& report);
// Return nothing if the bytes were not made by encode(); `rest` is the data that follows.
std::optional<Job> decode_job(std::string_view bytes);
std::optional<Outcome> decode_outcome(std::string_view bytes);
std::optional<LaneReport> decode_report(std::string_view bytes, std::string_view* rest);

// Blocking. False if the other end is closed.
bool send_all(int socket, std::string_view bytes);
bool receive_all(int socket, char* into, size_t size);

}  // namespace longshot::sandbox
