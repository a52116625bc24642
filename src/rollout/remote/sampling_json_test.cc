#include "rollout/remote/sampling_json.h"

#include <gtest/gtest.h>

namespace longshot::rollout {
namespace {

TEST(SamplingJson, EveryOptionReturns) {
  EngineOptions o;
  o.sampling.temperature = 0.1 + 0.2;  // not a short decimal
  o.sampling.top_p = 0.9;
  o.sampling.top_k = 40;
  o.sampling.min_p = 0.01;
  o.sampling.stop_tokens = {2, 7};
  o.sampling.stop_strings = {"\n\n", "Ω"};
  o.repetition = {.enabled = false, .max_period = 3, .min_repeats = 4, .min_tokens = 5};
  o.speculation = Speculation::ngram;
  const Json json = sampling_to_json(o);
  const EngineOptions back = *sampling_from_json(json);
  EXPECT_EQ(back.sampling.temperature, o.sampling.temperature);
  EXPECT_EQ(back.sampling.stop_strings, o.sampling.stop_strings);
  EXPECT_EQ(sampling_to_json(back), json);
  EXPECT_NE(sampling_to_json(EngineOptions()), json);
}

TEST(SamplingJson, AMissingMemberIsNamed) {
  Json json = sampling_to_json(EngineOptions());
  for (const char* member : {"temperature", "stop_tokens", "repetition", "speculation"}) {
    Json less = json;
    less.erase(member);
    EXPECT_NE(sampling_from_json(less).status().message().find(member), std::string::npos);
  }
  json["speculation"] = "guesswork";
  EXPECT_FALSE(sampling_from_json(json).ok());
}

}  // namespace
}  // namespace longshot::rollout
