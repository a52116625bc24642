#include "model/format/model_path.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/os/fs.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

class FindModel : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/model_path_test.XXXXXX";
    root_ = ::mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(root_); }
  void touch(const std::string& name, const std::string& content = "{}") {
    fs::create_directories((root_ / name).parent_path());
    ASSERT_TRUE(write_file_durable(root_ / name, content).ok());
  }
  std::string found(const std::string& name = "") {
    const auto model = find_model((root_ / name).string());
    return model.ok() ? fs::path(*model).lexically_relative(root_).string()
                      : model.status().message();
  }
  fs::path root_;
};

TEST_F(FindModel, AModelIsItself) {
  touch("a/config.json");
  touch("b/adapter_config.json");
  touch("c.gguf");
  for (const char* name : {"a", "b", "c.gguf"}) EXPECT_EQ(found(name), name);
}

TEST_F(FindModel, ACheckpointAndAFinishedRunNameTheModelBelow) {
  touch("sft/huggingface/config.json");
  touch("lora/global_step_3/adapter/adapter_config.json");
  EXPECT_EQ(found("sft"), "sft/huggingface");
  EXPECT_EQ(found("lora/global_step_3"), "lora/global_step_3/adapter");
  EXPECT_EQ(found("lora/"), "lora/global_step_3/adapter");
}

TEST_F(FindModel, ARunNamesItsNewestCheckpointOrTheOneItContinuesFrom) {
  for (const char* step : {"2", "10", "9"})
    touch("global_step_" + std::string(step) + "/huggingface/config.json");
  touch("global_step_11/state.json");  // has no model
  touch("global_step_x/config.json");  // not a checkpoint
  EXPECT_EQ(found(), "global_step_10/huggingface");
  touch("latest_checkpointed_iteration.txt", "9\n");
  EXPECT_EQ(found(), "global_step_9/huggingface");
  touch("latest_checkpointed_iteration.txt", "77\n");
  EXPECT_EQ(found(), "global_step_10/huggingface");
}

TEST_F(FindModel, NothingToFindIsAnErrorThatNamesThePath) {
  fs::create_directories(root_ / "empty");
  EXPECT_NE(found("empty").find((root_ / "empty").string()), std::string::npos);
  EXPECT_NE(found("nowhere").find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace longshot::model
