#include "loop/gang/follow.h"

#include <fmt/format.h>
#include <malloc.h>

#include <utility>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/rng.h"
#include "loop/gang/gang_call.h"
#include "loop/gang/gang_trainer.h"
#include "loop/gang/policy.h"
#include "loop/run_folder/trained_model.h"
#include "model/torch/exceptions.h"
#include "model/torch/runtime.h"

namespace longshot::loop {
namespace {

constexpr const char* kWhere = "a call of trainer 0";

class Follower {
 public:
  Follower(const config::TrainConfig& config, const std::string& config_text,
           std::shared_ptr<train::Gang> gang)
      : base_(config), config_hash_(hash64(config_text)), gang_(std::move(gang)) {}

  Status run() {
    while (true) {
      LS_ASSIGN_OR_RETURN(const Json call, hear(*gang_));
      LS_ASSIGN_OR_RETURN(const auto name, json_get<std::string>(call, "do", kWhere));
      if (name == "end") break;
      const Status done = model::caught([&] { return repeat(name, call); });
      // Process 0 has the same error and decides what follows, unless the gang itself is broken or
      // this process alone has failed, such as by a lack of memory: then the others would wait.
      const bool alone =
          done.code() == StatusCode::unavailable || done.code() == StatusCode::internal;
      if (alone || trainer_ == nullptr) LS_RETURN_IF_ERROR(done);
      if (!done.ok()) log::warn("{}: {}", name, done.message());
    }
    log::info("the run has ended");
    return ok_status();
  }

 private:
  Status repeat(const std::string& name, const Json& call) {
    if (name == "wait") return ok_status();
    if (name == "begin") {
      LS_RETURN_IF_ERROR(train::agree(*gang_, begin(call), "the start of training"));
      LS_RETURN_IF_ERROR(fatal(set_offload()));
      return make_room();
    }
    if (trainer_ == nullptr)
      return corrupt(std::string(kWhere) + ": '" + name + "' before 'begin'");
    LS_RETURN_IF_ERROR(fatal(trainer_->model().onload()));
    const Status done = repeat_with_state(name, call);
    LS_RETURN_IF_ERROR(make_room());
    return done;
  }

  Status repeat_with_state(const std::string& name, const Json& call) {
    if (name == "fit") return fit(call);
    if (name == "phase") return begin_next_phase(call);
    LS_ASSIGN_OR_RETURN(const auto directory, json_get<std::string>(call, "directory", kWhere));
    if (name == "save") return trainer_->model().save_state(directory);
    if (name == "load")
      return train::agree(*gang_, trainer_->model().load_state(directory), "the saved moments");
    return corrupt(std::string(kWhere) + ": unknown call '" + name + "'");
  }

  Status set_offload() {
    const config::HybridOptions& hybrid = config_.hybrid;
    return trainer_->model()
        .set_offload(hybrid.folder.empty() ? config_.trainer.output : hybrid.folder,
                     hybrid.optimizer_offload, hybrid.param_offload)
        .with_context("hybrid.offload_dir");
  }

  // Section [hybrid], while process 0 generates.
  Status make_room() {
    if (!config_.hybrid.on()) return ok_status();
    LS_RETURN_IF_ERROR(fatal(trainer_->model().offload_moments()));
    ::malloc_trim(0);
    LS_RETURN_IF_ERROR(fatal(trainer_->model().offload_weights()));
    if (config_.hybrid.offloads() && !std::exchange(told_of_offload_, true))
      log::info("this trainer's state is in a file while samples are generated");
    return ok_status();
  }

  // An error that process 0 does not have: this process ends, so that the others notice.
  static Status fatal(const Status& status) {
    if (status.ok()) return status;
    return unavailable("this trainer cannot continue: " + status.message());
  }

  // Changes nothing of this process if it fails.
  Status begin(const Json& call) {
    LS_ASSIGN_OR_RETURN(const auto checkpoint, json_get<std::string>(call, "checkpoint", kWhere));
    LS_ASSIGN_OR_RETURN(const auto config_hash, json_get<uint64_t>(call, "config", kWhere));
    LS_ASSIGN_OR_RETURN(const auto checksum, json_get<uint64_t>(call, "weights", kWhere));
    if (config_hash != config_hash_)
      return invalid_argument("this trainer's configuration differs from that of trainer 0");
    LS_ASSIGN_OR_RETURN(base_.trainer.total_iterations,
                        json_get<int64_t>(call, "iterations", kWhere));
    LS_ASSIGN_OR_RETURN(const PhaseState phase, enter_phase(call));
    model::configure_compute(config_.machine.threads);
    LS_ASSIGN_OR_RETURN(LoadedModel loaded, load_policy(config_.model, config_.machine.device,
                                                        checkpoint, config_.trainer.seed));
    if (checksum_of(loaded.weights) != checksum) {
      return invalid_argument(fmt::format("the weights of {} differ from those of trainer 0",
                                          checkpoint.empty() ? config_.model.path : checkpoint));
    }
    LS_ASSIGN_OR_RETURN(trainer_, make_trainer(config_, phase, std::move(loaded.weights), gang_));
    log::info("trainer {} of {} has loaded {}", gang_->rank(), gang_->size(),
              checkpoint.empty() ? config_.model.path : checkpoint);
    return ok_status();
  }

  Result<PhaseState> enter_phase(const Json& call) {
    LS_ASSIGN_OR_RETURN(const Json json, json_get<Json>(call, "phase", kWhere));
    LS_ASSIGN_OR_RETURN(const PhaseState phase, phase_state_from_json(json, kWhere));
    LS_ASSIGN_OR_RETURN(config_, config::config_in_phase(base_, static_cast<size_t>(phase.begun)));
    return phase;
  }

  Status begin_next_phase(const Json& call) {
    LS_ASSIGN_OR_RETURN(const PhaseState phase, enter_phase(call));
    begin_phase(config_, phase, *trainer_);
    return ok_status();
  }

  Status fit(const Json& call) {
    const Stopwatch watch;
    train::UpdateKey key;
    LS_ASSIGN_OR_RETURN(key.version, json_get<int64_t>(call, "version", kWhere));
    LS_ASSIGN_OR_RETURN(key.seed, json_get<uint64_t>(call, "seed", kWhere));
    LS_ASSIGN_OR_RETURN(key.iteration, json_get<int64_t>(call, "iteration", kWhere));
    LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(call, "groups", kWhere));
    std::vector<data::Group> groups;
    for (const Json& json : list) {
      LS_ASSIGN_OR_RETURN(data::Group group, data::group_from_json(json, kWhere));
      groups.push_back(std::move(group));
    }
    LS_RETURN_IF_ERROR(trainer_->fit(groups, key).status());
    log::info("iteration {}: trained in {:.2f} s", key.iteration + 1, watch.seconds());
    return ok_status();
  }

  config::TrainConfig base_;  // before the first phase
  const uint64_t config_hash_;
  const std::shared_ptr<train::Gang> gang_;
  config::TrainConfig config_;  // of the current phase
  bool told_of_offload_ = false;
  std::unique_ptr<train::PolicyTrainer> trainer_;
};

}  // namespace

Status follow(const config::TrainConfig& config, const std::string& config_text,
              const std::shared_ptr<train::Gang>& gang) {
  return Follower(config, config_text, gang).run();
}

}  // namespace longshot::loop
