#pragma once
// Jobs and outcomes as bytes on a stream socket between the service and its jails: a type, a length, the fields in order.
// Both ends are the same build. All functions are thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/job.h"

namespace longshot::sandbox {

enum class FrameType : char {
  ready = 'R',    // jail: set up
  job = 'J',      // service
  cancel = 'C',   // service: end the run in progress; of no meaning between runs
  outcome = 'O',  // jail: LaneReport, then an Outcome if it is finished
};
constexpr size_t kFrameHead = 9;  // type, little-endian 64-bit length of the body
constexpr uint64_t kMaxFrame = 1ull << 30;

std::string frame(FrameType type, std::string_view body);
std::string frame_head(FrameType type, uint64_t body_size);
// The body's size; nothing if the head is none of ours.
std::optional<uint64_t> body_size(std::string_view head);

std::string encode(const Job& job);
std::string encode(const Outcome& outcome);
std::string encode(const LaneReport& report);
// Nothing if the bytes are not what encode() makes; `rest` is what follows.
std::optional<Job> decode_job(std::string_view bytes);
std::optional<Outcome> decode_outcome(std::string_view bytes);
std::optional<LaneReport> decode_report(std::string_view bytes, std::string_view* rest);

// Blocking. False when the other end is gone.
bool send_all(int socket, std::string_view bytes);
bool receive_all(int socket, char* into, size_t size);

}  // namespace longshot::sandbox
