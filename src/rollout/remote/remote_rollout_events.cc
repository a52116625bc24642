// Workers that come and go: the events of links, and what the run's folder says of them.
#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "rollout/remote/remote_rollout_impl.h"

namespace longshot::rollout {

// Each of these takes mutex_.

std::vector<RunEvent> RemoteRollout::Impl::take_events() {
  std::lock_guard lock(mutex_);
  const std::deque<RunEvent> events = std::exchange(events_, {});
  return {events.begin(), events.end()};
}

void RemoteRollout::Impl::open(wire::LinkId link, const std::string& address) {
  std::lock_guard lock(mutex_);
  peers_[link].address = address;
}

void RemoteRollout::Impl::forget(wire::LinkId link, const std::string& why) {
  std::lock_guard lock(mutex_);
  const auto it = peers_.find(link);
  if (it == peers_.end()) return;
  if (it->second.admitted) {
    log::info("worker {} at {} has left: {}", it->second.name, it->second.address, why);
    note(RunEventKind::left, link, why);
  }
  peers_.erase(it);
  pool_.leave(link);
  changed_.notify_all();
}

void RemoteRollout::Impl::receive(wire::LinkId link, wire::FromWorker& message) {
  std::lock_guard lock(mutex_);
  const auto it = peers_.find(link);
  if (it == peers_.end()) return;
  note_return(link, it->second);
  const Status sound = std::visit([&](auto& m) { return handle(link, it->second, m); }, message);
  if (!sound.ok()) turn_out(link, sound);
  changed_.notify_all();
}

// From here on the functions require mutex_.

void RemoteRollout::Impl::turn_out(wire::LinkId link, const Status& reason) {
  const auto it = peers_.find(link);
  log::warn("worker {} at {} is turned out: {}", it->second.name, it->second.address,
            reason.message());
  note(RunEventKind::turned_out, link, reason.message());
  peers_.erase(it);
  pool_.leave(link);
  server_->close(link, reason);
}

// Called while the pool still knows the worker's samples.
void RemoteRollout::Impl::note(RunEventKind kind, wire::LinkId link, const std::string& cause) {
  const Peer& peer = peers_.at(link);
  events_.push_back({.time = unix_time(),
                     .kind = kind,
                     .worker = peer.name,
                     .host = peer.host,
                     .address = peer.address,
                     .samples = kind == RunEventKind::back ? 0 : pool_.jobs_of(link),
                     .cause = cause});
  if (events_.size() > kMostEvents) events_.pop_front();
}

void RemoteRollout::Impl::note_silence(wire::LinkId link) {
  Peer& peer = peers_.at(link);
  log::warn("worker {} at {} has been silent for {} s; its samples are given to others as well",
            peer.name, peer.address, options_.silence_seconds);
  note(RunEventKind::silent, link,
       fmt::format("it was not heard of for {} s", options_.silence_seconds));
  peer.silent = true;
}

void RemoteRollout::Impl::note_return(wire::LinkId link, Peer& peer) {
  if (!std::exchange(peer.silent, false)) return;
  log::info("worker {} at {} is heard of again", peer.name, peer.address);
  note(RunEventKind::back, link);
}

}  // namespace longshot::rollout
