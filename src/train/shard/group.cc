#include "train/shard/group.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/os/machine.h"
#include "train/shard/heartbeats.h"
#include "train/shard/local_address.h"
// These include all of ATen.
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace longshot::train {
namespace {

// The first line, without libtorch's stack.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string message_of(const std::exception& error) {
  if (const auto* torch = dynamic_cast<const c10::Error*>(&error))
    return first_line(torch->what_without_backtrace());
  return first_line(error.what());
}

constexpr std::chrono::seconds kLook{1};  // how often a call that waits looks for lost processes

// Gloo, whose connections can be closed while a call waits. Such a call then leaves all buffers
// alone, but returns only after its timeout.
class Gloo : public c10d::ProcessGroupGloo {
 public:
  using ProcessGroupGloo::ProcessGroupGloo;
  void close_connections() {
    for (const auto& context : contexts_) context->closeConnections();
  }
};

// True if the call has ended; throws its error.
bool ended(c10d::Work& work) {
  try {
    work.wait(kLook);
    return true;
  } catch (const std::exception&) {
    if (work.isCompleted()) throw;
    return false;
  }
}

class Group : public Gang {
 public:
  Group(GroupOptions options, c10::intrusive_ptr<Gloo> gloo)
      : options_(std::move(options)), gloo_(std::move(gloo)) {}
  // After the loss of a process the last call may still wait, and so would the destructor of Gloo.
  ~Group() override {
    if (abandoned_) (void)gloo_.release();
  }

  // Begins to watch the processes. `hosts` are their names, [size].
  void begin_heartbeats(Heartbeats::Exchange exchange, std::vector<std::string> hosts) {
    hosts_ = std::move(hosts);
    heartbeats_.emplace(rank(), size(), std::move(exchange), options_.heartbeat);
  }

  int rank() const override { return options_.rank; }
  int size() const override { return options_.size; }
  at::Device device() const override { return at::kCPU; }
  int64_t bytes_sent() const override { return bytes_sent_; }

  Status exchange(const at::Tensor& send, at::Tensor& received, const char* what) override {
    bytes_sent_ += static_cast<int64_t>(send.nbytes()) / size() * (size() - 1);
    return finish("exchange", what, [&] {
      at::Tensor input = send;
      std::vector<int64_t> equal_parts;
      c10d::AllToAllOptions call;
      call.timeout = options_.call_timeout;
      return gloo_->alltoall_base(received, input, equal_parts, equal_parts, call);
    });
  }

  Status gather(at::Tensor& all, const char* what) override {
    if (all.numel() == 0) return ok_status();
    const int64_t part = all.numel() / size();
    bytes_sent_ += static_cast<int64_t>(all.nbytes()) / size() * (size() - 1);
    return finish("gather", what, [&] {
      at::Tensor own = all.narrow(0, rank() * part, part).clone();
      c10d::AllgatherOptions call;
      call.timeout = options_.call_timeout;
      return gloo_->_allgather_base(all, own, call);
    });
  }

  Status broadcast(std::span<std::byte> bytes, int root, const char* what) override {
    if (rank() == root) bytes_sent_ += static_cast<int64_t>(bytes.size()) * (size() - 1);
    return finish("broadcast", what, [&] {
      std::vector<at::Tensor> tensors{
          at::from_blob(bytes.data(), {static_cast<int64_t>(bytes.size())}, at::kByte)};
      c10d::BroadcastOptions call;
      call.rootRank = root;
      call.timeout = options_.call_timeout;
      return gloo_->broadcast(tensors, call);
    });
  }

  Status barrier(const char* what) override {
    return finish("barrier", what, [&] {
      c10d::BarrierOptions call;
      call.timeout = options_.call_timeout;
      return gloo_->barrier(call);
    });
  }

 private:
  using Start = std::function<c10::intrusive_ptr<c10d::Work>()>;

  // Starts the call and waits for its end.
  Status finish(const char* call, const char* what, const Start& start) {
    if (!broken_.empty()) return unavailable(broken_);
    std::string reason = loss();
    try {
      if (reason.empty()) {
        const auto work = start();
        while (!ended(*work) && reason.empty()) reason = loss();
      }
      if (reason.empty()) return ok_status();
      gloo_->close_connections();
      abandoned_ = true;
    } catch (const std::exception& error) {
      reason = fmt::format("{}; another trainer has ended, or did not answer for {:.0f} s",
                           message_of(error),
                           std::chrono::duration<double>(options_.call_timeout).count());
    }
    broken_ = fmt::format(
        "trainer {} of {}: the {} of {} failed ({}): end the others and start them again", rank(),
        size(), call, what, reason);
    return unavailable(broken_);
  }

  // Which process has given no sign of life; "" if all have.
  std::string loss() const {
    const auto lost = heartbeats_ ? heartbeats_->lost() : std::nullopt;
    if (!lost) return "";
    return fmt::format("{} has given no sign of life for {:.0f} s", name_of(*lost),
                       heartbeats_->seconds_of_silence());
  }

  // This process's own number stands for the meeting point. Process 0 answers there, unless
  // torchrun's agent does.
  std::string name_of(int lost) const {
    const auto trainer = [&](int number) {
      return fmt::format("trainer {} on {}", number, hosts_[static_cast<size_t>(number)]);
    };
    if (lost != rank()) return trainer(lost);
    const std::string point = "the meeting point " + meeting_point(options_);
    return options_.agent_listens ? point : point + " of " + trainer(0);
  }

  const GroupOptions options_;
  c10::intrusive_ptr<Gloo> gloo_;
  std::vector<std::string> hosts_;
  std::optional<Heartbeats> heartbeats_;
  int64_t bytes_sent_ = 0;
  std::string broken_;      // the message of the first failure
  bool abandoned_ = false;  // a call may still wait
};

// When a connection ends, c10d logs a warning with a stack trace. The errors of calls say the same
// in words, so c10d's warnings are shown only if the user asks for them.
void show_errors_only() {
  constexpr int kError = 2;
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = kError;
}

// Where the processes find one another's addresses.
Result<c10::intrusive_ptr<c10d::Store>> open_store(const GroupOptions& options) {
  c10d::TCPStoreOptions store;
  store.port = options.port;
  store.isServer = options.rank == 0 && !options.agent_listens;
  store.numWorkers = static_cast<size_t>(options.size);
  store.waitWorkers = false;
  store.timeout = options.join_timeout;
  if (store.isServer) {
    // Left to itself, the store would listen on every address of the host.
    LS_ASSIGN_OR_RETURN(store.masterListenFd, listen_on(options.host, options.port));
  }
  return c10::intrusive_ptr<c10d::Store>(c10::make_intrusive<c10d::PrefixStore>(
      fmt::format("longshot/{}", options.restart),
      c10::make_intrusive<c10d::TCPStore>(options.host, store)));
}

std::vector<uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

// The values that the processes have published under `name`, [size].
std::vector<std::string> all_of(c10d::Store& store, const std::string& name, int size) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < size; ++rank) keys.push_back(fmt::format("{}/{}", name, rank));
  std::vector<std::string> values;
  for (const std::vector<uint8_t>& value : store.multiGet(keys))
    values.emplace_back(value.begin(), value.end());
  return values;
}

