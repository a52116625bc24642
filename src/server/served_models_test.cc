// Adapters beside their base as clients see them, with real arithmetic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/os/clock.h"
#include "base/os/fs.h"
#include "model/format/adapters/adapter.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/testing.h"
#include "server/server.h"
#include "server/testing.h"

namespace longshot::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* kPrompt = "a prompt that fills more than one block of the cache";

// A model of two layers, in this process.
struct Served {
  Served(const model::ModelConfig& config_in, std::vector<model::HostTensor> weights)
      : tokenizer(*tokenizer::parse(tokenizer::small_bpe())),
        worker(engine_of(config_in, weights), {.max_waiting = 16}),
        context{.worker = worker,
                .metrics = metrics,
                .tokenizer = *tokenizer,
                .chat_template = chat_template,
                .config = config_in,
                .models = models,
                .may_load_adapters = true,
                .system = "",
                .timeout_seconds = 60},
        routes(all_routes(context)) {}

  std::unique_ptr<rollout::Engine> engine_of(const model::ModelConfig& config,
                                             const std::vector<model::HostTensor>& weights) {
    auto runner = rollout::make_cpu_runner({.max_running = 8, .max_sequence = 256}, 1);
    EXPECT_TRUE(runner->load_weights(model::view_of(config, weights)).ok());
    auto engine = std::make_unique<rollout::Engine>(std::move(runner), tokenizer.get(), 1);
    engine->keep_finished(true);
    return engine;
  }

  net::Reply call(const std::string& method, const std::string& path, const std::string& body) {
    for (const net::Route& route : routes) {
      const bool below = route.path.ends_with("/") && path.starts_with(route.path);
      if (route.method == method && (route.path == path || below))
        return route.handler({method, path, body, {}, {}, {}});
    }
    return {.status = 0, .body = "no such route: " + path};
  }
  net::Reply post(const std::string& path, const Json& body) {
    return call("POST", path, body.dump());
  }
  net::Reply load(const std::string& name, const std::string& path, bool in_place = false) {
    return post("/v1/load_lora_adapter",
                {{"lora_name", name}, {"lora_path", path}, {"load_inplace", in_place}});
  }
  net::Reply unload(const std::string& name) {
    return post("/v1/unload_lora_adapter", {{"lora_name", name}});
  }
  Json complete(const std::string& model, const Json& more = Json::object()) {
    Json body = {{"model", model}, {"prompt", kPrompt},        {"max_tokens", 12},
                 {"seed", 4},      {"return_token_ids", true}, {"ignore_eos", true}};
    body.update(more);
    return ok(post("/v1/completions", body));
  }
  Json tokens(const std::string& model, const Json& more = Json::object()) {
    return complete(model, more)["choices"][0]["token_ids"];
  }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    const Json list = ok(call("GET", "/v1/models", ""));
    for (const Json& model : list["data"]) names.push_back(model["id"]);
    return names;
  }

  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat_template;  // plain
  ModelMetrics metrics;
  rollout::EngineThread worker;
  ServedModels models{{.name = "base", .root = "models/base"}};
  Context context;
  std::vector<net::Route> routes;
};

class ServedAdapters : public ::testing::Test {
 protected:
  ServedAdapters() : served_(config(), rollout::random_model(config(), 1)->tensors) {
    for (const int i : {1, 2, 3}) {
      const Status written = model::write_adapter(folder(i), adapter(i));
      EXPECT_TRUE(written.ok()) << written.message();
    }
  }
  static model::ModelConfig config() {
    model::ModelConfig c = rollout::small_config();
    c.vocab_size = (*tokenizer::parse(tokenizer::small_bpe()))->vocab_size();
    return c;
  }
  static model::Adapter adapter(int number) {
    const std::vector<std::string> targets =
        number == 1 ? std::vector<std::string>{"all-linear"} : std::vector<std::string>{"v_proj"};
    return rollout::random_adapter(config(), {.rank = 2 * number, .alpha = 8}, targets,
                                   static_cast<uint64_t>(number));
  }
  static std::unique_ptr<Served> merged(int number) {
    auto model = rollout::random_model(config(), 1);
    model::merge_adapter(adapter(number), model->tensors);
    return std::make_unique<Served>(config(), std::move(model->tensors));
  }
  std::string folder(int number) const { return directory_ / std::to_string(number); }
  void edit(int number, const std::string& key, const Json& value) const {
    const std::string path = folder(number) + "/adapter_config.json";
    Json json = *read_json_file(path);
    json[key] = value;
    model::write_scratch(path, json.dump());
  }
  // The message of a load that must fail, after which nothing has changed.
  std::string refused(const std::string& name, const std::string& path, int status,
                      const char* param = "lora_path") {
    const auto before = served_.names();
    const Json error = longshot::server::error(served_.load(name, path), status);
    EXPECT_EQ(error["param"], param);
    EXPECT_EQ(served_.names(), before);
    return error["message"];
  }

