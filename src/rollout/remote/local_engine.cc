#include "rollout/remote/local_engine.h"

#include <malloc.h>

#include <utility>

namespace longshot::rollout {

Status LocalEngine::load(const Json& settings, int64_t version, const Json& source) {
  LS_ASSIGN_OR_RETURN(engine_, load_(settings, version, source));
  return ok_status();
}

void LocalEngine::release() {
  if (engine_ == nullptr) return;
  std::exchange(engine_, nullptr)->release();
  ::malloc_trim(0);
}

Status LocalEngine::add(wire::Job job, const EngineOptions& options) {
  if (engine_ == nullptr) return invalid_argument("it has no weights yet");
  Request request{.sample = std::move(job.sample),
                  .sampling = options.sampling,
                  .repetition = options.repetition,
                  .forced = std::move(job.forced),
                  .segment_tokens = job.segment_tokens};
  request.sampling.max_response_length = job.max_response_length;
  LS_ASSIGN_OR_RETURN(const int64_t id, engine_->add(std::move(request)));
  speculate_ = options.speculation == Speculation::ngram;
  id_of_[job.id] = id;
  job_of_[id] = job.id;
  return ok_status();
}

void LocalEngine::drop(uint64_t job) {
  const auto it = id_of_.find(job);
  if (it == id_of_.end()) return;
  (void)engine_->abort(it->second, data::FinishReason::aborted);
  job_of_.erase(it->second);
  id_of_.erase(it);
}

Status LocalEngine::advance(const JobEvents& events) {
  if (engine_ == nullptr) return ok_status();
  StepOptions options;
  options.speculate = speculate_;
  options.on_token = [&](int64_t id, const Choice& choice) {
    events.token(job_of_.at(id), choice.token, choice.logprob);
    return true;
  };
  const Status done = engine_->step(options);
  if (!done.ok()) {  // others could not execute the job either
    if (!job_of_.empty()) events.refused(job_of_.begin()->second, done.message());
    return done;
  }
  for (Finished& finished : engine_->take_finished()) {
    const auto it = job_of_.find(finished.id);
    const uint64_t job = it->second;
    id_of_.erase(job);
    job_of_.erase(it);
    events.ended(job, finished.sample.finish, std::move(finished.sample.text));
  }
  return ok_status();
}

}  // namespace longshot::rollout
