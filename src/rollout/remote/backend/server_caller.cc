#include "rollout/remote/backend/server_caller.h"

#include <fmt/format.h>

#include <atomic>
#include <optional>

#include "base/os/stop.h"
#include "rollout/remote/backend/event_stream.h"

namespace longshot::rollout {
namespace {

constexpr double kDay = 86400;
constexpr double kBusySeconds = 30;  // for a server to let go of requests that were dropped
constexpr double kBusyPause = 0.2;

net::Url url_of(const net::Url& server, const std::string& path) {
  return {server.server, path};
}

// Reads one streamed answer. receive() is called on one thread, silent() on another one.
class Answer {
 public:
  Answer(const ServerProtocol& protocol, const std::function<bool(const ServerTokens&)>& take)
      : protocol_(protocol), take_(take) {}

  // False once the sample has ended or the answer is wrong.
  bool receive(std::string_view bytes) {
    for (const std::string& event : events_.take(bytes)) {
      if (event == "[DONE]") continue;
      auto tokens = protocol_.read(event, have_);
      status_ = tokens.status();
      if (!tokens.ok()) return false;
      have_ += tokens->tokens.size();
      if (!tokens->tokens.empty()) heard_ = clock_.seconds();
      ended_ = take_(*tokens);
      if (ended_) return false;
      if (!tokens->finish.empty()) finish_ = tokens->finish;
    }
    return true;
  }

  double silence() const { return clock_.seconds() - heard_; }
  bool ended() const { return ended_; }
  // Why the answer does not end the sample.
  Status failure(const Status& transport) const {
    if (!status_.ok()) return status_;
    if (!transport.ok()) return transport;
    if (!finish_.empty()) {
      return corrupt(fmt::format(
          "it ended a sample with reason '{}' after {} tokens, which no rule of the run explains",
          finish_, have_));
    }
    return unavailable(fmt::format("the answer broke off after {} tokens", have_));
  }

 private:
  const ServerProtocol& protocol_;
  const std::function<bool(const ServerTokens&)>& take_;
  const Stopwatch clock_;
  EventStream events_;
  size_t have_ = 0;
  std::string finish_;
  Status status_;
  bool ended_ = false;
  std::atomic<double> heard_{0};
};

// Answers that may pass, of a server that is there, are told from a server that is gone.
Status status_of(const net::HttpReply& reply, const std::string& who) {
  const Status status = net::check_http_status(reply, who);
  return status.code() == StatusCode::unavailable ? exhausted(status.message()) : status;
}

}  // namespace

Status ServerCaller::generate(const net::Url& server, const ServerQuery& query,
                              const std::function<bool()>& dropped,
                              const std::function<bool(const ServerTokens&)>& take) {
  const ServerCall call = protocol_.generate(query);
  Answer answer(protocol_, take);
  const net::StreamReader reader{
      .receive = [&](std::string_view bytes) { return answer.receive(bytes); },
      .done = [&] { return dropped() || answer.silence() > silence_seconds_; }};
  const auto reply = client_.stream(url_of(server, call.path), call.body,
                                    Deadline::after_seconds(kDay), who(server), reader);
  if (answer.ended()) return ok_status();
  if (dropped() || stop_requested()) return cancelled("dropped");
  if (answer.silence() > silence_seconds_)
    return unavailable(fmt::format("{}: no token for {} s", who(server), silence_seconds_));
  if (reply.ok()) LS_RETURN_IF_ERROR(status_of(*reply, who(server)));
  const Status failure = answer.failure(reply.status());
  const bool named = !reply.ok() && failure.message() == reply.status().message();
  return named ? failure : failure.with_context(who(server));
}

Result<ServerTokens> ServerCaller::generate_all(const net::Url& server, const ServerQuery& query) {
  ServerTokens all;
  const auto take = [&](const ServerTokens& tokens) {
    all.tokens.insert(all.tokens.end(), tokens.tokens.begin(), tokens.tokens.end());
    all.logprobs.insert(all.logprobs.end(), tokens.logprobs.begin(), tokens.logprobs.end());
    return all.tokens.size() >= static_cast<size_t>(query.max_tokens);
  };
  const Status done = generate(
      server, query, [] { return false; }, take);
  if (done.code() == StatusCode::exhausted) return unavailable(done.message());
  LS_RETURN_IF_ERROR(done);
  if (all.tokens.size() == static_cast<size_t>(query.max_tokens)) return all;
  return corrupt(fmt::format("{}: it sent {} tokens and was asked for {}", who(server),
                             all.tokens.size(), query.max_tokens));
}

Status ServerCaller::call(const net::Url& server, const ServerCall& call, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const net::HttpReply reply,
                      client_.post(url_of(server, call.path), call.body, deadline, who(server)));
  const Status status = net::check_http_status(reply, who(server) + call.path);
  if (status.code() == StatusCode::invalid_argument)
    return invalid_argument(status.message() + "; " + protocol_.load_hint());
  LS_RETURN_IF_ERROR(status);
  return protocol_.check_loaded(reply.body).with_context(who(server) + call.path);
}

Status ServerCaller::load(const net::Url& server, const std::string& folder,
                          const std::string& version, Deadline deadline) {
  for (const ServerCall& one : protocol_.load(folder, version)) {
    const Deadline patience = std::min(deadline, Deadline::after_seconds(kBusySeconds));
    Status done = call(server, one, deadline);
    // A server lets go of dropped requests a moment after they were dropped.
    while (done.code() == StatusCode::exhausted && !patience.expired() &&
           sleep_unless_stopped(Deadline::after_seconds(kBusyPause)))
      done = call(server, one, deadline);
    if (done.code() == StatusCode::exhausted) return unavailable(done.message());
    LS_RETURN_IF_ERROR(done);
  }
  return ok_status();
}

}  // namespace longshot::rollout
