#include "publish/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "model/format/testing.h"

namespace longshot::publish {
namespace {

using testing::AllOf;
using testing::HasSubstr;

model::Weights tiny_weights() {
  return model::Weights::random(model::tiny_config(), 1, "cpu");
}

TEST(Publisher, HandsTheWeightsThemselvesToEverySinkInOrder) {
  const auto weights = tiny_weights();
  Publisher publisher(4);
  std::vector<std::string> order;
  for (const char* name : {"first", "second"}) {
    publisher.add_sink(name, [&order, &weights, name](const model::WeightsView& view) {
      order.push_back(name);
      EXPECT_EQ(view.version, 5);
      EXPECT_EQ(view.tensors.size(), weights.tensors().size());
      EXPECT_EQ(view.tensors[0].data, weights.tensors()[0].tensor.const_data_ptr<float>());
      return ok_status();
    });
  }
  const auto metrics = publisher.publish(weights);
  ASSERT_TRUE(metrics.ok()) << metrics.status().to_string();
  EXPECT_THAT(order, testing::ElementsAre("first", "second"));
  EXPECT_EQ(publisher.version(), 5);
  EXPECT_EQ(metrics->at("publish/version"), 5);
  EXPECT_EQ(metrics->at("publish/bytes"), 4 * model::parameter_count(weights.config()));
  EXPECT_GE(metrics->at("timing_s/update_weights"), 0);
}

TEST(Publisher, AFailingSinkIsAnErrorThatNamesItAndTheVersionStays) {
  Publisher publisher;
  int reached = 0;
  publisher.add_sink("rollout", [](const auto&) { return unavailable("engine is gone"); });
  publisher.add_sink("other", [&reached](const auto&) {
    ++reached;
    return ok_status();
  });
  const auto result = publisher.publish(tiny_weights());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::unavailable);
  EXPECT_THAT(result.status().message(),
              AllOf(HasSubstr("'rollout'"), HasSubstr("engine is gone")));
  EXPECT_EQ(reached, 0);
  EXPECT_EQ(publisher.version(), 0);
}

// A sink that keeps copies and can corrupt a value on the way.
struct CopyingSink {
  std::map<std::string, std::vector<float>> held;
  std::map<std::string, std::vector<int64_t>> shapes;
  bool damage = false;

  Status take(const model::WeightsView& view) {
    for (const auto& tensor : view.tensors) {
      int64_t count = 1;
      for (const int64_t size : tensor.shape) count *= size;
      held[tensor.name].assign(tensor.data, tensor.data + count);
      shapes[tensor.name] = tensor.shape;
    }
    if (damage) held[view.tensors.back().name][0] += 1;
    return ok_status();
  }
  Result<uint64_t> probe(const std::string& name) {
    return tensor_checksum({name, shapes.at(name), held.at(name).data()});
  }
};

TEST(Publisher, AProbedSinkThatHoldsOtherValuesIsAnErrorThatNamesTheTensor) {
  const auto weights = tiny_weights();
  CopyingSink sink;
  Publisher publisher;
  publisher.add_sink(
      "copy", [&](const auto& view) { return sink.take(view); },
      [&](const auto& name) { return sink.probe(name); });
  ASSERT_TRUE(publisher.publish(weights).ok());
  sink.damage = true;
  const auto result = publisher.publish(weights);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::corrupt);
  EXPECT_THAT(result.status().message(),
              AllOf(HasSubstr("'copy'"), HasSubstr(weights.tensors().back().name)));
  EXPECT_EQ(publisher.version(), 1);
}

TEST(Publisher, TheVersionIsRestored) {
  Publisher publisher;
  publisher.set_version(41);
  ASSERT_TRUE(publisher.publish(tiny_weights()).ok());
  EXPECT_EQ(publisher.version(), 42);
}

}  // namespace
}  // namespace longshot::publish
