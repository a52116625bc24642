#include "publish/engine/weights_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/format/float_convert.h"
#include "publish/engine/delta.h"
#include "publish/engine/testing.h"

namespace longshot::publish {
namespace {

using testing::HasSubstr;

// A model whose embedding has several chunks.
struct Model {
  explicit Model(uint64_t seed, int vocab = 3000) {
    config = model::tiny_config("qwen3", {.vocab = vocab, .hidden = 512, .intermediate = 16});
    tensors = model::random_weights(config, seed);
  }
  model::WeightsView view(int64_t version) const {
    model::WeightsView view = model::view_of(config, tensors);
    view.version = version;
    return view;
  }
  model::ModelConfig config;
  std::vector<model::HostTensor> tensors;
};

TEST(EngineSink, TheViewComesBackBitForBitWithoutACopy) {
  const Model model(1);
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  EngineSink sink(
      *store,
      {.dtype = model::Dtype::f32, .epoch = 3, .files = {{"tokenizer.json", "{}"}}, .threads = 2});
  const Status status = sink.sink()(model.view(5));
  ASSERT_TRUE(status.ok()) << status.to_string();
  ThreadPool pool(2);
  const auto weights = open_weights(store->latest(), pool);
  ASSERT_TRUE(weights.ok()) << weights.status().to_string();
  EXPECT_EQ(weights->view.version, 5);
  EXPECT_EQ(weights->view.config.model_type, "qwen3");
  EXPECT_EQ(weights->view.config.eos_token_ids, model.config.eos_token_ids);
  EXPECT_EQ(weights->version->manifest().epoch, 3);
  EXPECT_EQ(weights->version->file("tokenizer.json").value(), "{}");
  const std::string_view mapped = weights->version->bytes();
  ASSERT_EQ(weights->view.tensors.size(), model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const auto& held = weights->view.tensors[i];
    const auto& given = model.tensors[i];
    EXPECT_EQ(held.name, given.name);
    EXPECT_EQ(held.shape, given.shape);
    EXPECT_EQ(std::memcmp(held.data, given.data.data(), given.data.size() * 4), 0);
    const auto* at = reinterpret_cast<const char*>(held.data);
    EXPECT_TRUE(at >= mapped.data() && at < mapped.data() + mapped.size());
  }
}

TEST(EngineSink, ChecksumsAreThoseOfTheBytes) {
  const Model model(2);
  for (const auto dtype : {model::Dtype::f32, model::Dtype::bf16}) {
    const MemoryFolder folder;
    const auto store = store_in(folder.path());
    EngineSink sink(*store, {.dtype = dtype, .files = {}, .threads = 3});
    const Held held = sink.write(model.view(1)).value();
    size_t several = 0;
    for (const Chunk& chunk : chunks_of(held->manifest()))
      EXPECT_EQ(checksum(held->bytes().substr(chunk.begin, chunk.end - chunk.begin)),
                chunk.checksum)
          << chunk.tensor;
    for (const ManifestTensor& tensor : held->manifest().tensors) {
      EXPECT_EQ(checksum(held->tensor(tensor)), tensor.checksum);
      several += tensor.chunks.size() > 1;
    }
    EXPECT_EQ(several, dtype == model::Dtype::f32 ? 2u : 0u);
  }
}

TEST(EngineSink, Bf16IsRoundedToNearestEvenAndExpanded) {
  const Model model(3);
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  EngineSink sink(*store, {.dtype = model::Dtype::bf16, .files = {}});
  const Held held = sink.write(model.view(1)).value();
  ThreadPool pool(1);
  const auto weights = open_weights(held, pool).value();
  EXPECT_EQ(weights.view.config.dtype, "bfloat16");
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    for (size_t k = 0; k < model.tensors[i].data.size(); ++k) {
      const float value = model.tensors[i].data[k];
      ASSERT_EQ(weights.view.tensors[i].data[k], model::bf16_to_f32(model::f32_to_bf16(value)));
    }
  }
  EXPECT_EQ(sink.probe(), nullptr);
}

TEST(EngineSink, OnlyTheFactorsOfProductsAreRounded) {
  const Model model(3);
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  EngineSink sink(*store, {.dtype = model::Dtype::bf16, .only_products = true, .files = {}});
  const Held held = sink.write(model.view(1)).value();
  int rounded = 0, kept = 0;
  for (const ManifestTensor& tensor : held->manifest().tensors) {
    const bool product = tensor.shape.size() == 2 && tensor.name != "model.embed_tokens.weight";
    EXPECT_EQ(tensor.dtype, product ? model::Dtype::bf16 : model::Dtype::f32) << tensor.name;
    ++(product ? rounded : kept);
  }
  EXPECT_GT(rounded, 0);
  EXPECT_GT(kept, 1);
  EXPECT_TRUE(delta_is_possible(held->manifest(), held->manifest()));
}

TEST(EngineSink, AValueTooLargeForBf16IsAnErrorAndNothingIsWritten) {
  Model model(4, 10);
  model.tensors[1].data[0] = 3.4e38f;
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  EngineSink sink(*store, {.dtype = model::Dtype::bf16, .files = {}});
  const auto written = sink.write(model.view(1));
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.status().message(), HasSubstr(model.tensors[1].name));
  EXPECT_EQ(store->latest(), nullptr);
}

TEST(EngineSink, TheProbeReadsWhatIsHeld) {
  const Model model(5, 10);
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  EngineSink sink(*store, {});
  EXPECT_FALSE(sink.probe()("x").ok());
  ASSERT_TRUE(sink.write(model.view(1)).ok());
  const auto& tensor = model.tensors[2];
  EXPECT_EQ(sink.probe()(tensor.name).value(),
            checksum({reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size() * 4}));
  EXPECT_EQ(sink.probe()("x").status().code(), StatusCode::not_found);
}

TEST(OpenWeights, AVersionThatItsConfigDoesNotDescribeIsAnError) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  ThreadPool pool(1);
  EXPECT_FALSE(open_weights(put(*store, random_version(1, {10}, 1)).value(), pool).ok());
  const Model model(6, 10);
  model::WeightsView view = model.view(2);
  std::swap(view.tensors[0], view.tensors[1]);
  EngineSink sink(*store, {});
  const auto swapped = open_weights(sink.write(view).value(), pool);
  EXPECT_EQ(swapped.status().code(), StatusCode::corrupt);
  EXPECT_THAT(swapped.status().message(), HasSubstr(view.tensors[0].name));
}

}  // namespace
}  // namespace longshot::publish
