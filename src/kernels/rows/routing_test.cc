#include "kernels/rows/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace longshot::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

// softmax = 1/8, 2/8, 5/8; and 4/8, 3/8, 1/8.
const std::vector<float> kLogits = {std::log(1.0f), std::log(2.0f), std::log(5.0f),
                                    std::log(4.0f), std::log(3.0f), std::log(1.0f)};

TEST(Routing, ByHand) {
  const Routing plain = route({3, 2, false}, {kLogits.data(), 3}, 2);
  EXPECT_THAT(plain.begin, ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(plain.token, ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(plain.entry, ElementsAre(1, 3, 0, 2));
  EXPECT_THAT(plain.weight, ElementsAre(FloatEq(4.0f / 8), FloatEq(2.0f / 8), FloatEq(3.0f / 8),
                                        FloatEq(5.0f / 8)));
  const Routing normalized = route({3, 2, true}, {kLogits.data(), 3}, 2);
  EXPECT_THAT(normalized.token, ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(normalized.weight, ElementsAre(FloatEq(4.0f / 7), FloatEq(2.0f / 7),
                                             FloatEq(3.0f / 7), FloatEq(5.0f / 7)));
}

TEST(Routing, TheFirstOfEqualExpertsIsChosen) {
  const std::vector<float> logits = {0, 1, 1, 1};
  const Routing routing = route({4, 2, true}, {logits.data(), 4}, 1);
  EXPECT_THAT(routing.begin, ElementsAre(0, 0, 1, 2, 2));
}

TEST(Routing, OneExpertForEveryToken) {
  const Routing routing = route({3, 1, true}, {kLogits.data(), 3}, 2);
  EXPECT_THAT(routing.weight, ElementsAre(1, 1));
  std::vector<float> gradient(6, -1);
  route_backward({3, 1, true}, routing, std::vector<float>{3, 4}, 2, {gradient.data(), 3});
  for (const float value : gradient) EXPECT_NEAR(value, 0, 1e-7);  // the weight is always 1
}

// The gradient against differences of the weights, in double and with the choice held fixed.
TEST(Routing, GradientEqualsDifferences) {
  constexpr int kRows = 20, kExperts = 7, kChosen = 3;
  for (const bool normalized : {true, false}) {
    CounterRng rng(5);
    std::vector<float> logits(kRows * kExperts), dweights(kRows * kChosen);
    for (auto* values : {&logits, &dweights}) {
      for (float& v : *values) v = static_cast<float>(rng.next_normal());
    }
    const ExpertChoice choice{kExperts, kChosen, normalized};
    const Routing routing = route(choice, {logits.data(), kExperts}, kRows);
    std::vector<float> gradient(logits.size());
    route_backward(choice, routing, dweights, kRows, {gradient.data(), kExperts});
    const auto loss = [&](int row, int changed, double by) {
      double p[kExperts], sum = 0, chosen = 0, total = 0;
      for (int e = 0; e < kExperts; ++e)
        sum += p[e] = std::exp(double{logits[row * kExperts + e]} + (e == changed ? by : 0));
      const auto each = [&](const auto& body) {
        for (int e = 0; e < kExperts; ++e) {
          for (int64_t i = routing.begin[e]; i < routing.begin[e + 1]; ++i)
            if (routing.token[i] == row) body(p[e] / sum, dweights[i]);
        }
      };
      each([&](double weight, double) { chosen += weight; });
      each([&](double weight, double dweight) {
        total += dweight * (normalized ? weight / chosen : weight);
      });
      return total;
    };
    double largest = 0;
    for (int row = 0; row < kRows; ++row) {
      for (int e = 0; e < kExperts; ++e) {
        const double expected = (loss(row, e, 1e-5) - loss(row, e, -1e-5)) / 2e-5;
        largest = std::max(largest, std::abs(expected - gradient[row * kExperts + e]));
      }
    }
    printf("largest difference of a gradient: %.1e\n", largest);
    EXPECT_LT(largest, 1e-6);
  }
}

}  // namespace
}  // namespace longshot::kernels
