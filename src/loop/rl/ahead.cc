#include "loop/rl/ahead.h"

#include <utility>

#include "base/run_log/metrics_log.h"
#include "model/torch/exceptions.h"

namespace longshot::loop {

Json to_json(const AheadSamples& ahead) {
  Json samples = Json::array();
  for (const data::Sample& sample : ahead.samples) samples.push_back(data::to_json(sample));
  return {{"samples", std::move(samples)}, {"metrics", metrics_to_json(ahead.metrics)}};
}

Result<AheadSamples> ahead_samples_from_json(const Json& json, const std::string& where) {
  AheadSamples ahead;
  LS_ASSIGN_OR_RETURN(const Json samples, json_get<Json>(json, "samples", where));
  for (const Json& one : samples) {
    LS_ASSIGN_OR_RETURN(data::Sample sample, data::sample_from_json(one, where));
    ahead.samples.push_back(std::move(sample));
  }
  LS_ASSIGN_OR_RETURN(const Json metrics, json_get<Json>(json, "metrics", where));
  LS_ASSIGN_OR_RETURN(ahead.metrics, metrics_from_json(metrics, where));
  return ahead;
}

AheadRollout::~AheadRollout() {
  cancel_ = true;
  if (running_.valid()) running_.wait();
}

void AheadRollout::start(rollout::Generator& generator, std::vector<data::Sample> jobs,
                         rollout::EngineOptions options) {
  options.cancel = &cancel_;
  options.finish_when_stopped = true;
  running_ = std::async(std::launch::async, [&generator, jobs = std::move(jobs),
                                             options = std::move(options)]() mutable {
    Result<AheadSamples> out = internal_error("the rollout did not run");
    const Status done = model::caught([&]() -> Status {
      LS_ASSIGN_OR_RETURN(auto samples, generator.generate(std::move(jobs), options, nullptr));
      out = AheadSamples{std::move(samples), generator.metrics()};
      return ok_status();
    });
    return done.ok() ? std::move(out) : Result<AheadSamples>(done);
  });
}

Result<AheadSamples> AheadRollout::finish() {
  return running_.get();
}

}  // namespace longshot::loop
