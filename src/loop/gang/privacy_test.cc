#include "loop/gang/privacy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

config::ClusterOptions with_tls() {
  config::ClusterOptions options;
  options.url = "etcds://10.0.0.1:2379/run";
  options.tls_dir = "tls";
  return options;
}

TEST(Privacy, TrainersOfARunWithTlsAreRefusedOnANetwork) {
  for (const char* address : {"10.77.0.2", "1.127.0.1", "fd00::2", "::10"}) {
    const Status refused = check_privacy(with_tls(), address);
    EXPECT_EQ(refused.code(), StatusCode::invalid_argument) << address;
    EXPECT_THAT(refused.message(), testing::HasSubstr("cluster.gang_in_clear"));
    EXPECT_THAT(refused.message(), testing::HasSubstr(address));
  }
}

TEST(Privacy, LoopbackAndNetworksThatTheUserTrustsAreAllowed) {
  for (const char* address : {"127.0.0.1", "127.1.2.3", "::1"})
    EXPECT_TRUE(check_privacy(with_tls(), address).ok()) << address;
  config::ClusterOptions trusted = with_tls(), plain = with_tls(), alone = with_tls();
  trusted.gang_in_clear = true;
  plain.tls_dir = "";
  alone.url = "";
  for (const auto& options : {trusted, plain, alone})
    EXPECT_TRUE(check_privacy(options, "10.77.0.2").ok());
}

}  // namespace
}  // namespace longshot::loop
