#include "loop/cluster/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

Json worker(const std::string& name, int version, bool silent, double rate) {
  return {{"name", name},
          {"host", "h"},
          {"address", "ipv4:10.0.0.1:5"},
          {"version", version},
          {"silent", silent},
          {"report", {{"tokens_per_second", rate}, {"running", 3}, {"waiting", 1}}}};
}

Json example() {
  return {{"run", "first"},
          {"coordinator", "a-1"},
          {"epoch", 2},
          {"version", 7},
          {"round", 9},
          {"samples", 64},
          {"finished", 40},
          {"waiting", 2},
          {"tokens", 12345},
          {"reissued", 5},
          {"workers",
           {worker("b", 7, false, 100), worker("c", 6, false, 0), worker("d", 7, true, 50)}}};
}

TEST(ClusterStatus, TheTableSaysWhoDoesWhat) {
  const std::string table = status_table(example());
  EXPECT_THAT(table, HasSubstr("run first, coordinator a-1, epoch 2, weights version 7"));
  EXPECT_THAT(table, HasSubstr("40 of 64 samples, 2 waiting, 5 reissued, 12,345 tokens"));
  EXPECT_THAT(table, HasSubstr("3 workers, 1 ready, 150 tokens/s"));
  EXPECT_THAT(table, ContainsRegex("\nb .* 7 +3 +1 +100  ready\n"));
  EXPECT_THAT(table, ContainsRegex("\nc .* 6 +3 +1 +0  loading\n"));
  EXPECT_THAT(table, ContainsRegex("\nd .* 7 +3 +1 +50  silent\n"));
}

TEST(ClusterStatus, MetricsHaveTheSameFigures) {
  const std::string text = status_metrics(example());
  for (const char* line :
       {"\nlongshot_cluster_workers 3\n", "\nlongshot_cluster_ready_workers 1\n",
        "\nlongshot_cluster_version 7\n", "\nlongshot_cluster_epoch 2\n",
        "\nlongshot_cluster_samples_waiting 2\n", "\nlongshot_cluster_tokens_per_second 150\n",
        "\nlongshot_cluster_running 9\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(ClusterStatus, AWorkerThatHasNotReportedYetIsShown) {
  Json status = example();
  status["workers"][0]["report"] = nullptr;
  EXPECT_THAT(status_table(status), HasSubstr("\nb "));
  status["workers"] = Json::array();
  EXPECT_THAT(status_table(status), HasSubstr("0 workers"));
}

}  // namespace
}  // namespace longshot::loop
