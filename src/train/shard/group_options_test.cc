#include "train/shard/group_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace longshot::train {
namespace {

using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Result<GroupOptions> options_of(const Variables& variables) {
  return group_options([&](const char* name) -> std::string {
    const auto found = variables.find(name);
    return found == variables.end() ? "" : found->second;
  });
}

const Variables kTorchrun = {{"RANK", "2"},
                             {"WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "10.0.0.1"},
                             {"MASTER_PORT", "29500"},
                             {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                             {"TORCHELASTIC_RESTART_COUNT", "3"}};

TEST(GroupOptions, WithoutAnEnvironmentAProcessIsAlone) {
  const auto options = options_of({});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->size, 1);
  EXPECT_EQ(options->rank, 0);
}

TEST(GroupOptions, ReadsWhatTorchrunSets) {
  const auto options = options_of(kTorchrun);
  ASSERT_TRUE(options.ok()) << options.status().to_string();
  EXPECT_EQ(options->rank, 2);
  EXPECT_EQ(options->size, 4);
  EXPECT_EQ(meeting_point(*options), "10.0.0.1:29500");
  EXPECT_TRUE(options->agent_listens);
  EXPECT_EQ(options->restart, 3);
}

TEST(GroupOptions, NamesTheVariableThatIsMissingOrWrong) {
  const auto expect_error = [](const char* name, const std::string& value) {
    Variables variables = kTorchrun;
    variables[name] = value;
    const auto options = options_of(variables);
    ASSERT_FALSE(options.ok()) << name << "=" << value;
    EXPECT_EQ(options.status().code(), StatusCode::invalid_argument);
    EXPECT_THAT(options.status().message(), HasSubstr(name));
  };
  for (const char* rank : {"", "4", "-1", "x", "1x"}) expect_error("RANK", rank);
  for (const char* size : {"0", "-2", "two"}) expect_error("WORLD_SIZE", size);
  for (const char* port : {"", "0", "65536"}) expect_error("MASTER_PORT", port);
  expect_error("MASTER_ADDR", "");
  expect_error("TORCHELASTIC_RESTART_COUNT", "-1");
}

}  // namespace
}  // namespace longshot::train