  const model::TemporaryDirectory directory_;
  Served served_;
};

TEST_F(ServedAdapters, AreListedWithTheirBase) {
  ok(served_.load("two", folder(2)));
  ok(served_.load("a/b", folder(1)));
  EXPECT_THAT(served_.names(), ElementsAre("base", "a/b", "two"));
  const Json base = ok(served_.call("GET", "/v1/models/base", ""));
  EXPECT_EQ(base["root"], "models/base");
  EXPECT_TRUE(base["parent"].is_null());
  const Json two = ok(served_.call("GET", "/v1/models/two", ""));
  EXPECT_EQ(two["root"], folder(2));
  EXPECT_EQ(two["parent"], "base");
  EXPECT_EQ(two["max_model_len"], 256);
  EXPECT_EQ(ok(served_.call("GET", "/v1/models/a/b", ""))["id"], "a/b");
}

TEST_F(ServedAdapters, AnUnknownNameIsAnErrorThatListsTheNames) {
  ok(served_.load("one", folder(1)));
  for (const char* route : {"/v1/completions", "/v1/chat/completions"}) {
    const Json body = {
        {"model", "three"}, {"prompt", "x"}, {"messages", {{{"role", "user"}, {"content", "x"}}}}};
    const Json why = error(served_.post(route, body), 404);
    EXPECT_EQ(why["message"], "the model 'three' does not exist; this server has base, one");
    EXPECT_EQ(why["param"], "model");
    EXPECT_EQ(why["code"], "model_not_found");
    EXPECT_EQ(why["type"], "invalid_request_error");
  }
  EXPECT_EQ(error(served_.call("GET", "/v1/models/three", ""), 404)["code"], "model_not_found");
}

// n, best_of, echo with the log-probabilities of the prompt, streams and chats.
TEST_F(ServedAdapters, AnswerEveryKindOfRequestLikeAMergedModel) {
  ok(served_.load("one", folder(1)));
  ok(served_.load("two", folder(2)));
  double worst = 0;
  for (const int number : {1, 2}) {
    const std::string name = number == 1 ? "one" : "two";
    const auto alone = merged(number);
    for (const Json& more :
         {Json{{"temperature", 0}, {"logprobs", 3}}, Json{{"n", 3}, {"logprobs", 0}},
          Json{{"n", 2}, {"best_of", 4}, {"logprobs", 1}},
          Json{{"echo", true}, {"logprobs", 2}, {"max_tokens", 0}}}) {
      const Json got = served_.complete(name, more), expected = alone->complete("base", more);
      EXPECT_EQ(got["model"], name);
      EXPECT_EQ(got["usage"], expected["usage"]);
      ASSERT_EQ(got["choices"].size(), expected["choices"].size());
      for (size_t i = 0; i < got["choices"].size(); ++i) {
        const Json &a = got["choices"][i], &b = expected["choices"][i];
        EXPECT_EQ(a["token_ids"], b["token_ids"]) << more;
        const Json &p = a["logprobs"]["token_logprobs"], &q = b["logprobs"]["token_logprobs"];
        ASSERT_EQ(p.size(), q.size());
        for (size_t t = more.contains("echo") ? 1 : 0; t < p.size(); ++t)
          worst = std::max(worst, std::abs(p[t].get<double>() - q[t].get<double>()));
      }
    }
    std::string text;
    const auto events = events_of(served_.post("/v1/completions", {{"model", name},
                                                                   {"prompt", kPrompt},
                                                                   {"max_tokens", 12},
                                                                   {"seed", 4},
                                                                   {"ignore_eos", true},
                                                                   {"stream", true}}));
    for (size_t i = 0; i + 1 < events.size(); ++i) {
      const Json event = Json::parse(events[i]);
      EXPECT_EQ(event["model"], name);
      text += event["choices"][0]["text"];
    }
    EXPECT_EQ(text, alone->complete("base")["choices"][0]["text"]);
    EXPECT_NE(served_.tokens(name), served_.tokens("base"));
  }
  printf("log-probabilities in answers: largest difference %.2g\n", worst);
  EXPECT_LT(worst, 1e-4);
}

