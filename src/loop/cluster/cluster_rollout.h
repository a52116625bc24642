#pragma once
// The rollout of a run with other processes: leads the run in the cluster's directory, publishes
// the weights through the checkpoint engine, and hands the jobs to the workers that have joined.
//
// Keys of the directory, below the run: coordinator/leader and coordinator/epoch (the election),
// coordinator/address (where workers connect), weights/current (the version in force), hosts/URL
// (a worker that serves weights to others), complete (the run has reached its end).

#include <memory>

#include "config/config.h"
#include "model/format/config.h"
#include "rollout/engine.h"
#include "tokenizer/tokenizer.h"

namespace longshot::loop {

// The Generator of a run with cluster.url. `limits`: those that each worker's engine gets.
// `tokenizer` is borrowed. Waits until this process leads the run. Errors: another coordinator
// leads it; the directory cannot be reached; an address cannot be bound; those of a WeightStore.
Result<std::unique_ptr<rollout::Generator>> make_cluster_rollout(
    const config::TrainConfig& config, const rollout::RunnerLimits& limits,
    const model::ModelConfig& model, const tokenizer::Tokenizer& tokenizer);

// For --dry-run: an error if the directory of cluster.url cannot be reached.
Status check_cluster(const config::ClusterOptions& options);

}  // namespace longshot::loop
