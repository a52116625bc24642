#pragma once
// A reward model on disk for the tests of this folder.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "model/format/testing.h"
#include "model/weights.h"
#include "tokenizer/tokenizer.h"

namespace longshot::reward {

// A tiny random reward model over the characters "0".."9", "+", "=", in a fresh directory that is
// removed with the object.
class RewardModelDirectory {
 public:
  explicit RewardModelDirectory(bool score_head = true) {
    std::string pattern = (std::filesystem::temp_directory_path() / "longshot_rm_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
    const auto tokenizer = *tokenizer::make_character_tokenizer("0123456789+=");
    model::ModelConfig c = model::tiny_config("llama", {.vocab = tokenizer->vocab_size(),
                                                        .hidden = 32,
                                                        .intermediate = 48,
                                                        .heads = 2,
                                                        .head_dim = 16});
    c.score_head = score_head;
    c.eos_token_ids = {1};
    c.pad_token_id = 0;
    const model::Weights weights = model::Weights::random(c, 7, "cpu");
    std::vector<at::Tensor> host_copy;
    const Status written =
        model::write_model(path_, weights.view(0, host_copy), tokenizer.get(), nullptr);
    LS_CHECK(written.ok(), written.message());
  }
  ~RewardModelDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  RewardModelDirectory(const RewardModelDirectory&) = delete;
  RewardModelDirectory& operator=(const RewardModelDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace longshot::reward
