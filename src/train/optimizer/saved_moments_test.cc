// Moments that one number of processes writes and another reads.
#include "train/optimizer/saved_moments.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "base/os/fs.h"
#include "base/rng.h"
#include "train/optimizer/optimizer.h"
#include "train/shard/testing.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

using testing::HasSubstr;

// Has weights below and above the size from which moments can have 8 bits.
model::Weights wide_weights() {
  return model::Weights::random(model::tiny_config("llama", {.vocab = 32,
                                                             .hidden = 64,
                                                             .intermediate = 160,
                                                             .heads = 4,
                                                             .kv_heads = 2,
                                                             .head_dim = 16}),
                                1, "cpu");
}

void random_gradients(model::Weights& weights, uint64_t seed) {
  CounterRng rng(seed);
  for (auto& [name, tensor] : weights.tensors()) {
    at::Tensor gradient = tensor.detach().clone();
    float* values = gradient.mutable_data_ptr<float>();
    for (int64_t i = 0; i < gradient.numel(); ++i)
      values[i] = static_cast<float>(rng.next_below(2001)) / 1000.0F - 1;
    tensor.mutable_grad() = gradient;
  }
}

// Steps on 1 of `size` processes. Only process 0 contributes gradients, so that the sum is the same
// for every size.
void take_steps(AdamW& adam, model::Weights& weights, int rank, uint64_t first, uint64_t last) {
  for (uint64_t seed = first; seed <= last; ++seed) {
    weights.zero_grad();
    if (rank == 0) random_gradients(weights, seed);
    ASSERT_TRUE(adam.step(weights).ok());
  }
}

struct Folder {
  Folder() { std::filesystem::remove_all(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  const std::filesystem::path path = scratch_directory("longshot_saved_moments_test");
};

OptimizerOptions options(NumberFormat format) {
  OptimizerOptions o = optimizer();
  o.moments = format;
  return o;
}

Lanes lanes(const std::shared_ptr<Gang>& gang) {
  return {.count = 4, .gang = gang};
}

TEST(SavedMoments, AnyNumberOfProcessesContinuesBitForBit) {
  for (const NumberFormat format : {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8}) {
    model::Weights start = wide_weights(), expected = wide_weights();
    AdamW whole(expected, options(format), 100, lanes(alone()));
    take_steps(whole, expected, 0, 1, 6);
    for (const int writers : {1, 2, 4}) {
      const Folder folder;
      run_gang(writers, [&](const std::shared_ptr<Gang>& gang) {
        model::Weights weights = wide_weights();
        AdamW adam(weights, options(format), 100, lanes(gang));
        take_steps(adam, weights, gang->rank(), 1, 3);
        ASSERT_TRUE(adam.save(folder.path.string()).ok());
        if (gang->rank() == 0) start = weights.clone();
      });
      for (const int readers : {1, 2, 4}) {
        run_gang(readers, [&](const std::shared_ptr<Gang>& gang) {
          model::Weights weights = start.clone();
          AdamW adam(weights, options(format), 100, lanes(gang));
          const Status loaded = adam.load(folder.path.string());
          ASSERT_TRUE(loaded.ok()) << loaded.to_string();
          take_steps(adam, weights, gang->rank(), 4, 6);
          EXPECT_TRUE(equal(weights, expected)) << name_of(format) << " " << writers << readers;
        });
      }
    }
  }
}

TEST(SavedMoments, AMissingShardIsAnErrorThatNamesTheFile) {
  const Folder folder;
  run_gang(2, [&](const std::shared_ptr<Gang>& gang) {
    AdamW adam(wide_weights(), optimizer(), 100, lanes(gang));
    ASSERT_TRUE(adam.save(folder.path.string()).ok());
  });
  AdamW adam(wide_weights(), optimizer(), 100, lanes(alone()));
  ASSERT_TRUE(adam.load(folder.path.string()).ok());
  const auto state = folder.path / "trainer.json";
  Json counters = read_json_file(state.string()).value();
  Json only_one = counters;
  only_one["shards"].erase(1);
  ASSERT_TRUE(write_file_durable(state.string(), dump_json(only_one)).ok());
  EXPECT_THAT(adam.load(folder.path.string()).message(), HasSubstr("elements are saved"));
  counters["shards"][0]["pieces"][0]["weight"] = "elsewhere";
  ASSERT_TRUE(write_file_durable(state.string(), dump_json(counters)).ok());
  EXPECT_THAT(adam.load(folder.path.string()).message(), HasSubstr("elsewhere"));
  std::filesystem::remove(folder.path / "optimizer-00002-of-00002.safetensors");
  counters["shards"].erase(0);
  ASSERT_TRUE(write_file_durable(state.string(), dump_json(counters)).ok());
  EXPECT_THAT(adam.load(folder.path.string()).message(),
              HasSubstr("optimizer-00002-of-00002.safetensors"));
}

TEST(SavedMoments, AProcessThatCannotWriteFailsTheSaveOfAll) {
  const Folder folder;
  run_gang(2, [&](const std::shared_ptr<Gang>& gang) {
    AdamW adam(wide_weights(), optimizer(), 100, lanes(gang));
    const std::string there = gang->rank() == 1 ? "/proc/no/such/folder" : folder.path.string();
    const Status saved = adam.save(there);
    ASSERT_FALSE(saved.ok());
    EXPECT_THAT(saved.message(),
                HasSubstr(gang->rank() == 1 ? "/proc/no" : "trainer 1 of 2 failed"));
  });
  EXPECT_FALSE(std::filesystem::exists(folder.path / "trainer.json"));
}

}  // namespace
}  // namespace longshot::train
