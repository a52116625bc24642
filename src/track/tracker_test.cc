#include "track/tracker.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <regex>
#include <set>
#include <thread>

namespace longshot::track {
namespace {

namespace fs = std::filesystem;

// The part of MLflow's REST API that is used, with its limits and its error for a parameter that
// changes.
class FakeMlflow {
 public:
  FakeMlflow() {
    server_.Post(R"(/base/api/2.0/mlflow/(.+))",
                 [this](const auto& request, auto& response) { answer(request, response); });
    server_.Put(R"(/base/api/2.0/mlflow-artifacts/artifacts/(.+))",
                [this](const httplib::Request& request, httplib::Response& response) {
                  const std::lock_guard lock(mutex_);
                  if (no_artifacts) {
                    response.status = 503;
                    return;
                  }
                  artifacts[request.matches[1]] = Json::parse(request.body);
                });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~FakeMlflow() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/base/"; }

  std::map<std::string, std::string> experiments, params, tags;
  std::map<std::pair<std::string, int64_t>, Json> metrics;
  std::map<std::string, Json> artifacts;
  std::string status, name, authorization;
  int runs = 0, batches = 0, repeated = 0;
  int fail_after = -1;  // log-batch requests that succeed before one fails
  bool no_artifacts = false;

 private:
  void answer(const httplib::Request& request, httplib::Response& response) {
    const std::lock_guard lock(mutex_);
    const Json body = Json::parse(request.body);
    authorization = request.get_header_value("Authorization");
    Json out = Json::object();
    const std::string route = request.matches[1];
    if (route == "experiments/search") {
      for (const auto& [experiment, id] : experiments)
        if (body["filter"] == "name = '" + experiment + "'")
          out["experiments"] = Json::array({{{"experiment_id", id}}});
    } else if (route == "experiments/create") {
      experiments[body["name"]] = out["experiment_id"] = "7";
    } else if (route == "runs/create") {
      ++runs;
      name = body["run_name"];
      out["run"]["info"] = {{"run_id", "r1"}, {"artifact_uri", "mlflow-artifacts:/7/r1/artifacts"}};
    } else if (route == "runs/log-batch") {
      if (fail_after == 0) response.status = 503;
      if (fail_after-- == 0) return;
      add(body, response);
    } else if (route == "runs/set-tag") {
      tags[body["key"]] = body["value"];
    } else if (route == "runs/update") {
      status = body["status"];
    }
    response.set_content(out.dump(), "application/json");
  }

  void add(const Json& body, httplib::Response& response) {
    ++batches;
    const Json params_given = body.value("params", Json::array());
    const Json metrics_given = body.value("metrics", Json::array());
    if (params_given.size() > 100 || metrics_given.size() > 1000) response.status = 400;
    for (const Json& param : params_given) {
      if (param["value"].get<std::string>().size() > 500) response.status = 400;
      params[param["key"]] = param["value"];
    }
    for (const Json& metric : metrics_given) {
      if (!is_name(metric["key"])) response.status = 400;
      const auto key = std::pair(metric["key"].get<std::string>(), metric["step"].get<int64_t>());
      repeated += metrics.contains(key) ? 1 : 0;
      metrics[key] = metric["value"];
    }
  }

  // As in mlflow/utils/validation.py.
  static bool is_name(const std::string& name) {
    static const std::regex kAllowed(R"([/\w.\- ]*)");
    return std::regex_match(name, kAllowed) && fs::path(name).lexically_normal() == name &&
           !name.starts_with('/') && !name.starts_with("..") && name.size() <= 250;
  }

  httplib::Server server_;
  std::mutex mutex_;
  int port_ = 0;
  std::thread thread_;
};

class TrackerTest : public testing::Test {
 protected:
  TrackerTest() {
    fs::create_directories(folder_ / "samples");
    std::ofstream config(folder_ / "config.toml");
    config << "[model]\npath = '" << std::string(499, 'a') << "é'\n[many]\n";
    for (int i = 0; i < 150; ++i) config << "key" << i << " = " << i << "\n";
    options_.url = server_.url();
  }
  ~TrackerTest() override { fs::remove_all(folder_); }

  void add_rows(int first, int last, int metrics) const {
    std::ofstream file(folder_ / "metrics.jsonl", std::ios::app);
    for (int step = first; step <= last; ++step) {
      Json row = {{"step", step}, {"loss", "NaN"}};
      for (int i = 1; i < metrics; ++i) row["m" + std::to_string(i)] = step + 0.5;
      file << row.dump() << "\n";
    }
  }
  std::unique_ptr<Tracker> open() {
    auto tracker = Tracker::open(folder_, options_);
    EXPECT_TRUE(tracker.ok()) << tracker.status().message();
    return tracker.ok() ? std::move(*tracker) : nullptr;
  }