TEST_F(ServedAdapters, AreNamedByPromptInGenerate) {
  ok(served_.load("one", folder(1)));
  const Json prompt = served_.tokenizer->encode(kPrompt);
  const auto generate = [&](const Json& names) {
    return served_.post("/generate",
                        {{"input_ids", {prompt, prompt, prompt}},
                         {"lora_path", names},
                         {"sampling_params", {{"max_new_tokens", 12}, {"temperature", 0}}}});
  };
  const Json mixed = ok(generate({"one", nullptr, "one"})), all = ok(generate("one")),
             none = ok(generate(nullptr));
  EXPECT_EQ(mixed[0]["output_ids"], all[1]["output_ids"]);
  EXPECT_EQ(mixed[1]["output_ids"], none[1]["output_ids"]);
  EXPECT_EQ(mixed[2]["output_ids"], all[2]["output_ids"]);
  EXPECT_NE(mixed[0]["output_ids"], mixed[1]["output_ids"]);
  EXPECT_THAT(error(generate({"one", nullptr}), 400)["message"].get<std::string>(),
              HasSubstr("2 names for 3 prompts"));
  EXPECT_EQ(error(generate("two"), 404)["param"], "lora_path");
  EXPECT_EQ(error(generate(7), 400)["param"], "lora_path");
}

// A name that is used again must never find what the old adapter has computed for the same prompt.
TEST_F(ServedAdapters, ANameThatIsUsedAgainHasTheNewWeights) {
  const Json greedy = {{"temperature", 0}};
  ok(served_.load("x", folder(1)));
  EXPECT_EQ(served_.tokens("x", greedy), merged(1)->tokens("base", greedy));
  EXPECT_THAT(refused("x", folder(2), 400), HasSubstr("'x' is already loaded"));
  EXPECT_EQ(served_.tokens("x", greedy), merged(1)->tokens("base", greedy));
  ok(served_.load("x", folder(2), true));
  EXPECT_EQ(served_.tokens("x", greedy), merged(2)->tokens("base", greedy));
  ok(served_.unload("x"));
  EXPECT_EQ(error(served_.post("/v1/completions", {{"model", "x"}, {"prompt", "a"}}), 404)["code"],
            "model_not_found");
  ok(served_.load("x", folder(3)));
  EXPECT_EQ(served_.tokens("x", greedy), merged(3)->tokens("base", greedy));
}

TEST_F(ServedAdapters, NewWeightsOfTheBaseKeepTheAdapters) {
  ok(served_.load("one", folder(1)));
  const auto other = rollout::random_model(config(), 2);
  const std::string path = directory_ / "other";
  ASSERT_TRUE(model::write_model(path, other->view, served_.tokenizer.get(), nullptr).ok());
  const Json before = served_.tokens("one");
  ok(served_.post("/update_weights", {{"path", path}}));
  model::merge_adapter(adapter(1), other->tensors);
  EXPECT_EQ(served_.tokens("one"), Served(config(), other->tensors).tokens("base"));
  EXPECT_NE(served_.tokens("one"), before);
}

TEST_F(ServedAdapters, WhatCannotBeServedIsRefusedByName) {
  EXPECT_THAT(refused("x", directory_ / "none", 404), HasSubstr("there is no adapter '"));
  EXPECT_THAT(refused("base", folder(1), 400), HasSubstr("name of the base model"));
  EXPECT_THAT(refused("", folder(1), 400), HasSubstr("empty"));
  ASSERT_TRUE(model::write_model(directory_ / "model", rollout::random_model(config(), 1)->view,
                                 served_.tokenizer.get(), nullptr)
                  .ok());
  EXPECT_THAT(refused("x", directory_ / "model", 400), HasSubstr("no adapter_config.json"));
  model::ModelConfig wide = config();
  wide.hidden_size = 96;
  ASSERT_TRUE(model::write_adapter(directory_ / "wide",
                                   rollout::random_adapter(wide, {.rank = 2}, {"up_proj"}, 1))
                  .ok());
  EXPECT_THAT(refused("x", directory_ / "wide", 400),
              AllOf(HasSubstr("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"),
                    HasSubstr("[2, 96]"), HasSubstr("[2, 72]")));
  model::ModelConfig deep = config();
  deep.num_layers = 4;
  ASSERT_TRUE(model::write_adapter(directory_ / "deep",
                                   rollout::random_adapter(deep, {.rank = 2}, {"up_proj"}, 1))
                  .ok());
  EXPECT_THAT(refused("x", directory_ / "deep", 400),
              AllOf(HasSubstr("layers.3.mlp.up_proj"), HasSubstr("not served beside its base")));
  edit(1, "use_dora", true);
  EXPECT_THAT(refused("x", folder(1), 400),
              AllOf(HasSubstr("1/adapter_config.json"), HasSubstr("use_dora"),
                    HasSubstr("served beside its base")));
  edit(2, "task_type", "SEQ_CLS");
  EXPECT_THAT(refused("x", folder(2), 400), HasSubstr("the adapter of a reward model"));
  edit(3, "layer_replication", Json::array({Json::array({0, 3})}));
  EXPECT_THAT(refused("x", folder(3), 400), HasSubstr("layer_replication"));
}