void publish(c10d::Store& store, const std::string& name, int rank, const std::string& value) {
  store.set(fmt::format("{}/{}", name, rank), bytes_of(value));
}

// Over a connection of its own, because a call that is never answered keeps its connection.
Heartbeats::Exchange beats_over(c10d::Store& store, int rank, int size) {
  return [own_store = store.clone(), rank, size](int64_t own) {
    publish(*own_store, "beat", rank, std::to_string(own));
    std::vector<int64_t> counts;
    for (const std::string& count : all_of(*own_store, "beat", size))
      counts.push_back(std::stoll(count));
    return counts;
  };
}

Result<std::shared_ptr<Gang>> join(const GroupOptions& options) {
  show_errors_only();
  LS_ASSIGN_OR_RETURN(const std::string own, address_towards(options.host, options.port));
  LS_ASSIGN_OR_RETURN(const auto store, open_store(options));
  auto gloo = c10d::ProcessGroupGloo::Options::create(options.join_timeout);
  gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(own));
  gloo->threads = 1;  // one call at a time
  auto group = std::make_shared<Group>(
      options, c10::make_intrusive<Gloo>(store, options.rank, options.size, gloo));
  publish(*store, "host", options.rank, host_name());
  publish(*store, "beat", options.rank, "0");
  // The store ends with process 0, so all must have read it before any continues.
  std::vector<std::string> hosts = all_of(*store, "host", options.size);
  auto beats = beats_over(*store, options.rank, options.size);
  LS_RETURN_IF_ERROR(group->barrier("the start"));
  group->begin_heartbeats(std::move(beats), std::move(hosts));
  return std::shared_ptr<Gang>(std::move(group));
}

}  // namespace

Result<std::shared_ptr<Gang>> join_group(const GroupOptions& options) {
  if (options.size == 1) return alone();
  const std::string where = fmt::format("trainer {} of {}, meeting point {}", options.rank,
                                        options.size, meeting_point(options));
  try {
    auto group = join(options);
    return group.ok() ? std::move(group) : group.status().with_context(where);
  } catch (const std::exception& error) {
    return unavailable(message_of(error)).with_context(where);
  }
}

}  // namespace longshot::train
