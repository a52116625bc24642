#include "curate/tests/model_author.h"

#include <chrono>
#include <future>

#include "base/os/stop.h"
#include "rollout/jobs.h"

namespace longshot::curate {
namespace {

class ModelAuthor : public Author {
 public:
  ModelAuthor(std::unique_ptr<rollout::EngineThread> worker, const tokenizer::Tokenizer& tokenizer,
              const tokenizer::ChatTemplate& chat_template, const ModelAuthorOptions& options)
      : tokenizer_(tokenizer),
        chat_template_(chat_template),
        options_(options),
        worker_(std::move(worker)) {}

  Result<std::string> write(const std::vector<data::Message>& request, int attempt) override {
    LS_ASSIGN_OR_RETURN(auto tokens,
                        encode_request(tokenizer_, chat_template_, options_.system, request));
    auto ended = std::make_shared<std::promise<rollout::Outcome>>();
    auto outcome = ended->get_future();
    const auto ids = worker_->submit({job(std::move(tokens), attempt, std::move(ended))});
    // A refusal of one request says nothing about other requests.
    if (!ids.ok()) return internal_error(ids.status().message());
    while (outcome.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      if (stop_requested()) worker_->abort(ids->front(), "stopped");
    }
    rollout::Outcome done = outcome.get();
    LS_RETURN_IF_ERROR(done.status);
    return std::move(done.sample.text);
  }

 private:
  rollout::Job job(std::vector<data::TokenId> tokens, int attempt,
                   std::shared_ptr<std::promise<rollout::Outcome>> ended) const {
    rollout::Job job;
    data::Sample& sample = job.request.sample;
    sample.prompt_id = rollout::content_id(tokens);
    sample.index = static_cast<uint32_t>(attempt);
    sample.seed = options_.seed;
    sample.prompt_tokens = std::move(tokens);
    job.request.sampling = options_.sampling;
    job.deadline = Deadline::after_seconds(options_.timeout_seconds);
    job.on_finished = [ended = std::move(ended)](rollout::Outcome outcome) {
      ended->set_value(std::move(outcome));
    };
    return job;
  }

  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatTemplate& chat_template_;
  const ModelAuthorOptions options_;
  const std::unique_ptr<rollout::EngineThread> worker_;
};

}  // namespace

Result<std::vector<data::TokenId>> encode_request(const tokenizer::Tokenizer& tokenizer,
                                                  const tokenizer::ChatTemplate& chat_template,
                                                  const std::string& system,
                                                  std::vector<data::Message> request) {
  if (!system.empty()) request.insert(request.begin(), {"system", system});
  return chat_template.encode(tokenizer, request, true);
}

std::unique_ptr<Author> make_model_author(std::unique_ptr<rollout::EngineThread> worker,
                                          const tokenizer::Tokenizer& tokenizer,
                                          const tokenizer::ChatTemplate& chat_template,
                                          const ModelAuthorOptions& options) {
  return std::make_unique<ModelAuthor>(std::move(worker), tokenizer, chat_template, options);
}

}  // namespace longshot::curate
