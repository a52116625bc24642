#include "wire/convert.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace longshot::wire {
namespace {

// Random values of all fields, empty lists and bytes that are not UTF-8 included.
Job random_job(CounterRng& rng) {
  Job job;
  const auto number = [&](uint64_t below) { return static_cast<int>(rng.next_below(below)); };
  job.id = rng.next_u64();
  job.sample.prompt_id = "p\xff" + std::to_string(number(100));
  job.sample.index = static_cast<uint32_t>(number(16));
  job.sample.seed = rng.next_u64();
  for (int i = number(9); i > 0; --i) job.sample.prompt_tokens.push_back(number(1 << 20));
  for (int i = number(9); i > 0; --i) {
    job.sample.tokens.push_back(number(1 << 20));
    job.sample.logprobs.push_back(-static_cast<float>(rng.next_double()));
  }
  const int end = static_cast<int>(job.sample.tokens.size());
  if (end > 0)
    job.sample.segments.push_back({0, end, number(1000), static_cast<data::EngineKind>(end % 3)});
  job.sample.finish = data::FinishReason::partial;
  job.max_response_length = number(1 << 20);
  job.segment_tokens = number(3);
  for (int i = number(4); i > 0; --i) job.forced.push_back(number(1 << 20));
  return job;
}

template <typename Message, typename Any>
Message returned(const Any& message) {
  auto proto = to_proto(message);
  const std::string bytes = proto.SerializeAsString();
  decltype(proto) read;
  EXPECT_TRUE(read.ParseFromString(bytes));
  const auto back = from_proto(read);
  EXPECT_TRUE(back.ok()) << back.status().message();
  return std::get<Message>(*back);
}

void expect_equal(const Job& a, const Job& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(data::to_json(a.sample), data::to_json(b.sample));
  EXPECT_EQ(a.max_response_length, b.max_response_length);
  EXPECT_EQ(a.segment_tokens, b.segment_tokens);
  EXPECT_EQ(a.forced, b.forced);
}

TEST(Convert, JobsReturnAsTheyWere) {
  CounterRng rng(1);
  for (int round = 0; round < 200; ++round) {
    Jobs jobs{.round = round, .sampling = {{"temperature", 0.1 + round}}, .jobs = {}};
    for (int i = static_cast<int>(rng.next_below(4)); i > 0; --i)
      jobs.jobs.push_back(random_job(rng));
    const Jobs back = returned<Jobs>(ToWorker(jobs));
    EXPECT_EQ(back.round, jobs.round);
    EXPECT_EQ(back.sampling, jobs.sampling);
    ASSERT_EQ(back.jobs.size(), jobs.jobs.size());
    for (size_t i = 0; i < jobs.jobs.size(); ++i) expect_equal(back.jobs[i], jobs.jobs[i]);
  }
}

TEST(Convert, PiecesReturnAsTheyWere) {
  Piece piece{.job = 7,
              .begin = 3,
              .tokens = {1, 2},
              .logprobs = {-0.5f, -0.25f},
              .version = 4,
              .finished = false,
              .finish = data::FinishReason::partial,
              .text = ""};
  EXPECT_EQ(returned<Piece>(FromWorker(piece)), piece);
  piece.finished = true;
  piece.text = "half a character \xe2\x82";
  for (const auto reason : {data::FinishReason::stop, data::FinishReason::partial,
                            data::FinishReason::length, data::FinishReason::repetition}) {
    piece.finish = reason;
    EXPECT_EQ(returned<Piece>(FromWorker(piece)), piece);
  }
}

TEST(Convert, OtherMessagesReturnAsTheyWere) {
  const Json json = {{"a", 1}, {"b", {1.5, "x"}}};
  EXPECT_EQ(returned<Welcome>(ToWorker(Welcome{json})).settings, json);
  EXPECT_EQ(returned<NewWeights>(ToWorker(NewWeights{12, json})).source, json);
  EXPECT_EQ(returned<NewWeights>(ToWorker(NewWeights{12, json})).version, 12);
  EXPECT_EQ(returned<Drop>(ToWorker(Drop{{1, 2}})).ids, (std::vector<uint64_t>{1, 2}));
  (void)returned<Release>(ToWorker(Release{}));
  EXPECT_EQ(returned<End>(ToWorker(End{"done"})).reason, "done");
  EXPECT_EQ(returned<Hello>(FromWorker(Hello{json})).who, json);
  EXPECT_EQ(returned<Ready>(FromWorker(Ready{5})).version, 5);
  EXPECT_EQ(returned<Report>(FromWorker(Report{json})).figures, json);
  EXPECT_EQ(returned<JobError>(FromWorker(JobError{3, "too long"})).reason, "too long");
  // What a server says may be cut within a character.
  EXPECT_EQ(returned<JobError>(FromWorker(JobError{3, "\xe2\x82"})).reason, "\xe2\x82");
}

TEST(Convert, UnsoundMessagesAreErrors) {
  EXPECT_EQ(from_proto(pb::ToWorker()).status().code(), StatusCode::corrupt);
  EXPECT_EQ(from_proto(pb::FromWorker()).status().code(), StatusCode::corrupt);
  pb::FromWorker piece;
  piece.mutable_piece()->add_tokens(1);
  EXPECT_EQ(from_proto(piece).status().code(), StatusCode::corrupt);
  piece.mutable_piece()->add_logprobs(-1);
  EXPECT_TRUE(from_proto(piece).ok());
  piece.mutable_piece()->set_finish("tired");
  EXPECT_EQ(from_proto(piece).status().code(), StatusCode::corrupt);
  pb::ToWorker welcome;
  welcome.set_welcome("{");
  EXPECT_FALSE(from_proto(welcome).ok());
}

}  // namespace
}  // namespace longshot::wire