TEST_F(ServedAdapters, AreLoadedOnlyIfTheServerAllowsIt) {
  served_.context.may_load_adapters = false;
  EXPECT_EQ(error(served_.load("x", folder(1)), 403)["code"], "adapter_loading_off");
  EXPECT_EQ(error(served_.unload("x"), 403)["code"], "adapter_loading_off");
  served_.context.may_load_adapters = true;
  EXPECT_EQ(error(served_.unload("x"), 404)["param"], "lora_name");
  EXPECT_THAT(error(served_.unload("base"), 400)["message"].get<std::string>(),
              HasSubstr("cannot be unloaded"));
  EXPECT_EQ(error(served_.post("/v1/load_lora_adapter", {{"lora_name", "x"}}), 400)["param"],
            "lora_path");
}

TEST_F(ServedAdapters, AreNotMoreThanTheLimit) {
  served_.models.limit_adapters(2);
  ok(served_.load("one", folder(1)));
  ok(served_.load("two", folder(2)));
  EXPECT_THAT(refused("three", folder(3), 409),
              AllOf(HasSubstr("--max-loras"), HasSubstr("holds 2 adapters,")));
  EXPECT_EQ(error(served_.load("three", folder(3)), 409)["code"], "too_many_adapters");
  ok(served_.load("two", folder(3), true));
  ok(served_.unload("one"));
  ok(served_.load("three", folder(3)));
}

// An adapter without a name takes memory as long as a request uses it.
TEST_F(ServedAdapters, CountForTheLimitWhileRequestsUseThem) {
  served_.models.limit_adapters(1);
  ok(served_.load("x", folder(1)));
  auto in_use = served_.models.find("x");
  ok(served_.load("x", folder(2), true));
  EXPECT_THAT(refused("y", folder(3), 409), HasSubstr("1 of them for requests in flight"));
  EXPECT_EQ(error(served_.load("x", folder(3), true), 409)["code"], "too_many_adapters");
  in_use.reset();
  ok(served_.load("x", folder(3), true));
}

// The name is gone at once; the answer comes when the request that uses the adapter has ended.
TEST_F(ServedAdapters, UnloadingWaitsForRequestsInFlight) {
  ok(served_.load("one", folder(1)));
  const Json expected = served_.tokens("one");
  served_.worker.pause();
  auto answer = std::async(std::launch::async, [&] { return served_.tokens("one"); });
  const Deadline deadline = Deadline::after_seconds(30);
  while (served_.worker.stats().waiting + served_.worker.stats().running == 0 &&
         !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  auto unloaded = std::async(std::launch::async, [&] { return served_.unload("one"); });
  while (served_.names().size() > 1 && !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_THAT(served_.names(), ElementsAre("base"));
  EXPECT_EQ(unloaded.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  served_.worker.resume();
  EXPECT_EQ(answer.get(), expected);
  EXPECT_EQ(unloaded.get().status, 200);
}

// A request keeps the adapter that its name meant when it arrived.
TEST_F(ServedAdapters, ComeAndGoWhileClientsUseThem) {
  const Json base = served_.tokens("base"), one = merged(1)->tokens("base"),
             two = merged(2)->tokens("base");
  std::atomic<bool> over{false};
  std::atomic<int> answered{0}, unknown{0};
  const auto be_a_client = [&](const std::string& name) {
    const Json body = {{"model", name}, {"prompt", kPrompt},        {"max_tokens", 12},
                       {"seed", 4},     {"return_token_ids", true}, {"ignore_eos", true}};
    while (!over) {
      const net::Reply reply = served_.post("/v1/completions", body);
      const Json answer = Json::parse(reply.body);
      if (reply.status == 404 && name == "x") {
        ++unknown;
        continue;
      }
      EXPECT_EQ(reply.status, 200) << reply.body;
      const Json tokens = answer["choices"][0]["token_ids"];
      EXPECT_TRUE(name == "x" ? tokens == one || tokens == two : tokens == base) << tokens;
      ++answered;
    }
  };
  std::vector<std::thread> clients;
  for (const char* name : {"x", "base", "x", "base"}) clients.emplace_back(be_a_client, name);
  for (int round = 0; round < 8; ++round) {
    EXPECT_EQ(served_.load("x", folder(1)).status, 200);
    EXPECT_EQ(served_.load("x", folder(2), true).status, 200);
    EXPECT_EQ(served_.unload("x").status, 200);
  }
  const Deadline deadline = Deadline::after_seconds(30);
  while ((answered < 8 || unknown == 0) && !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  over = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GE(answered, 8);
  EXPECT_GT(unknown, 0);
  EXPECT_THAT(served_.names(), ElementsAre("base"));
}

}  // namespace
}  // namespace longshot::server
