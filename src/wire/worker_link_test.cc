#include "wire/worker_link.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "net/tls/testing.h"
#include "wire/credentials.h"
#include "wire/rollout.grpc.pb.h"
#include "wire/worker_server.h"

namespace longshot::wire {
namespace {

constexpr double kPatience = 20;  // seconds; nothing here takes a tenth of a second

// Records events; wait() blocks until they fulfil a condition.
struct Log {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<LinkId> opened, closed;
  std::map<LinkId, std::vector<FromWorker>> received;

  LinkEvents events() {
    return {.opened = [this](LinkId link,
                             const std::string&) { note([&] { opened.push_back(link); }); },
            .received =
                [this](LinkId link, FromWorker message) {
                  note([&] { received[link].push_back(std::move(message)); });
                },
            .closed = [this](LinkId link) { note([&] { closed.push_back(link); }); }};
  }
  template <typename Action>
  void note(Action action) {
    std::lock_guard lock(mutex);
    action();
    changed.notify_all();
  }
  template <typename Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::duration<double>(kPatience), condition);
  }
};

std::unique_ptr<WorkerServer> serve(Log& log, const LinkOptions& options = {}) {
  auto server = WorkerServer::start("127.0.0.1:0", options, log.events());
  EXPECT_TRUE(server.ok()) << server.status().message();
  return std::move(server).value();
}

std::unique_ptr<WorkerLink> dial(const WorkerServer& server, const LinkOptions& options = {}) {
  return *WorkerLink::dial("127.0.0.1:" + std::to_string(server.port()), options);
}

Result<std::optional<ToWorker>> next(WorkerLink& link) {
  return link.receive(Deadline::after_seconds(kPatience));
}

TEST(WorkerLink, MessagesArriveInOrderInBothDirections) {
  Log log;
  const auto server = serve(log);
  const auto link = dial(*server);
  for (int i = 0; i < 500; ++i) link->send(Ready{i});
  ASSERT_TRUE(log.wait([&] { return !log.opened.empty() && log.received[1].size() == 500; }));
  for (int i = 0; i < 500; ++i) EXPECT_EQ(std::get<Ready>(log.received[1][i]).version, i);
  for (int i = 0; i < 500; ++i) server->send(1, NewWeights{i, {}});
  for (int i = 0; i < 500; ++i) {
    const auto message = next(*link);
    ASSERT_TRUE(message.ok() && *message);
    EXPECT_EQ(std::get<NewWeights>(**message).version, i);
  }
}

TEST(WorkerLink, ReceiveReturnsNothingAtItsDeadline) {
  Log log;
  const auto server = serve(log);
  const auto link = dial(*server);
  const auto message = link->receive(Deadline::after_seconds(0.05));
  ASSERT_TRUE(message.ok());
  EXPECT_FALSE(message->has_value());
}

TEST(WorkerLink, AWorkerThatLeavesIsClosedOnce) {
  Log log;
  const auto server = serve(log);
  auto link = dial(*server);
  auto other = dial(*server);
  ASSERT_TRUE(log.wait([&] { return log.opened.size() == 2; }));
  link.reset();
  ASSERT_TRUE(log.wait([&] { return log.closed.size() == 1; }));
  server->send(log.closed[0], End{"late"});  // has no effect
  other.reset();
  ASSERT_TRUE(log.wait([&] { return log.closed.size() == 2; }));
  EXPECT_NE(log.closed[0], log.closed[1]);
}

TEST(WorkerLink, CloseTellsTheReasonAfterTheMessages) {
  Log log;
  const auto server = serve(log);
  const auto link = dial(*server);
  ASSERT_TRUE(log.wait([&] { return !log.opened.empty(); }));
  server->send(1, End{"done"});
  server->close(1, unavailable("the run has ended"));
  const auto message = next(*link);
  ASSERT_TRUE(message.ok() && *message);
  EXPECT_EQ(std::get<End>(**message).reason, "done");
  const auto end = next(*link);
  EXPECT_EQ(end.status().code(), StatusCode::unavailable);
  EXPECT_NE(end.status().message().find("the run has ended"), std::string::npos);
}

TEST(WorkerLink, AServerThatEndsClosesItsLinks) {
  Log log;
  auto server = serve(log);
  const auto link = dial(*server);
  ASSERT_TRUE(log.wait([&] { return !log.opened.empty(); }));
  server.reset();
  EXPECT_EQ(next(*link).status().code(), StatusCode::unavailable);
  EXPECT_TRUE(log.closed.empty());
}

TEST(WorkerLink, NobodyListensIsAnErrorThatNamesTheAddress) {
  const auto link = *WorkerLink::dial("127.0.0.1:1", {});
  const auto message = next(*link);
  EXPECT_EQ(message.status().code(), StatusCode::unavailable);
  EXPECT_NE(message.status().message().find("127.0.0.1:1"), std::string::npos);
}

