#include "cluster/cluster_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ClusterUrl, ReadsEndpointsAndRun) {
  const auto url = parse_cluster_url("etcd://h1:2379,10.0.0.2:2380,[::1]:2381/run-1_a.b");
  ASSERT_TRUE(url.ok()) << url.status().to_string();
  EXPECT_THAT(url->endpoints, ElementsAre("h1:2379", "10.0.0.2:2380", "[::1]:2381"));
  EXPECT_EQ(url->run, "run-1_a.b");
  EXPECT_FALSE(url->tls);
  EXPECT_TRUE(parse_cluster_url("etcds://h1:2379/run")->tls);
}

TEST(ClusterUrl, NamesWhatIsWrong) {
  const auto message = [](const std::string& text) {
    const auto url = parse_cluster_url(text);
    EXPECT_EQ(url.status().code(), StatusCode::invalid_argument) << text;
    return url.status().message();
  };
  EXPECT_THAT(message("http://h:1/run"), HasSubstr("expected etcd://"));
  EXPECT_THAT(message("etcd://h:1"), HasSubstr("name of the run is missing"));
  EXPECT_THAT(message("etcd://h:1/"), HasSubstr("name of the run is missing"));
  EXPECT_THAT(message("etcd://h:1/a/b"), HasSubstr("'a/b'"));
  EXPECT_THAT(message("etcd://h:1,h2/run"), HasSubstr("endpoint 'h2'"));
  EXPECT_THAT(message("etcd://h:1,,h2:3/run"), HasSubstr("endpoint ''"));
  EXPECT_THAT(message("etcd:///run"), HasSubstr("endpoint ''"));
  EXPECT_THAT(message("etcd://h:x/run"), HasSubstr("endpoint 'h:x'"));
  EXPECT_THAT(message("etcd://a b:1/run"), HasSubstr("endpoint 'a b:1'"));
}

}  // namespace
}  // namespace longshot::cluster
