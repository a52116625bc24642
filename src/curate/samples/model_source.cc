#include "curate/samples/model_source.h"

#include <chrono>
#include <future>

#include "base/os/stop.h"

namespace longshot::curate {
namespace {

class ModelSource : public SampleSource {
 public:
  ModelSource(std::unique_ptr<rollout::EngineThread> engine, const ModelSourceOptions& options)
      : options_(options), engine_(std::move(engine)) {}

  std::vector<Response> ask(const data::Prompt& prompt,
                            const std::vector<uint32_t>& indices) override {
    std::vector<std::future<rollout::Outcome>> outcomes;
    std::vector<rollout::Job> jobs;
    for (const uint32_t index : indices) {
      auto ended = std::make_shared<std::promise<rollout::Outcome>>();
      outcomes.push_back(ended->get_future());
      jobs.push_back(job(prompt, index, std::move(ended)));
    }
    const auto ids = engine_->submit(std::move(jobs));
    if (!ids.ok()) return std::vector<Response>(indices.size(), Response{ids.status(), {}, 0});
    std::vector<Response> responses;
    for (auto& outcome : outcomes) responses.push_back(wait(outcome, *ids));
    return responses;
  }

 private:
  rollout::Job job(const data::Prompt& prompt, uint32_t index,
                   std::shared_ptr<std::promise<rollout::Outcome>> ended) const {
    rollout::Job job;
    data::Sample& sample = job.request.sample;
    sample.prompt_id = prompt.id;
    sample.index = index;
    sample.seed = options_.seed;
    sample.prompt_tokens = prompt.tokens;
    job.request.sampling = options_.sampling;
    job.on_finished = [ended = std::move(ended)](rollout::Outcome outcome) {
      ended->set_value(std::move(outcome));
    };
    return job;
  }

  Response wait(std::future<rollout::Outcome>& outcome, const std::vector<int64_t>& ids) {
    while (outcome.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      if (!stop_requested()) continue;
      for (const int64_t id : ids) engine_->abort(id, "stopped");
    }
    rollout::Outcome done = outcome.get();
    const auto tokens = static_cast<int64_t>(done.sample.tokens.size());
    return {std::move(done.status), std::move(done.sample), tokens};
  }

  const ModelSourceOptions options_;
  const std::unique_ptr<rollout::EngineThread> engine_;
};

}  // namespace

std::unique_ptr<SampleSource> make_model_source(std::unique_ptr<rollout::EngineThread> engine,
                                                const ModelSourceOptions& options) {
  return std::make_unique<ModelSource>(std::move(engine), options);
}

}  // namespace longshot::curate
