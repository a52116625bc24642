#include "reward/external/external.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/os/stop.h"

namespace longshot::reward {
namespace {

namespace fs = std::filesystem;

class TempFile {
 public:
  explicit TempFile(const std::string& content) {
    char name[] = "/tmp/longshot_reward_XXXXXX";
    const int fd = mkstemp(name);
    close(fd);
    path_ = std::string(name) + ".py";
    fs::rename(name, path_);
    std::ofstream(path_) << content;
  }
  ~TempFile() { fs::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Question question(const std::string& completion) {
  Question q;
  q.data_source = "source";
  q.completion = completion;
  q.ground_truth = "truth";
  q.extra_info = {{"k", 1}};
  return q;
}

std::unique_ptr<Reward> make(const std::string& type, const Json& options) {
  auto reward =
      make_reward({.type = type, .weight = 1, .decides_correct = true, .options = options});
  EXPECT_TRUE(reward.ok()) << reward.status().to_string();
  return reward.ok() ? std::move(reward).value() : nullptr;
}

// One function that does what the completion says.
constexpr char kScript[] = R"(
import os, sys, time
calls = 0
def compute_score(data_source, solution_str, ground_truth, extra_info):
    global calls
    calls += 1
    print("noise on stdout", solution_str)
    os.system("echo noise of a child")
    print("noise on stderr", file=sys.stderr)
    if solution_str == "count": return calls
    if solution_str == "echo":
        return {"score": 0.75, "acc": False, "answer": f"{data_source} {ground_truth} {extra_info}"}
    if solution_str == "raise": raise ValueError("bad input")
    if solution_str == "exit": os._exit(7)
    if solution_str == "sysexit": sys.exit(3)
    if solution_str == "sleep": time.sleep(100)
    if solution_str == "fork": os.system("sleep 100")
    if solution_str == "nan": return float("nan")
    if solution_str == "none": return None
    if solution_str == "stdin": return {"score": float(len(sys.stdin.read()))}
    if solution_str == "flood": sys.stderr.write("x" * 10000000)
    if solution_str == "close": os.close(1); os.close(2)
    return 1.0 if solution_str == ground_truth else 0.0
)";

TEST(PythonReward, RunsAComputeScoreFileUnchanged) {
  const TempFile file(kScript);
  const auto reward = make("python", {{"path", file.path()}});
  const auto deadline = Deadline::after_seconds(120);
  EXPECT_EQ(reward->judge(question("truth"), deadline)->value, 1);
  EXPECT_TRUE(reward->judge(question("truth"), deadline)->correct);
  EXPECT_EQ(reward->judge(question("lie"), deadline)->value, 0);
  const auto echo = reward->judge(question("echo"), deadline);
  ASSERT_TRUE(echo.ok()) << echo.status().to_string();
  EXPECT_EQ(echo->value, 0.75);
  EXPECT_FALSE(echo->correct);
  EXPECT_EQ(echo->answer, "source truth {'k': 1, 'num_turns': 2, 'rollout_reward_scores': {}}");
  EXPECT_EQ(reward->judge(question("count"), deadline)->value, 5);  // one worker that stays alive
  EXPECT_EQ(reward->judge(question("stdin"), deadline)->value, 0);
  EXPECT_EQ(reward->judge(question("flood"), deadline)->value, 0);
}

TEST(PythonReward, UserErrorsComeBackWithTheirMessage) {
  const TempFile file(kScript);
  const auto reward = make("python", {{"path", file.path()}});
  const auto raised = reward->judge(question("raise"), Deadline::after_seconds(120));
  EXPECT_EQ(raised.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(raised.status().message().find("ValueError: bad input"), std::string::npos)
      << raised.status().message();
  EXPECT_NE(raised.status().message().find(file.path()), std::string::npos);
  EXPECT_FALSE(reward->judge(question("nan"), Deadline::after_seconds(120)).ok());
  EXPECT_FALSE(reward->judge(question("none"), Deadline::after_seconds(120)).ok());
  EXPECT_EQ(reward->judge(question("count"), Deadline::after_seconds(120))->value,
            4);  // the same worker
}

TEST(PythonReward, ReturnsValuesPerStep) {
  const TempFile file(R"(
class Scalar:
    def __init__(self, value): self.value = value
    def __index__(self): return int(self.value)
    def __float__(self): return float(self.value)
def compute_score(solution_str):
    ends = [i + 1 for i, c in enumerate(solution_str) if c == "\n"] + [len(solution_str)]
    steps = [{"end": Scalar(end), "value": Scalar(0.5 * i)} for i, end in enumerate(ends)]
    if "list" in solution_str: steps = [0.5 for end in ends]
    if "number" in solution_str: steps = 0.5
    if "far" in solution_str: steps[-1]["end"] = 1000
    return {"score": 1, "step_values": None if "none" in solution_str else steps}
)");
  const auto reward = make("python", {{"path", file.path()}});
  const auto judge = [&](const std::string& completion) {
    return reward->judge(question(completion), Deadline::after_seconds(120));
  };
  const auto score = judge("\u00e9\nab");
  ASSERT_TRUE(score.ok()) << score.status().message();
  EXPECT_EQ(score->step_values, (std::vector<data::StepValue>{{2, 0}, {4, 0.5}}));
  EXPECT_TRUE(judge("none")->step_values.empty());
  EXPECT_NE(judge("list").status().message().find("step_values: step 1 must be a dict with 'end'"),
            std::string::npos)
      << judge("list").status().message();
  EXPECT_NE(judge("number").status().message().find("step_values must be a list, not 0.5"),
            std::string::npos);
  EXPECT_NE(judge("far").status().message().find("but the completion has 3"), std::string::npos);
}

TEST(PythonReward, CrashIsUnavailableAndTheNextCallWorks) {
  const TempFile file(kScript);
  const auto reward = make("python", {{"path", file.path()}});
  for (const char* end : {"exit", "sysexit"}) {
    const auto crashed = reward->judge(question(end), Deadline::after_seconds(120));
    EXPECT_EQ(crashed.status().code(), StatusCode::unavailable) << crashed.status().to_string();
    EXPECT_NE(crashed.status().message().find("exit code"), std::string::npos)
        << crashed.status().message();
    EXPECT_EQ(reward->judge(question("truth"), Deadline::after_seconds(120))->value, 1);
  }
}

TEST(PythonReward, TimeoutKillsTheWorkerAndItsChildren) {
  const TempFile file(kScript);
  const auto reward = make("python", {{"path", file.path()}});
  ASSERT_TRUE(reward->judge(question("truth"), Deadline::after_seconds(120)).ok());
  for (const char* hang : {"sleep", "fork"}) {
    Stopwatch watch;
    const auto late = reward->judge(question(hang), Deadline::after_seconds(0.3));
    EXPECT_EQ(late.status().code(), StatusCode::timeout);
    EXPECT_EQ(reward->judge(question("truth"), Deadline::after_seconds(120))->value, 1);
    EXPECT_LT(watch.seconds(), 90.0);  // far less than the script sleeps
  }
}

TEST(PythonReward, ManyThreadsShareIt) {
  const TempFile file(kScript);
  const auto reward = make("python", {{"path", file.path()}});
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const auto score =
            reward->judge(question((i + t) % 2 ? "truth" : "lie"), Deadline::after_seconds(60));
        if (score.ok() && score->value == ((i + t) % 2)) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 30);
}

TEST(PythonReward, LoadErrorsNameTheFile) {
  const TempFile broken("import no_such_module\n");
  const auto reward = make("python", {{"path", broken.path()}});
  const auto result = reward->judge(question("x"), Deadline::after_seconds(120));
  EXPECT_EQ(result.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(result.status().message().find("no_such_module"), std::string::npos)
      << result.status().message();
  EXPECT_EQ(make_reward({.type = "python",
                         .weight = 1,
                         .decides_correct = true,
                         .options = {{"path", "/no/such.py"}}})
                .status()
                .code(),
            StatusCode::not_found);
  const TempFile empty("");
  const auto missing =
      make("python", {{"path", empty.path()}})->judge(question("x"), Deadline::after_seconds(120));
  EXPECT_NE(missing.status().message().find("compute_score"), std::string::npos)
      << missing.status().message();
}

TEST(PythonReward, MissingInterpreterIsNamed) {
  const TempFile file(kScript);
  const auto reward = make("python", {{"path", file.path()}, {"interpreter", "/no/such/python"}});
  const auto result = reward->judge(question("x"), Deadline::after_seconds(120));
  EXPECT_EQ(result.status().code(), StatusCode::not_found);
  EXPECT_NE(result.status().message().find("/no/such/python"), std::string::npos);
}

TEST(CommandReward, SpeaksJsonLines) {
  const auto one =
      make("command", {{"argv", {"sh", "-c", "while read line; do echo '{\"score\": 1}'; done"}}});
  EXPECT_EQ(one->judge(question("x"), Deadline::after_seconds(120))->value, 1);
  EXPECT_EQ(one->judge(question("x"), Deadline::after_seconds(120))->value, 1);
  const auto garbage =
      make("command", {{"argv", {"sh", "-c", "while read line; do echo garbage; done"}}});
  const auto bad = garbage->judge(question("x"), Deadline::after_seconds(120));
  EXPECT_EQ(bad.status().code(), StatusCode::corrupt);
  EXPECT_NE(bad.status().message().find("garbage"), std::string::npos);
  const auto silent = make("command", {{"argv", {"sh", "-c", "echo trouble >&2; exit 4"}}});
  const auto gone = silent->judge(question("x"), Deadline::after_seconds(120));
  EXPECT_EQ(gone.status().code(), StatusCode::unavailable);
  EXPECT_NE(gone.status().message().find("trouble"), std::string::npos) << gone.status().message();
}

TEST(PluginScore, RefusesWhatIsNoScore) {
  EXPECT_EQ(plugin_score({{"score", 0.5}}, "", "p")->value, 0.5);
  EXPECT_TRUE(plugin_score({{"score", true}}, "", "p")->correct);
  EXPECT_FALSE(plugin_score({{"score", 1}, {"correct", false}}, "", "p")->correct);
  for (const Json& reply :
       {Json{{"score", "1"}}, Json{{"score", nullptr}}, Json{{"result", 1}}, Json::object()}) {
    EXPECT_EQ(plugin_score(reply, "", "p").status().code(), StatusCode::corrupt)
        << dump_json(reply);
  }
  EXPECT_EQ(plugin_score({{"error", "why"}}, "", "p").status().message(), "p: why");
  EXPECT_EQ(plugin_score({{"score", 1}, {"error", nullptr}}, "", "p")->value, 1);
}

TEST(PluginScore, StepValuesLieWithinTheCharactersOfTheCompletion) {
  const std::string completion = "\u00e9\n\nb";  // four characters in five bytes
  const auto score = [&](const char* steps) {
    return plugin_score({{"score", 1}, {"step_values", Json::parse(steps)}}, completion, "p");
  };
  const auto two = score(R"([{"end": 3, "value": 0.5}, {"end": 4, "value": -1}])");
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_EQ(two->step_values, (std::vector<data::StepValue>{{3, 0.5}, {4, -1}}));
  EXPECT_TRUE(two->figures.empty());
  EXPECT_TRUE(score("null")->step_values.empty());
  EXPECT_EQ(score(R"([{"end": 5, "value": 1}])").status().message(),
            "p: 'step_values': the last step ends at character 5, but the completion has 4");
  EXPECT_EQ(score(R"([{"end": 2, "value": 1}, {"end": 2, "value": 1}])").status().message(),
            "p: 'step_values': step 2: 'end' is 2, but the step begins at character 2");
  for (const char* steps : {"0.5", "[0.5]", "{}", R"([{"end": 1}])", R"([{"value": 1}])"})
    EXPECT_FALSE(score(steps).ok()) << steps;
}

class Server {
 public:
  Server() {
    server_.Post("/score", [this](const httplib::Request& request, httplib::Response& response) {
      const auto json = Json::parse(request.body);
      const auto what = json["completion"].get<std::string>();
      // Longer than the deadline, but no longer than the server is open.
      for (int i = 0; what == "slow" && i < 1000 && !closing_; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      if (what == "500") response.status = 500;
      if (what == "404") response.status = 404;
      std::string body =
          "{\"score\": 0.25, \"answer\": \"" + json["ground_truth"].get<std::string>() + "\"}";
      if (what == "garbage") body = "<html>";
      if (what == "error") body = "{\"error\": \"no\"}";
      response.set_content(body, "application/json");
    });
    server_.Post("/trickle", [this](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider(
          "application/json", [this](size_t, httplib::DataSink& sink) {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            return sink.write(" ", 1) && !closing_;
          });
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Server() {
    closing_ = true;
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path = "/score") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }

 private:
  httplib::Server server_;
  std::atomic<bool> closing_{false};
  int port_ = 0;
  std::thread thread_;
};

TEST(HttpReward, ScoresThroughAService) {
  const Server server;
  const auto reward = make("http", {{"url", server.url()}});
  const auto score = reward->judge(question("x"), Deadline::after_seconds(120));
  ASSERT_TRUE(score.ok()) << score.status().to_string();
  EXPECT_EQ(score->value, 0.25);
  EXPECT_EQ(score->answer, "truth");
}

TEST(HttpReward, TellsFailuresApart) {
  const Server server;
  const auto reward = make("http", {{"url", server.url()}});
  const auto code = [&](const char* what) {
    return reward->judge(question(what), Deadline::after_seconds(120)).status().code();
  };
  EXPECT_EQ(code("500"), StatusCode::unavailable);
  EXPECT_EQ(code("404"), StatusCode::invalid_argument);
  EXPECT_EQ(code("garbage"), StatusCode::corrupt);
  EXPECT_EQ(code("error"), StatusCode::invalid_argument);
  const auto refused = make("http", {{"url", "http://127.0.0.1:1/score"}});
  EXPECT_EQ(refused->judge(question("x"), Deadline::after_seconds(120)).status().code(),
            StatusCode::unavailable);
}

TEST(HttpReward, AnotherServiceReplacesOneThatIsGone) {
  const Server a, b;
  const auto reward = make("http", {{"url", {a.url(), "http://127.0.0.1:1/score", b.url()}}});
  for (int i = 0; i < 6; ++i) {
    const auto score = reward->judge(question("x"), Deadline::after_seconds(120));
    EXPECT_TRUE(score.ok()) << score.status().to_string();
  }
  // When all of them fail the stage repeats the judgement.
  EXPECT_EQ(reward->judge(question("500"), Deadline::after_seconds(120)).status().code(),
            StatusCode::unavailable);
}

TEST(HttpReward, SlowAndTricklingServersMeetTheDeadline) {
  const Server server;
  for (const char* path : {"/score", "/trickle"}) {
    const auto reward = make("http", {{"url", server.url(path)}});
    Stopwatch watch;
    const auto late = reward->judge(question("slow"), Deadline::after_seconds(0.3));
    EXPECT_EQ(late.status().code(), StatusCode::timeout) << path << late.status().to_string();
    EXPECT_LT(watch.seconds(), 30.0) << path;
  }
}

TEST(HttpReward, StopRequestEndsTheCall) {
  const Server server;
  const auto reward = make("http", {{"url", server.url("/trickle")}});
  std::thread stopper([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    request_stop();
  });
  Stopwatch watch;
  EXPECT_EQ(reward->judge(question("x"), Deadline::after_seconds(60)).status().code(),
            StatusCode::cancelled);
  EXPECT_LT(watch.seconds(), 30.0);
  stopper.join();
  clear_stop_request();
}

TEST(HttpReward, BadUrlsAreRefused) {
  for (const char* url : {"", "localhost", "ftp://x/", "http://", "http:///x"}) {
    const auto reward = make_reward(
        {.type = "http", .weight = 1, .decides_correct = true, .options = {{"url", url}}});
    EXPECT_EQ(reward.status().code(), StatusCode::invalid_argument) << url;
  }
}

}  // namespace
}  // namespace longshot::reward
