#pragma once
// Moves the data of a version from peers into a store: several connections, each of which asks for
// spans of chunks, verifies every chunk, and continues at the same byte with another peer when one
// breaks, stalls or sends wrong bytes. From peers that are still fetching the version, it takes the
// chunks that they have.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/rng.h"
#include "base/status.h"
#include "net/bulk/http_get.h"
#include "publish/engine/hasher.h"
#include "publish/engine/manifest.h"
#include "publish/engine/peers.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

struct FetchOptions {
  net::Credentials credentials = {};  // for all peers
  int connections = 2;                // used at the same time
  // A peer that delivers less than `least_rate` bytes a second over `stall_seconds` is left.
  double stall_seconds = 5;
  double least_rate = 16 << 10;
  // Decides between equal peers and chunks; empty: this machine's name and the process id.
  std::string host_name = {};
  std::function<bool()> wanted = nullptr;  // see Peers::create()
};

class Transfer {
 public:
  // `writer` has room for the whole safetensors file. Chunks are added to `growing` as they are
  // verified. The arguments are borrowed.
  Transfer(const Manifest& manifest, VersionWriter& writer, GrowingVersion& growing, Peers& peers,
           const FetchOptions& options, Deadline deadline);

  // Returns when all bytes are there and verified. Errors: timeout at the deadline, with the bytes
  // that arrived; corrupt for a chunk that no peer has right; cancelled; else the last failure.
  Status run();
  uint64_t received() const { return received_; }  // bytes, those that were wrong included

 private:
  struct Span {
    ChunkRange chunks;
    std::optional<size_t> avoid = {};  // a peer that sent wrong bytes
  };
  // A connection and what it is receiving.
  struct Stream;

  void work(bool prefers_growing);
  std::optional<Span> take(bool prefers_growing);
  Status receive(Span span, Stream& stream);
  Status receive_from_one(Stream& stream);
  Status connect(Stream& stream);
  Status ask(Stream& stream);
  Status read_some(Stream& stream);
  Status store(Stream& stream, size_t count);
  Status finish_chunk(Stream& stream);
  void leave(Stream& stream, const Status& status);
  void stop(const Status& status);
  bool stopped();
  Status explain(const Status& status) const;

  const Manifest& manifest_;
  VersionWriter& writer_;
  GrowingVersion& growing_;
  Peers& peers_;
  const FetchOptions& options_;
  const Deadline deadline_;
  const uint64_t total_;  // bytes
  const std::vector<Chunk> chunks_;
  const bool alone_;  // no other host is fetching the version
  std::mutex mutex_;
  std::deque<Span> spans_;
  CounterRng rng_;
  std::vector<int> wrong_;  // how often each chunk was wrong
  Status failure_;
  std::atomic<uint64_t> received_{0};
};

}  // namespace longshot::publish