TEST(WorkerLink, TheProtocolOfTheCoordinatorIsKnownOnceItAdmitsTheWorker) {
  Log log;
  const auto server = serve(log, {"secret"});
  const auto soon = Deadline::after_seconds(kPatience);
  EXPECT_EQ(dial(*server, {"secret"})->protocol(soon).value(), kProtocol);
  EXPECT_EQ(dial(*server, {"wrong"})->protocol(soon).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ((*WorkerLink::dial("127.0.0.1:1", {}))->protocol(soon).status().code(),
            StatusCode::unavailable);
}

TEST(WorkerLink, AWorkerWithoutTheTokenGetsNowhere) {
  Log log;
  const auto server = serve(log, {.token = "secret", .tls = {}});
  for (const char* token : {"", "wrong", "secret2"}) {
    const auto link = dial(*server, {.token = token, .tls = {}});
    link->send(Ready{1});
    EXPECT_EQ(next(*link).status().code(), StatusCode::invalid_argument) << token;
  }
  const auto link = dial(*server, {.token = "secret", .tls = {}});
  link->send(Ready{2});
  ASSERT_TRUE(log.wait([&] { return !log.received.empty(); }));
  EXPECT_EQ(log.opened.size(), 1u);
  EXPECT_EQ(std::get<Ready>(log.received.begin()->second[0]).version, 2);
}

TEST(WorkerLink, MessagesTravelOverTls) {
  Log log;
  net::TestAuthority authority;
  const LinkOptions coordinator{"secret", authority.identity({"127.0.0.1"})};
  const auto server = serve(log, coordinator);
  const auto link = dial(*server, {"secret", authority.identity({"worker"})});
  link->send(Ready{3});
  ASSERT_TRUE(log.wait([&] { return !log.received.empty(); }));
  server->send(1, NewWeights{4, {}});
  const auto message = next(*link);
  ASSERT_TRUE(message.ok() && *message);
  EXPECT_EQ(std::get<NewWeights>(**message).version, 4);
  const auto tokenless = dial(*server, {"", authority.identity({"worker"})});
  EXPECT_EQ(next(*tokenless).status().code(), StatusCode::invalid_argument);
}

// What a client with these credentials of gRPC gets from the server.
grpc::StatusCode attach(const WorkerServer& server,
                        const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = pb::Rollout::NewStub(grpc::CreateCustomChannel(
      "127.0.0.1:" + std::to_string(server.port()), credentials, arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const auto stream = stub->Attach(&context);
  pb::ToWorker message;
  EXPECT_FALSE(stream->Read(&message));
  return stream->Finish().error_code();
}

TEST(WorkerLink, WithoutACertificateOfTheAuthorityNothingIsOpened) {
  Log log;
  net::TestAuthority authority, other;
  const auto server = serve(log, {"", authority.identity({"127.0.0.1"})});
  const std::string trusted = authority.pem().certificate;
  const auto made = [&](net::TestAuthority& signer, const net::Validity& validity) {
    return net::make_certificate(signer.pem(), {"worker"}, validity, "test").value();
  };
  const auto foreign = made(other, net::valid_for(1)), old = made(authority, net::expired());
  EXPECT_EQ(attach(*server, grpc::SslCredentials({trusted, "", ""})), grpc::UNAVAILABLE);
  EXPECT_EQ(attach(*server, grpc::SslCredentials({trusted, foreign.key, foreign.certificate})),
            grpc::UNAVAILABLE);
  EXPECT_EQ(attach(*server, grpc::SslCredentials({trusted, old.key, old.certificate})),
            grpc::UNAVAILABLE);
  EXPECT_EQ(attach(*server, grpc::InsecureChannelCredentials()), grpc::UNAVAILABLE);
  EXPECT_TRUE(log.opened.empty());
}

// The coordinator moves to another authority, then its worker.
TEST(WorkerLink, RenewedCertificatesAreUsedByNewConnections) {
  Log log;
  net::TestAuthority before, after;
  const std::string of_server = before.folder({"127.0.0.1"}), of_worker = before.folder({"worker"});
  const auto server = serve(log, {"", net::IdentityFolder::open(of_server).value()});
  const LinkOptions own{"", net::IdentityFolder::open(of_worker).value()};
  const auto held = dial(*server, own);
  held->send(Ready{1});
  ASSERT_TRUE(log.wait([&] { return log.received.size() == 1; }));
  net::TestAuthority::replace(of_server, after.folder({"127.0.0.1"}));
  EXPECT_EQ(next(*dial(*server, own)).status().code(), StatusCode::unavailable);
  net::TestAuthority::replace(of_worker, after.folder({"worker"}));
  const auto renewed = dial(*server, own);
  renewed->send(Ready{2});
  ASSERT_TRUE(log.wait([&] { return log.received.size() == 2; }));
  held->send(Ready{3});
  ASSERT_TRUE(log.wait([&] { return log.received[log.opened[0]].size() == 2; }));
}

TEST(WorkerLink, AWorkerDoesNotTalkToAnotherServer) {
  Log log;
  net::TestAuthority authority, other;
  const LinkOptions own{"", authority.identity({"worker"})};
  for (const LinkOptions& coordinator :
       {LinkOptions{"", other.identity({"127.0.0.1"})},
        LinkOptions{"", authority.identity({"another"})}, LinkOptions{}}) {
    const auto server = serve(log, coordinator);
    EXPECT_EQ(next(*dial(*server, own)).status().code(), StatusCode::unavailable);
  }
  EXPECT_TRUE(log.opened.empty());
}

TEST(WorkerServer, AnAddressInUseIsAnError) {
  Log log;
  const auto server = serve(log);
  const auto second =
      WorkerServer::start("127.0.0.1:" + std::to_string(server->port()), {}, log.events());
  EXPECT_EQ(second.status().code(), StatusCode::unavailable);
}

}  // namespace
}  // namespace longshot::wire
