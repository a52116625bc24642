// Thousands of damaged model files, the same ones in every run. Each must be read or refused,
// without a crash and without allocating much more memory than the file's size.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <functional>

#include "model/format/gguf/gguf_model.h"
#include "model/format/gguf/testing.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

// Address space that a test may use in addition to what it starts with.
constexpr size_t kMemoryLimit = size_t{1} << 30;

// An allocation above the limit throws std::bad_alloc, which fails the test.
class AddressSpaceLimit {
 public:
  AddressSpaceLimit() {
    ::getrlimit(RLIMIT_AS, &before_);
    std::ifstream statm("/proc/self/statm");
    size_t pages = 0;
    statm >> pages;
    rlimit limit = before_;
    limit.rlim_cur = pages * 4096 + kMemoryLimit;
#if !defined(__SANITIZE_ADDRESS__)  // its shadow memory is terabytes
    ::setrlimit(RLIMIT_AS, &limit);
#endif
  }
  ~AddressSpaceLimit() {
    ::setrlimit(RLIMIT_AS, &before_);
  }

 private:
  rlimit before_{};
};

// Makes one to four changes: flipped bits, interesting numbers, removed and repeated pieces. Seven
// of eight changes hit the bytes before `header_end`, which describe the file.
std::string mutate(std::string bytes, size_t header_end, CounterRng& rng) {
  static constexpr uint64_t kInteresting[] = {
      0,          1,          7,          8,          0x7f,       0xff, 0x7fffffff,
      0xffffffff, 1ull << 32, 1ull << 40, 1ull << 62, 1ull << 63, ~0ull};
  for (uint64_t change = 1 + rng.next_below(4); change > 0 && !bytes.empty(); --change) {
    const size_t range = rng.next_below(8) == 0 ? bytes.size() : std::min(header_end, bytes.size());
    const size_t at = rng.next_below(range);
    switch (rng.next_below(5)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.next_below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(rng.next_below(256));
        break;
      case 2: {
        const uint64_t value = kInteresting[rng.next_below(std::size(kInteresting))];
        const size_t width = size_t{1} << rng.next_below(4);
        if (at + width <= bytes.size()) std::memcpy(&bytes[at], &value, width);
        break;
      }
      case 3:
        bytes.erase(at, 1 + rng.next_below(64));
        break;
      default:
        bytes.insert(at, bytes.substr(rng.next_below(bytes.size()), 1 + rng.next_below(64)));
    }
  }
  return bytes;
}

// Counts the accepted mutants: a test that refuses all of them at once would not test much.
int run(const std::string& good, size_t header_end, int mutants, const std::string& path,
        const std::function<bool()>& read) {
  const AddressSpaceLimit limit;
  CounterRng rng(2024);
  int accepted = 0;
  for (int i = 0; i < mutants; ++i) {
    write_scratch(path, mutate(good, header_end, rng));
    accepted += read();
  }
  return accepted;
}

TEST(FuzzTest, DamagedSafetensorsFilesAreReadOrRefused) {
  const TemporaryDirectory directory;
  const ModelConfig config = tiny_config("qwen3");
  const auto weights = random_weights(config, 1);
  ASSERT_TRUE(write_model(directory.path(), view_of(config, weights), nullptr, nullptr).ok());
  const std::string path = directory / "model.safetensors";
  const std::string good = read_file(path).value();
  uint64_t header_size = 0;
  std::memcpy(&header_size, good.data(), sizeof header_size);
  const int accepted = run(good, 8 + header_size, 4000, path, [&] {
    const auto model = read_model(directory.path());
    if (model.ok()) {
      EXPECT_EQ(model->weights.size(), weights.size());
    }
    return model.ok();
  });
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 2000);
}

TEST(FuzzTest, DamagedSafetensorsHeadersAreReadOrRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory / "x";
  const std::string header =
      R"({"__metadata__":{"a":"b"},"t":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"u":{"dtype":"U8","shape":[],"data_offsets":[16,17]}})";
  const std::string good =
      GgufBuilder::raw<uint64_t>(header.size()) + header + std::string(17, 'x');
  const int accepted =
      run(good, good.size() - 17, 4000, path, [&] { return SafetensorsFile::open(path).ok(); });
  EXPECT_GT(accepted, 10);
  EXPECT_LT(accepted, 2000);
}

TEST(FuzzTest, DamagedGgufFilesAreReadOrRefused) {
  const TemporaryDirectory directory;
  const ModelConfig config = tiny_config("llama");
  const auto weights = random_weights(config, 1);
  GgufBuilder builder = gguf_of(config, weights);
  const std::string good = builder.bytes();
  const std::string path = directory / "m.gguf";
  const int accepted = run(good, good.size() - weights.size() * 32, 4000, path, [&] {
    const auto model = read_model(path);
    if (model.ok()) {
      EXPECT_GE(model->weights.size(), 1u);
    }
    return model.ok();
  });
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3900);
}

TEST(FuzzTest, DamagedGgufVocabulariesAreReadOrRefused) {
  const TemporaryDirectory directory;
  GgufBuilder b;
  b.string("tokenizer.ggml.model", "gpt2")
      .strings("tokenizer.ggml.tokens", {"<s>", "a", "b", "ab"});
  b.strings("tokenizer.ggml.merges", {"a b"}).u32("tokenizer.ggml.bos_token_id", 0);
  b.value("tokenizer.ggml.token_type", GgufType::array,
          GgufBuilder::raw<uint32_t>(5) + GgufBuilder::raw<uint64_t>(4) + std::string(16, '\x01'));
  const std::string path = directory / "v.gguf";
  const int accepted = run(b.bytes(), b.bytes().size(), 4000, path, [&] {
    const auto v = read_gguf_vocabulary(path);
    if (v.ok() && !v->tokens.empty()) {
      EXPECT_EQ(v->tokens.size(), v->token_types.size());
    }
    return v.ok();
  });
  EXPECT_GT(accepted, 10);
  EXPECT_LT(accepted, 3000);
}

// The same for config.json: numbers of every size and type in place of every member.
TEST(FuzzTest, DamagedConfigurationsAreReadOrRefused) {
  const std::string good = config_to_json(tiny_config("llama")).dump();
  CounterRng rng(2024);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const Json json = Json::parse(mutate(good, good.size(), rng), nullptr, false);
    if (json.is_discarded()) continue;
    const auto config = config_from_json(json, "config.json");
    if (!config.ok()) continue;
    ++accepted;
    EXPECT_GT(config->head_dim, 0);
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace longshot::model
