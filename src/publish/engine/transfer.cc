#include "publish/engine/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "publish/engine/piece_watch.h"

namespace longshot::publish {
namespace {

constexpr uint64_t kSpanBytes = 32 << 20;  // of a request; large enough to hide its round trip
constexpr uint64_t kSpans = 64;            // at least, where hosts exchange what they have
constexpr size_t kReadBytes = 256 << 10;   // at once: hashed and stored while in the cache
constexpr double kAnswerSeconds = 5;       // for a connection, and for the head of an answer
constexpr uint64_t kMostErrorBody = 64 << 10;

Deadline answer_deadline(Deadline deadline) {
  return std::min(deadline, Deadline::after_seconds(kAnswerSeconds));
}

}  // namespace

struct Transfer::Stream {
  std::optional<net::HttpGet> connection;
  net::Url url;
  size_t peer = 0;
  size_t chunk = 0, end = 0;  // indices: being received, and after the last of the span
  uint64_t at = 0;            // next byte of the file
  std::vector<char> buffer = std::vector<char>(kReadBytes);
  Hasher hasher;  // of the bytes of `chunk` before `at`
  bool prefers_growing = false;
  std::optional<size_t> avoid;
  bool mixed = false;  // several peers sent bytes of `chunk`
  bool for_good = false;
  Deadline window = Deadline::never();  // of measuring the rate
  uint64_t in_window = 0;
};

Transfer::Transfer(const Manifest& manifest, VersionWriter& writer, GrowingVersion& growing,
                   Peers& peers, const FetchOptions& options, Deadline deadline)
    : manifest_(manifest),
      writer_(writer),
      growing_(growing),
      peers_(peers),
      options_(options),
      deadline_(deadline),
      total_(manifest.total_bytes()),
      chunks_(chunks_of(manifest)),
      alone_(peers.incomplete().empty()),
      rng_(hash64(options.host_name)),
      wrong_(chunks_.size(), 0) {
  const uint64_t most = alone_ ? kSpanBytes : std::clamp(total_ / kSpans, kChunkBytes, kSpanBytes);
  for (size_t i = 0; i < chunks_.size(); ++i) {
    const bool full =
        spans_.empty() || chunks_[i].end - chunks_[spans_.back().chunks.first].begin > most;
    if (full) spans_.push_back({{i, i}});
    spans_.back().chunks.end = i + 1;
  }
}

Status Transfer::run() {
  const size_t count =
      std::min<size_t>(static_cast<size_t>(std::max(1, options_.connections)), spans_.size());
  const PieceWatch watch(peers_, manifest_, options_.credentials);
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back([this, i] { work(i % 2 == 1); });
  work(false);
  for (std::thread& thread : threads) thread.join();
  return failure_.ok() ? ok_status() : explain(failure_);
}

void Transfer::work(bool prefers_growing) {
  Stream stream;
  stream.prefers_growing = prefers_growing;
  while (const auto span = take(prefers_growing)) {
    const Status status = receive(*span, stream);
    if (!status.ok()) stop(status);
  }
  if (stream.connection) peers_.release(stream.peer);
}

std::optional<Transfer::Span> Transfer::take(bool prefers_growing) {
  std::lock_guard lock(mutex_);
  if (!failure_.ok() || spans_.empty()) return std::nullopt;
  std::vector<ChunkRange> ranges;
  for (const Span& span : spans_) ranges.push_back(span.chunks);
  const auto next = spans_.begin() + static_cast<std::ptrdiff_t>(
                                         peers_.next_of(ranges, prefers_growing, rng_.next_u64()));
  const Span span = *next;
  spans_.erase(next);
  return span;
}

void Transfer::stop(const Status& status) {
  std::lock_guard lock(mutex_);
  if (failure_.ok()) failure_ = status;
}

bool Transfer::stopped() {
  std::lock_guard lock(mutex_);
  return !failure_.ok();
}

Status Transfer::explain(const Status& status) const {
  const double part = static_cast<double>(std::min<uint64_t>(received_, total_)) / kMiB;
  return status.with_context(fmt::format("fetching {} of run '{}' ({:.1f} of {:.1f} MiB arrived)",
                                         to_string(id_of(manifest_)), manifest_.run, part,
                                         static_cast<double>(total_) / kMiB));
}

// Receives a span from as many peers as it takes. Only what ends the whole transfer is an error.
Status Transfer::receive(Span span, Stream& stream) {
  stream.chunk = span.chunks.first;
  stream.end = span.chunks.end;
  stream.at = chunks_[span.chunks.first].begin;
  stream.hasher.reset();
  stream.mixed = false;
  stream.avoid = span.avoid;
  if (stream.connection && (!alone_ || span.avoid == stream.peer)) leave(stream, ok_status());
  while (stream.chunk < stream.end && !stopped()) {
    const Status status = receive_from_one(stream);
    if (status.ok()) continue;
    const bool own = stream.connection.has_value();
    if (status.code() == StatusCode::cancelled || !own) return status;
    if (deadline_.expired()) return timeout_error(status.message());
    leave(stream, status);
  }
  return ok_status();
}

// Receives the rest of the span. After an error the peer is left if there is a connection.
Status Transfer::receive_from_one(Stream& stream) {
  if (stream.connection && !stream.connection->reusable()) leave(stream, ok_status());
  if (!stream.connection) LS_RETURN_IF_ERROR(connect(stream));
  if (stream.connection) LS_RETURN_IF_ERROR(ask(stream));
  while (stream.connection && stream.chunk < stream.end) {
    LS_RETURN_IF_ERROR(read_some(stream));
    if (stopped()) return ok_status();
  }
  return ok_status();
}

// An error means that no peer is left. A peer without a connection is recorded as failed.
Status Transfer::connect(Stream& stream) {
  LS_ASSIGN_OR_RETURN(const Peers::Choice choice,
                      peers_.choose({.chunks = ChunkRange{stream.chunk, stream.end},
                                     .prefers_growing = stream.prefers_growing,
                                     .avoid = stream.avoid},
                                    deadline_));
  auto made = net::HttpGet::connect(choice.url, options_.credentials, answer_deadline(deadline_));
  stream.peer = choice.index;
  stream.url = choice.url;
  stream.for_good = false;
  if (made.ok()) {
    stream.connection.emplace(std::move(made).value());
    stream.connection->wait_while(options_.wanted);
    return ok_status();
  }
  peers_.release(choice.index);
  if (made.status().code() == StatusCode::cancelled) return made.status();
  peers_.failed(choice.index, made.status(), false);
  return ok_status();
}

// Asks for the rest of the span and checks that the answer is just that.
Status Transfer::ask(Stream& stream) {
  const net::ByteRange range{stream.at, chunks_[stream.end - 1].end};
  const std::string path =
      fmt::format("/v1/checkpoints/{}/{}/data", manifest_.run, url_name(id_of(manifest_)));
  const Deadline deadline = answer_deadline(deadline_);
  LS_ASSIGN_OR_RETURN(const net::GetHead head, stream.connection->ask(path, range, deadline));
  stream.mixed = stream.mixed || stream.at > chunks_[stream.chunk].begin;
  stream.window = Deadline::after_seconds(options_.stall_seconds);
  stream.in_window = 0;
  const std::string& server = stream.url.server;
  if (head.status != 206 && head.status != 200) {
    LS_ASSIGN_OR_RETURN(const std::string body,
                        stream.connection->read_all(kMostErrorBody, deadline));
    return net::error_of_get(head.status, body, server);
  }
  const bool fits = head.status == 206 && head.length == range.size() && head.range &&
                    head.range->range == range && head.range->total == total_;
  if (fits) return ok_status();
  stream.for_good = true;
  return corrupt(fmt::format("{}: sent {} bytes (status {}) instead of bytes {} to {} of {}",
                             server, head.length, head.status, range.begin, range.end, total_));
}

Status Transfer::read_some(Stream& stream) {
  const uint64_t most = std::min<uint64_t>(kReadBytes, chunks_[stream.chunk].end - stream.at);
  const auto got = stream.connection->read(std::span(stream.buffer).first(most),
                                           std::min(deadline_, stream.window));
  if (!got.ok() && got.status().code() != StatusCode::timeout) return got.status();
  if (got.ok()) LS_RETURN_IF_ERROR(store(stream, *got));
  if (deadline_.expired()) return timeout_error(stream.url.server + ": not complete in time");
  if (stream.window.expired()) {
    if (static_cast<double>(stream.in_window) < options_.least_rate * options_.stall_seconds)
      return unavailable(fmt::format("{}: stalled: {} bytes in {} s", stream.url.server,
                                     stream.in_window, options_.stall_seconds));
    stream.window = Deadline::after_seconds(options_.stall_seconds);
    stream.in_window = 0;
  }
  return stream.at == chunks_[stream.chunk].end ? finish_chunk(stream) : ok_status();
}

Status Transfer::store(Stream& stream, size_t count) {
  const std::string_view bytes(stream.buffer.data(), count);
  stream.hasher.add(bytes);
  const Status written = writer_.write_at(stream.at, bytes);
  if (!written.ok()) stop(written);  // not the peer's fault
  stream.at += count;
  stream.in_window += count;
  received_ += count;
  return ok_status();
}

// A wrong chunk is fetched again, from another peer if there is one. The connection continues with
// the next chunk.
Status Transfer::finish_chunk(Stream& stream) {
  const size_t index = stream.chunk++;
  const uint64_t sum = stream.hasher.value();
  const bool mixed = std::exchange(stream.mixed, false);
  stream.hasher.reset();
  const Chunk& chunk = chunks_[index];
  if (sum == chunk.checksum) {
    growing_.add(index);
    peers_.succeeded(stream.peer);
    return ok_status();
  }
  const Status status = corrupt(
      fmt::format("{}: sent wrong bytes {} to {} ({}): checksum {:016x} instead of {:016x}{}",
                  stream.url.server, chunk.begin, chunk.end,
                  chunk.tensor.empty() ? "the header" : fmt::format("tensor '{}'", chunk.tensor),
                  sum, chunk.checksum, mixed ? "; a part of them came from another peer" : ""));
  log::warn("weights: {}", status.message());
  std::lock_guard lock(mutex_);
  if (++wrong_[index] > 2 * static_cast<int>(peers_.count())) {
    failure_ = failure_.ok() ? status : failure_;
    return ok_status();
  }
  // What several peers sent does not tell which of them was wrong.
  spans_.push_front({{index, index + 1}, mixed ? std::nullopt : std::optional(stream.peer)});
  return ok_status();
}

void Transfer::leave(Stream& stream, const Status& status) {
  if (!status.ok()) peers_.failed(stream.peer, status, stream.for_good);
  peers_.release(stream.peer);
  stream.connection.reset();
}

}  // namespace longshot::publish
