#include "wire/worker_link.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "wire/convert.h"
#include "wire/credentials.h"
#include "wire/rollout.grpc.pb.h"

namespace longshot::wire {

// gRPC calls the On... functions on its own threads.
class WorkerLink::Impl final : public grpc::ClientBidiReactor<pb::FromWorker, pb::ToWorker> {
 public:
  Impl(const std::string& address, const LinkOptions& options,
       const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : address_(address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingEveryMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a new dial is a new connection
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kConnectMs);
    channel_ = grpc::CreateCustomChannel(address, credentials, arguments);
    stub_ = pb::Rollout::NewStub(channel_);
    if (!options.token.empty()) context_.AddMetadata(kTokenKey, token_value(options.token));
    stub_->async()->Attach(&context_, this);
    AddHold();  // send() may be called at any time
    StartRead(&incoming_);
    StartCall();
  }

  ~Impl() override {
    context_.TryCancel();
    {
      std::lock_guard lock(mutex_);
      release();
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
  }

  void send(const FromWorker& message) {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    queue_.push_back(to_proto(message));
    write_next();
  }

  Result<std::optional<ToWorker>> receive(Deadline deadline) {
    std::unique_lock lock(mutex_);
    const auto some = [&] { return !received_.empty() || done_; };
    changed_.wait_for(lock, std::chrono::duration<double>(std::min(deadline.seconds_left(), 1e6)),
                      some);
    if (!received_.empty()) {
      const pb::ToWorker message = std::move(received_.front());
      received_.pop_front();
      lock.unlock();
      LS_ASSIGN_OR_RETURN(ToWorker out, from_proto(message));
      return std::optional<ToWorker>(std::move(out));
    }
    if (!done_) return std::optional<ToWorker>();
    return why();
  }

  bool ended() {
    std::lock_guard lock(mutex_);
    return ended_;
  }

  int waiting() {
    std::lock_guard lock(mutex_);
    return static_cast<int>(queue_.size());
  }

  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (!ok) return end();
    received_.push_back(std::move(incoming_));
    changed_.notify_all();
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) return end();
    queue_.pop_front();
    write_next();
  }

  void OnDone(const grpc::Status& status) override {
    std::lock_guard lock(mutex_);
    status_ = status;
    done_ = ended_ = true;
    changed_.notify_all();
  }

 private:
  void write_next() {  // requires mutex_, as do the functions below
    if (writing_ || ended_ || queue_.empty()) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }

  void end() {
    ended_ = true;
    release();
  }

  void release() {
    if (!std::exchange(released_, true)) RemoveHold();
  }

  Status why() const {
    const std::string text = "the coordinator at " + address_;
    switch (status_.error_code()) {
      case grpc::StatusCode::UNAUTHENTICATED:
      case grpc::StatusCode::FAILED_PRECONDITION:
        return invalid_argument(text + " refuses this worker: " + status_.error_message());
      case grpc::StatusCode::OK:
        return unavailable(text + " has closed the connection");
      default:
        return unavailable(text + ": " + status_.error_message());
    }
  }

  const std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<pb::Rollout::Stub> stub_;
  grpc::ClientContext context_;
  pb::ToWorker incoming_;
  std::mutex mutex_;  // guards the fields below
  std::condition_variable changed_;
  std::deque<pb::ToWorker> received_;
  std::deque<pb::FromWorker> queue_;
  grpc::Status status_;
  bool writing_ = false, ended_ = false, released_ = false, done_ = false;
};

Result<std::unique_ptr<WorkerLink>> WorkerLink::dial(const std::string& address,
                                                     const LinkOptions& options) {
  quiet_grpc();
  LS_ASSIGN_OR_RETURN(auto credentials, client_credentials(options.tls));
  return std::unique_ptr<WorkerLink>(
      new WorkerLink(std::make_unique<Impl>(address, options, credentials)));
}

WorkerLink::WorkerLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerLink::~WorkerLink() = default;

Result<std::optional<ToWorker>> WorkerLink::receive(Deadline deadline) {
  return impl_->receive(deadline);
}
void WorkerLink::send(FromWorker message) {
  impl_->send(message);
}
bool WorkerLink::ended() const {
  return impl_->ended();
}
int WorkerLink::waiting() const {
  return impl_->waiting();
}

}  // namespace longshot::wire
