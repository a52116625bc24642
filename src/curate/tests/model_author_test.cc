#include "curate/tests/model_author.h"

#include <gtest/gtest.h>

#include "base/os/stop.h"
#include "rollout/fake_runner.h"
#include "tokenizer/testing.h"

namespace longshot::curate {
namespace {

struct Fixture {
  explicit Fixture(double timeout_seconds = 60, int max_tokens = 5) {
    auto runner = std::make_unique<rollout::FakeRunner>(tokenizer->vocab_size(),
                                                        rollout::RunnerLimits{4, 1024});
    this->runner = runner.get();
    auto engine = std::make_unique<rollout::Engine>(std::move(runner), tokenizer.get());
    ModelAuthorOptions options{
        .system = "s", .sampling = {}, .seed = 3, .timeout_seconds = timeout_seconds};
    options.sampling.max_response_length = max_tokens;
    auto worker = std::make_unique<rollout::EngineThread>(std::move(engine));
    this->worker = worker.get();
    author = make_model_author(std::move(worker), *tokenizer, chat_template, options);
  }
  const std::unique_ptr<tokenizer::Tokenizer> tokenizer =
      tokenizer::parse_text(tokenizer::small_bpe().dump()).value();
  const tokenizer::ChatTemplate chat_template = tokenizer::ChatTemplate::of_family("plain").value();
  rollout::FakeRunner* runner;
  rollout::EngineThread* worker;
  std::unique_ptr<Author> author;
};

const std::vector<data::Message> kRequest = {{"user", "hi"}};

TEST(ModelAuthor, GivesTheAnswersText) {
  Fixture fixture;
  fixture.runner->always('a');
  EXPECT_EQ(*fixture.author->write(kRequest, 0), "aaaaa");
}

TEST(ModelAuthor, AttemptsDifferAndAreRepeatable) {
  Fixture fixture(60, 40);
  const std::string first = *fixture.author->write(kRequest, 0);
  EXPECT_NE(*fixture.author->write(kRequest, 1), first);
  EXPECT_EQ(*fixture.author->write(kRequest, 0), first);
}

TEST(ModelAuthor, ARequestWithoutRoomFailsAlone) {
  Fixture fixture;
  const auto refused = fixture.author->write({{"user", std::string(2000, 'x')}}, 0);
  EXPECT_EQ(refused.status().code(), StatusCode::internal);
  EXPECT_TRUE(fixture.author->write(kRequest, 0).ok());
}

TEST(ModelAuthor, DeadlineAndStopEndAnAnswer) {
  Fixture slow(0.0, 900);
  EXPECT_EQ(slow.author->write(kRequest, 0).status().code(), StatusCode::timeout);
  Fixture stopped;
  stopped.worker->pause();  // so that the answer does not come before the stop
  request_stop();
  const auto answer = stopped.author->write(kRequest, 0);
  clear_stop_request();
  EXPECT_EQ(answer.status().code(), StatusCode::cancelled);
}

}  // namespace
}  // namespace longshot::curate