  FakeMlflow server_;
  const fs::path folder_ = testing::TempDir() + "/tracked." + std::to_string(getpid());
  TrackOptions options_;
};

TEST_F(TrackerTest, SendsSettingsMetricsAndTablesWithinTheServersLimits) {
  add_rows(0, 25, 90);
  std::ofstream(folder_ / "samples/held_out_000010.jsonl") << "{\"prompt\":\"p\",\"score\":1.0}\n";
  const auto tracker = open();
  EXPECT_EQ(server_.params.size(), 151u);
  EXPECT_EQ(server_.params["many.key149"], "149");
  EXPECT_EQ(server_.params["model.path"], std::string(499, 'a'));  // é would be cut in two
  EXPECT_EQ(server_.name, folder_.filename());
  EXPECT_EQ(*tracker->send_new(), 26u);
  EXPECT_EQ(server_.metrics.size(), 26u * 90);
  EXPECT_EQ(server_.metrics.at({"m3", 25}), 25.5);
  EXPECT_EQ(server_.metrics.at({"loss", 0}), "NaN");
  EXPECT_EQ(server_.batches, 2 + 3);
  EXPECT_EQ(server_.artifacts.at("7/r1/artifacts/samples/held_out_000010.json")["data"][0][0], "p");
  EXPECT_EQ(Json::parse(server_.tags.at("mlflow.loggedArtifacts")),
            Json::array({{{"path", "samples/held_out_000010.json"}, {"type", "table"}}}));
  ASSERT_TRUE(tracker->set_status("FINISHED").ok());
  EXPECT_EQ(server_.status, "FINISHED");
}

TEST_F(TrackerTest, NamesGetCharactersThatTheServerAccepts) {
  const std::map<std::string, std::string> names = {
      {"val-core/math (hard)/acc", "val-core/math _hard_/acc"},
      {"reward//a/./b", "reward/a/_/b"},
      {"../x", "__/x"},
      {"/é", "__"},
      {std::string(300, 'n'), std::string(250, 'n')}};
  Json row = {{"step", 1}};
  for (const auto& [name, sent] : names) row[name] = 1.5;
  std::ofstream(folder_ / "metrics.jsonl") << row.dump() << "\n";
  const auto tracker = open();
  ASSERT_EQ(*tracker->send_new(), 1u);
  for (const auto& [name, sent] : names) EXPECT_EQ(server_.metrics.count({sent, 1}), 1u) << sent;
}

TEST_F(TrackerTest, ALaterCallContinuesTheSameRun) {
  add_rows(0, 3, 2);
  EXPECT_EQ(*open()->send_new(), 4u);
  add_rows(4, 6, 2);
  const auto second = open();
  EXPECT_EQ(server_.status, "RUNNING");
  EXPECT_EQ(*second->send_new(), 3u);
  EXPECT_EQ(server_.runs, 1);
  EXPECT_EQ(server_.repeated, 0);
  EXPECT_EQ(server_.experiments, (std::map<std::string, std::string>{{"longshot", "7"}}));
  options_.url = "http://127.0.0.1:1";
  const auto other = Tracker::open(folder_, options_);
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.status().message().find("tracking.json"), std::string::npos);
}

TEST_F(TrackerTest, WhatAServerDoesNotTakeIsSentLater) {
  add_rows(0, 30, 90);
  const auto tracker = open();
  server_.fail_after = 1;
  const auto failed = tracker->send_new();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().code(), StatusCode::unavailable);
  EXPECT_EQ(tracker->last_step(), 10);
  server_.fail_after = -1;
  EXPECT_EQ(*tracker->send_new(), 20u);
  EXPECT_EQ(server_.metrics.size(), 31u * 90);
  EXPECT_EQ(server_.repeated, 0);
}

TEST_F(TrackerTest, ATableThatWasNotTakenIsSentByALaterCall) {
  add_rows(0, 12, 2);
  std::ofstream(folder_ / "samples/held_out_000010.jsonl") << "{\"prompt\":\"p\"}\n";
  server_.no_artifacts = true;
  EXPECT_FALSE(open()->send_new().ok());
  EXPECT_EQ(server_.metrics.size(), 13u * 2);
  server_.no_artifacts = false;
  EXPECT_EQ(*open()->send_new(), 0u);
  EXPECT_TRUE(server_.artifacts.contains("7/r1/artifacts/samples/held_out_000010.json"));
  EXPECT_EQ(server_.repeated, 0);
}

TEST_F(TrackerTest, LoginsAreThoseOfMlflowsClient) {
  setenv("MLFLOW_TRACKING_USERNAME", "user", 1);
  setenv("MLFLOW_TRACKING_PASSWORD", "word", 1);
  open();
  EXPECT_EQ(server_.authorization, "Basic dXNlcjp3b3Jk");
  setenv("MLFLOW_TRACKING_TOKEN", "t", 1);
  open();
  EXPECT_EQ(server_.authorization, "Bearer t");
  for (const char* name :
       {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"})
    unsetenv(name);
}

TEST_F(TrackerTest, AFolderWithoutARunIsRefused) {
  const auto none = Tracker::open(testing::TempDir() + "/nothing_there", options_);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(server_.runs, 0);
}

}  // namespace
}  // namespace longshot::track
