#include "publish/engine/weight_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/bulk/http_get.h"
#include "publish/engine/testing.h"

namespace longshot::publish {
namespace {

using testing::HasSubstr;

Deadline soon() {
  return Deadline::after_seconds(10);
}

struct Fixture : testing::Test {
  void start(const std::string& token = "") {
    store = store_in(folder.path());
    server = WeightServer::start(*store, {.credentials = {token}}).value();
  }
  Result<std::string> get(const std::string& path, const std::string& token = "") {
    const net::Url url{"http://127.0.0.1:" + std::to_string(server->port()), path};
    return net::http_get(url, {token}, 1 << 30, soon());
  }

  MemoryFolder folder;
  std::unique_ptr<WeightStore> store;
  std::unique_ptr<WeightServer> server;
};
using WeightServerTest = Fixture;

TEST_F(WeightServerTest, ServesStateManifestDataAndFiles) {
  start();
  const RandomVersion one = random_version(1, {1000}, 1), two = random_version(2, {3000, 5}, 2);
  EXPECT_EQ(parse_server_state(get("/v1/checkpoints/run").value(), "s")->versions.size(), 0u);
  ASSERT_TRUE(put(*store, one).ok());
  ASSERT_TRUE(put(*store, two).ok());
  const auto state = parse_server_state(get("/v1/checkpoints/run").value(), "s");
  ASSERT_TRUE(state.ok()) << state.status().to_string();
  ASSERT_EQ(state->versions.size(), 2u);
  EXPECT_EQ(state->run, "run");
  EXPECT_EQ(state->readers, 0);
  EXPECT_EQ(state->versions[1].id, (VersionId{0, 2}));
  EXPECT_EQ(state->versions[1].bytes, two.data.size());
  EXPECT_EQ(state->versions[1].fingerprint, fingerprint(two.manifest));
  for (const char* name : {"2", "0-2", "latest"}) {
    const std::string path = std::string("/v1/checkpoints/run/") + name;
    EXPECT_EQ(get(path + "/manifest").value(), to_json(two.manifest));
    EXPECT_EQ(get(path + "/data").value(), two.data);
    EXPECT_EQ(get(path + "/files/config.json").value(), two.files.at("config.json"));
  }
  EXPECT_EQ(get("/v1/checkpoints/run/1/data").value(), one.data);
}

TEST_F(WeightServerTest, AVersionThatIsBeingFetchedIsServedInPieces) {
  start();
  const RandomVersion one = random_version(1, {1'100'000}, 1);
  const std::vector<Chunk> chunks = chunks_of(one.manifest);
  auto writer = store->write(soon()).value();
  ASSERT_TRUE(writer.reserve(id_of(one.manifest), one.data.size()).ok());
  ASSERT_TRUE(writer.write_at(0, one.data).ok());
  const std::string path = "/v1/checkpoints/run/0-1";
  EXPECT_EQ(get(path + "/pieces").status().code(), StatusCode::not_found);
  const auto growing = writer.show(one.manifest).value();
  growing->add(1);
  EXPECT_EQ(parse_pieces(get(path + "/pieces").value(), 3, "s")->chunks,
            (std::vector<bool>{false, true, false}));
  auto connection =
      net::HttpGet::connect({"http://127.0.0.1:" + std::to_string(server->port()), ""}, {}, soon())
          .value();
  const net::ByteRange here{chunks[1].begin, chunks[1].end}, not_here{0, chunks[1].end};
  ASSERT_EQ(connection.ask(path + "/data", here, soon())->status, 206);
  EXPECT_EQ(connection.read_all(1 << 30, soon()).value(), one.data.substr(here.begin, here.size()));
  EXPECT_EQ(connection.ask(path + "/data", not_here, soon())->status, 503);
  ASSERT_TRUE(connection.read_all(1 << 20, soon()).ok());
  EXPECT_EQ(connection.ask(path + "/data", std::nullopt, soon())->status, 503);
  EXPECT_EQ(parse_server_state(get("/v1/checkpoints/run").value(), "s")->versions.size(), 0u);
  for (const auto& [name, content] : one.files) ASSERT_TRUE(writer.add_file(name, content).ok());
  ASSERT_TRUE(writer.commit(one.manifest).ok());
  EXPECT_TRUE(parse_pieces(get(path + "/pieces").value(), 3, "s")->complete);
  EXPECT_EQ(get(path + "/data").value(), one.data);
}

TEST_F(WeightServerTest, WhatIsNotThereIsA404ThatSaysSo) {
  start();
  ASSERT_TRUE(put(*store, random_version(1, {1000}, 1)).ok());
  const struct {
    const char *path, *message;
  } cases[] = {{"other", "run 'run' only"},
               {"other/1/data", "run 'run' only"},
               {"run/2/data", "no version '2'"},
               {"run/1-1/data", "no version '1-1'"},
               {"run/x/data", "no version 'x'"},
               {"run/1/nothing", "manifest, data, pieces, delta and files"},
               {"run/1/data/x", "manifest, data, pieces, delta and files"},
               {"run/1/files/other.json", "other.json"},
               {"run/1/files/../manifest.json", "no file"}};
  for (const auto& c : cases) {
    const auto reply = get(std::string("/v1/checkpoints/") + c.path);
    ASSERT_FALSE(reply.ok()) << c.path;
    EXPECT_THAT(reply.status().message(), HasSubstr("404")) << c.path;
    EXPECT_THAT(reply.status().message(), HasSubstr(c.message)) << c.path;
  }
}

TEST_F(WeightServerTest, ATokenGuardsAllButTheHealthCheck) {
  start("secret");
  ASSERT_TRUE(put(*store, random_version(1, {1000}, 1)).ok());
  EXPECT_TRUE(get("/v1/healthz").ok());
  EXPECT_THAT(get("/v1/checkpoints/run/1/data").status().message(), HasSubstr("401"));
  EXPECT_THAT(get("/v1/checkpoints/run", "Secret").status().message(), HasSubstr("401"));
  EXPECT_TRUE(get("/v1/checkpoints/run/1/data", "secret").ok());
}

TEST_F(WeightServerTest, ReadersAreCountedAndTheirVersionOutlivesItsRemoval) {
  start();
  const RandomVersion first = random_version(1, {8'000'000}, 1);
  ASSERT_TRUE(put(*store, first).ok());
  auto connection =
      net::HttpGet::connect({"http://127.0.0.1:" + std::to_string(server->port()), "/"}, {}, soon())
          .value();
  const auto head = connection.ask("/v1/checkpoints/run/1/data", std::nullopt, soon());
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(server->readers(), 1);
  for (int64_t v = 2; v <= 4; ++v) ASSERT_TRUE(put(*store, random_version(v, {10}, 1)).ok());
  EXPECT_EQ(store->find(1), nullptr);
  EXPECT_EQ(connection.read_all(1 << 30, soon()).value(), first.data);
  const Deadline end = soon();
  while (server->readers() > 0 && !end.expired()) usleep(1000);
  EXPECT_EQ(server->readers(), 0);
  EXPECT_TRUE(server->stop(5));
}

TEST(ServerState, WrongTextsAreErrors) {
  for (const char* text : {"", "[]", "{}", R"({"run": "r", "readers": "x", "versions": []})",
                           R"({"run": "r", "readers": 0, "versions": [3]})"})
    EXPECT_FALSE(parse_server_state(text, "peer").ok()) << text;
}

}  // namespace
}  // namespace longshot::publish
