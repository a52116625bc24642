#include "wire/worker_server.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "base/text/text.h"
#include "wire/convert.h"
#include "wire/credentials.h"
#include "wire/rollout.grpc.pb.h"

namespace longshot::wire {
namespace {

class Stream;

// The streams that are open. It outlives every one of them.
class Registry {
 public:
  Registry(LinkOptions options, LinkEvents events)
      : options(std::move(options)), events(std::move(events)) {}

  LinkId add(Stream* stream) {
    std::lock_guard lock(mutex_);
    streams_[next_] = stream;
    return next_++;
  }
  void remove(LinkId link) {
    std::lock_guard lock(mutex_);
    streams_.erase(link);
    empty_.notify_all();
  }
  // Calls `action` with the stream of the link if it is open. The stream lives until it returns.
  template <typename Action>
  void with(LinkId link, Action action) {
    std::lock_guard lock(mutex_);
    const auto it = streams_.find(link);
    if (it != streams_.end()) action(*it->second);
  }
  template <typename Action>
  void with_all(Action action) {
    std::lock_guard lock(mutex_);
    for (auto& [link, stream] : streams_) action(*stream);
  }
  void wait_until_empty() {
    std::unique_lock lock(mutex_);
    empty_.wait(lock, [&] { return streams_.empty(); });
  }

  const LinkOptions options;
  const LinkEvents events;
  std::atomic<bool> silent{false};  // no event is called any more

 private:
  std::mutex mutex_;  // taken before that of a stream
  std::condition_variable empty_;
  std::map<LinkId, Stream*> streams_;
  LinkId next_ = 1;
};

// One worker's stream. gRPC calls the On... functions and owns the object until OnDone().
class Stream final : public grpc::ServerBidiReactor<pb::FromWorker, pb::ToWorker> {
 public:
  Stream(Registry& registry, grpc::CallbackServerContext& context) : registry_(registry) {
    link_ = registry_.add(this);
    if (!admits(context)) {
      finish(grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "the token is missing or wrong"));
      return;
    }
    opened_ = true;
    context.AddInitialMetadata(kProtocolKey, std::to_string(kProtocol));
    StartSendInitialMetadata();
    if (!registry_.silent) registry_.events.opened(link_, context.peer());
    StartRead(&incoming_);
  }

  void send(const ToWorker& message) {
    std::lock_guard lock(mutex_);
    if (finished_ || closing_) return;
    queue_.push_back(to_proto(message));
    write_next();
  }

  void close(const Status& reason) {
    std::lock_guard lock(mutex_);
    if (finished_ || closing_) return;
    closing_ = true;
    const bool final = reason.code() == StatusCode::invalid_argument;
    reason_ =
        grpc::Status(final ? grpc::StatusCode::FAILED_PRECONDITION : grpc::StatusCode::ABORTED,
                     reason.message());
    if (!writing_) finish_locked(reason_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return finish(grpc::Status::OK);
    auto message = from_proto(incoming_);
    if (!message.ok()) {
      return finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message.status().message()));
    }
    if (!registry_.silent) registry_.events.received(link_, std::move(message).value());
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (finished_) return;
    if (!ok) return finish_locked(grpc::Status::OK);
    queue_.pop_front();
    write_next();
    if (!writing_ && closing_) finish_locked(reason_);
  }

  void OnCancel() override { finish(grpc::Status::CANCELLED); }

  void OnDone() override {
    if (opened_ && !registry_.silent) registry_.events.closed(link_);
    registry_.remove(link_);
    delete this;
  }

 private:
  bool admits(const grpc::CallbackServerContext& context) const {
    if (registry_.options.token.empty()) return true;
    const auto& metadata = context.client_metadata();
    const auto it = metadata.find(kTokenKey);
    return it != metadata.end() && equal_secrets({it->second.data(), it->second.size()},
                                                 token_value(registry_.options.token));
  }

  void write_next() {  // requires mutex_
    if (writing_ || queue_.empty()) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }

  void finish(const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    finish_locked(status);
  }
  void finish_locked(const grpc::Status& status) {
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  Registry& registry_;
  LinkId link_ = 0;
  bool opened_ = false;
  pb::FromWorker incoming_;
  std::mutex mutex_;  // guards the fields below
  std::deque<pb::ToWorker> queue_;
  grpc::Status reason_;
  bool writing_ = false, closing_ = false, finished_ = false;
};

class Service final : public pb::Rollout::CallbackService {
 public:
  explicit Service(Registry& registry) : registry_(registry) {}
  grpc::ServerBidiReactor<pb::FromWorker, pb::ToWorker>* Attach(
      grpc::CallbackServerContext* context) override {
    return new Stream(registry_, *context);
  }

 private:
  Registry& registry_;
};

}  // namespace

class WorkerServer::Impl {
 public:
  Impl(const LinkOptions& options, LinkEvents events)
      : registry_(options, std::move(events)), service_(registry_) {}

  Status start(const std::string& listen) {
    quiet_grpc();
    grpc::ServerBuilder builder;
    credentials_ = server_credentials(registry_.options);
    builder.AddListeningPort(listen, credentials_, &port_);
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingEveryMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kPingEveryMs / 2);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ <= 0) return unavailable("cannot listen on " + listen);
    return ok_status();
  }

  ~Impl() {
    registry_.silent = true;
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());  // cancels all calls
    registry_.wait_until_empty();
  }

  int port() const { return port_; }
  void send(LinkId link, const ToWorker& message) {
    registry_.with(link, [&](Stream& stream) { stream.send(message); });
  }
  void close(LinkId link, const Status& reason) {
    registry_.with(link, [&](Stream& stream) { stream.close(reason); });
  }

 private:
  Registry registry_;
  Service service_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

Result<std::unique_ptr<WorkerServer>> WorkerServer::start(const std::string& listen,
                                                          const LinkOptions& options,
                                                          LinkEvents events) {
  auto impl = std::make_unique<Impl>(options, std::move(events));
  LS_RETURN_IF_ERROR(impl->start(listen));
  return std::unique_ptr<WorkerServer>(new WorkerServer(std::move(impl)));
}

WorkerServer::WorkerServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerServer::~WorkerServer() = default;

int WorkerServer::port() const {
  return impl_->port();
}
void WorkerServer::send(LinkId link, ToWorker message) {
  impl_->send(link, message);
}
void WorkerServer::close(LinkId link, const Status& reason) {
  impl_->close(link, reason);
}

}  // namespace longshot::wire
