#include "model/merge/merge_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/fs.h"
#include "base/os/stop.h"
#include "model/format/testing.h"

namespace longshot::model {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class MergeRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) write(std::string(1, static_cast<char>('a' + i)), tied(), 1 + i);
    options_.recipe.method = MergeMethod::ties;
    options_.recipe.base_model = directory_ / "a";
    options_.recipe.models = {{directory_ / "b", {}}, {directory_ / "c", {}}};
    options_.output = directory_ / "out";
    options_.max_shard_bytes = 1500;
  }
  void TearDown() override { clear_stop_request(); }

  static ModelConfig tied() {
    ModelConfig config = tiny_config("llama");
    config.tie_word_embeddings = true;
    return config;
  }
  void write(const std::string& name, const ModelConfig& config, uint64_t seed) {
    const auto weights = random_weights(config, seed);
    ASSERT_TRUE(
        write_model(directory_ / name, view_of(config, weights), nullptr, nullptr, "float32", 900)
            .ok());
  }
  Status run(const OnTensor& on_tensor = [](size_t, const std::string&) {}) {
    LS_ASSIGN_OR_RETURN(const MergeInputs inputs, open_inputs(options_.recipe));
    return run_merge(options_, inputs, on_tensor);
  }
  std::map<std::string, std::string> contents(const std::string& name) {
    std::map<std::string, std::string> all;
    for (const std::string& file : *list_files(directory_ / name))
      all[file] = *read_file(directory_ / name + "/" + file);
    return all;
  }

  TemporaryDirectory directory_;
  MergeOptions options_;
};

TEST_F(MergeRunTest, AnInterruptedMergeContinuesToTheSameBytes) {
  options_.output = directory_ / "whole";
  ASSERT_TRUE(run().ok());
  const auto wanted = contents("whole");
  EXPECT_GT(wanted.size(), 4u);  // shards, index, config.json, generation_config.json, merge.json
  EXPECT_TRUE(wanted.contains("merge.json"));
  const size_t tensors = expected_weights(tied()).size();
  options_.output = directory_ / "out";
  for (size_t stop_at = 0; stop_at < tensors; stop_at += 5) {
    const Status stopped = run([&](size_t done, const std::string&) {
      if (done == stop_at) request_stop();
    });
    EXPECT_EQ(stopped.code(), StatusCode::cancelled) << stop_at;
    clear_stop_request();
    EXPECT_FALSE(fs::exists(options_.output));
    size_t computed = 0;
    ASSERT_TRUE(run([&](size_t, const std::string&) { ++computed; }).ok()) << stop_at;
    EXPECT_EQ(contents("out"), wanted) << stop_at;
    if (stop_at > tensors / 2) EXPECT_LT(computed, tensors);
    fs::remove_all(options_.output);
  }
}

TEST_F(MergeRunTest, ADamagedShardIsWrittenAgain) {
  ASSERT_TRUE(run().ok());
  const auto wanted = contents("out");
  fs::remove_all(options_.output);
  const size_t tensors = expected_weights(tied()).size();
  EXPECT_FALSE(run([&](size_t done, const std::string&) {
                 if (done + 1 == tensors) request_stop();
               }).ok());
  clear_stop_request();
  const fs::path partial = options_.output + ".partial";
  for (const auto& file : fs::directory_iterator(partial))
    if (file.path().extension() == ".safetensors") write_scratch(file.path(), "damaged");
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(contents("out"), wanted);
}

TEST_F(MergeRunTest, OtherSettingsDoNotContinueAMerge) {
  EXPECT_FALSE(run([](size_t done, const std::string&) {
                 if (done == 8) request_stop();
               }).ok());
  clear_stop_request();
  options_.recipe.parameters.insert_or_assign("lambda", Parameter::constant(2));
  EXPECT_THAT(run().message(), HasSubstr("an interrupted merge with other settings"));
}

TEST_F(MergeRunTest, ReplacesAnOutputOnlyIfAsked) {
  ASSERT_TRUE(run().ok());
  EXPECT_TRUE(run().ok()) << "the same merge again: nothing is left to do";
  options_.recipe.parameters.insert_or_assign("lambda", Parameter::constant(2));
  EXPECT_THAT(run().message(), HasSubstr("exists already"));
  options_.overwrite = true;
  EXPECT_TRUE(run().ok());
  fs::remove(options_.output + "/config.json");
  EXPECT_THAT(run().message(), HasSubstr("not a model directory"));
  options_.output = directory_ / "b";
  EXPECT_THAT(run().message(), HasSubstr("itself"));
  fs::create_directories(directory_ / "run/global_step_1");
  fs::rename(directory_ / "b", directory_ / "run/global_step_1/huggingface");
  options_.recipe.models[0].path = directory_ / "run";
  options_.output = directory_ / "run/global_step_1/huggingface";
  EXPECT_THAT(run().message(), HasSubstr("itself"));
}

TEST_F(MergeRunTest, AHeadThatIsTiedInOneModelIsItsEmbedding) {
  ModelConfig untied = tied();
  untied.tie_word_embeddings = false;
  write("d", untied, 9);
  options_.recipe = {};
  options_.recipe.models = {{directory_ / "a", {}}, {directory_ / "d", {}}};
  ASSERT_TRUE(run().ok());
  const auto merged = read_model(options_.output);
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  EXPECT_FALSE(merged->config.tie_word_embeddings);
  const auto a = read_model(directory_ / "a"), d = read_model(directory_ / "d");
  const auto &embedding = a->weights.front(), &head = d->weights.back(),
             &got = merged->weights.back();
  ASSERT_EQ(got.name, "lm_head.weight");
  for (size_t i = 0; i < got.data.size(); ++i)
    EXPECT_NEAR(got.data[i], (embedding.data[i] + head.data[i]) / 2, 1e-6);
}

TEST_F(MergeRunTest, ModelsThatDoNotFitAreNamed) {
  ModelConfig wide = tied();
  wide.intermediate_size = 16;
  write("c", wide, 3);
  EXPECT_THAT(run().message(), ::testing::AllOf(HasSubstr("mlp.down_proj.weight' is [8, 12] in"),
                                                HasSubstr("and [8, 16] in")));
  write("c", tiny_config("qwen3"), 3);
  EXPECT_THAT(run().message(), HasSubstr("is a llama model and"));
}

}  // namespace
}  // namespace longshot::model
