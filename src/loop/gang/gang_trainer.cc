#include "loop/gang/gang_trainer.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "loop/gang/gang_call.h"
#include "loop/gang/policy.h"

namespace longshot::loop {
namespace {

// While process 0 generates, the others wait for its next call. Each of their calls has a deadline
// of minutes, so this call keeps them waiting. It fails soon after another process has ended, and
// once one has given no sign of life for too long.
constexpr std::chrono::seconds kAwakeEvery{5};

}  // namespace

uint64_t checksum_of(const model::Weights& weights) {
  uint64_t sum = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
    const std::string_view bytes(static_cast<const char*>(host.const_data_ptr()), host.nbytes());
    sum = hash_combine(sum, hash_combine(hash64(name), hash64(bytes)));
  }
  return sum;
}

GangTrainer::GangTrainer(std::unique_ptr<train::PolicyTrainer> trainer,
                         std::shared_ptr<train::Gang> gang)
    : trainer_(std::move(trainer)), gang_(std::move(gang)) {
  if (!alone()) awake_ = std::jthread([this](const std::stop_token& stop) { keep_awake(stop); });
}

Result<std::unique_ptr<GangTrainer>> GangTrainer::begin(
    std::unique_ptr<train::PolicyTrainer> trainer, std::shared_ptr<train::Gang> gang,
    const std::string& config_text, const std::string& checkpoint, const PhaseState& phase,
    int64_t iterations) {
  std::unique_ptr<GangTrainer> out(new GangTrainer(std::move(trainer), std::move(gang)));
  if (out->alone()) return out;
  std::lock_guard lock(out->mutex_);
  LS_RETURN_IF_ERROR(out->tell_others({{"do", "begin"},
                                       {"checkpoint", checkpoint},
                                       {"phase", to_json(phase)},
                                       {"iterations", iterations},
                                       {"config", hash64(config_text)},
                                       {"weights", checksum_of(out->model().weights())}}));
  LS_RETURN_IF_ERROR(train::agree(*out->gang_, ok_status(), "the start of training"));
  return out;
}

GangTrainer::~GangTrainer() {
  awake_ = {};
  (void)tell_others({{"do", "end"}});  // without effect if they have ended already
}

Status GangTrainer::tell_others(const Json& call) {
  return alone() ? ok_status() : tell(*gang_, call);
}

void GangTrainer::keep_awake(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, kAwakeEvery, [] { return false; });
    if (stop.stop_requested()) return;
    const Status told = tell_others({{"do", "wait"}});
    if (told.ok()) continue;
    log::warn("{}", told.message());
    return request_stop();  // the save that follows fails, and the process ends with its error
  }
}

Result<Metrics> GangTrainer::fit(const std::vector<data::Group>& groups,
                                 const train::UpdateKey& key) {
  std::lock_guard lock(mutex_);
  if (!alone()) {
    Json all = Json::array();
    for (const data::Group& group : groups) all.push_back(data::to_json(group));
    LS_RETURN_IF_ERROR(tell_others({{"do", "fit"},
                                    {"groups", std::move(all)},
                                    {"version", key.version},
                                    {"seed", key.seed},
                                    {"iteration", key.iteration}}));
  }
  return trainer_->fit(groups, key);
}

Status GangTrainer::save_state(const std::string& directory) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(tell_others({{"do", "save"}, {"directory", directory}}));
  return trainer_->model().save_state(directory);
}

Status GangTrainer::load_state(const std::string& directory) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(tell_others({{"do", "load"}, {"directory", directory}}));
  return train::agree(*gang_, trainer_->model().load_state(directory), "the saved moments");
}

Status GangTrainer::begin_phase(const config::TrainConfig& config, const PhaseState& phase) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(tell_others({{"do", "phase"}, {"phase", to_json(phase)}}));
  loop::begin_phase(config, phase, *trainer_);
  return ok_status();
}

}  // namespace longshot::loop
