#include "publish/engine/piece_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/os/clock.h"

namespace longshot::publish {
namespace {

constexpr std::chrono::duration<double> kFirstPause{0.1}, kLongestPause{2};
constexpr double kPauseGrowth = 1.1;
constexpr double kAnswerSeconds = 1;

}  // namespace

PieceWatch::PieceWatch(Peers& peers, const Manifest& manifest, const net::Credentials& credentials)
    : peers_(peers),
      manifest_(manifest),
      credentials_(credentials),
      chunks_(chunks_of(manifest).size()) {
  if (!peers.incomplete().empty())
    thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void PieceWatch::watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  for (auto pause = kFirstPause; !stop.stop_requested();
       pause = std::min(kPauseGrowth * pause, kLongestPause)) {
    wake.wait_for(lock, stop, pause, [] { return false; });
    ask_all(stop);
  }
}

// A peer that does not answer, or has nothing of the version yet, is asked again.
void PieceWatch::ask_all(const std::stop_token& stop) {
  for (const Peers::Choice& peer : peers_.incomplete()) {
    if (stop.stop_requested()) return;
    auto pieces = fetch_pieces(peer.url, manifest_, chunks_, credentials_,
                               Deadline::after_seconds(kAnswerSeconds));
    if (pieces.ok()) peers_.set_pieces(peer.index, std::move(pieces).value());
  }
}

}  // namespace longshot::publish
