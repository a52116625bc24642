#pragma once
// Servers of etcd on loopback, and a link to one that can fail, for tests and benchmarks.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <chrono>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/os/clock.h"
#include "base/os/fs.h"
#include "base/os/subprocess.h"
#include "cluster/etcd.h"

namespace longshot::cluster {

constexpr const char* kEtcd = "/usr/bin/etcd";

constexpr const char* kNeedsEtcd =
    "/usr/bin/etcd is missing or older than 3.4; tools/setup --tests installs that of the system";

// Earlier versions have their gateway at other paths.
inline bool has_etcd() {
  static const bool found = [] {
    SubprocessOptions options;
    options.argv = {kEtcd, "--version"};
    const auto output = run_process(options, "", Deadline::after_seconds(10));
    int major = 0, minor = 0;
    return output.ok() &&
           std::sscanf(output->out.c_str(), "etcd Version: %d.%d", &major, &minor) == 2 &&
           (major > 3 || (major == 3 && minor >= 4));
  }();
  return found;
}

// A socket that listens on a free port of loopback.
struct LoopbackListener {
  LoopbackListener() {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    LS_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    LS_CHECK(::listen(fd, 64) == 0, "listen");
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  }
  ~LoopbackListener() { ::close(fd); }
  LoopbackListener(const LoopbackListener&) = delete;
  LoopbackListener& operator=(const LoopbackListener&) = delete;
  int port() const { return ntohs(address.sin_port); }

  int fd = -1;
  sockaddr_in address{};
};

// Members of one etcd cluster, with their data in memory where there is /dev/shm. The destructor
// kills them. Not thread-safe.
class EtcdServers {
 public:
  // `flags` are added to the servers' command lines. With `tls_dir`, a folder with ca.crt, tls.crt
  // and tls.key for 127.0.0.1, clients need TLS; those of this class use the folder too.
  explicit EtcdServers(size_t count = 1, std::string tls_dir = {}, std::string flags = {})
      : tls_dir_(std::move(tls_dir)), flags_(std::move(flags)), members_(count) {
    std::string pattern = (std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::string("/tmp")) +
                          "/longshot_etcd_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    // A port that was free may be taken before etcd listens on it.
    for (int tried = 0; tried < 5 && !start_all(); ++tried) {
    }
  }
  ~EtcdServers() {
    members_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  ClusterUrl url(const std::string& run) const {
    ClusterUrl url{{}, run, !tls_dir_.empty()};
    for (size_t i = 0; i < members_.size(); ++i) url.endpoints.push_back(endpoint(i));
    return url;
  }
  std::string endpoint(size_t i) const { return fmt::format("127.0.0.1:{}", members_[i].port); }
  int port(size_t i) const { return members_[i].port; }
  // Returns after SIGSTOP when the server has stopped, which takes a moment on a busy machine.
  void signal(size_t i, int number) {
    const auto pid = members_[i].process->pid();
    ::kill(pid, number);
    const Deadline patience = Deadline::after_seconds(5);
    while (number == SIGSTOP && !patience.expired()) {
      const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
      if (!stat.ok() || stat->find(") T") != std::string::npos) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void kill(size_t i) { members_[i].process->kill(); }
  void restart(size_t i) { start(i, "existing"); }
  std::string log(size_t i) const { return read_file(log_path(i)).value(); }

 private:
  struct Member {
    int port = 0, peer_port = 0;
    std::unique_ptr<Subprocess> process;
  };

  std::string log_path(size_t i) const { return fmt::format("{}/log{}", folder_, i); }

  bool start_all() {
    {
      std::list<LoopbackListener> held;  // all at once, so that the ports differ
      for (Member& member : members_) {
        member.port = held.emplace_back().port();
        member.peer_port = held.emplace_back().port();
      }
    }
    for (size_t i = 0; i < members_.size(); ++i) {
      std::filesystem::remove_all(fmt::format("{}/data{}", folder_, i));
      start(i, "new");
    }
    const auto directory = make_etcd_directory(url("start"), {.access = {.tls_dir = tls_dir_}});
    return directory->put("started", "", 0, Deadline::after_seconds(10)).ok();
  }

  // A shell redirects the log, because a pipe would fill up. The server ends with the thread that
  // started it, also if a test is killed.
  void start(size_t i, const std::string& state) {
    std::vector<std::string> peers;
    for (size_t k = 0; k < members_.size(); ++k)
      peers.push_back(fmt::format("m{}=http://127.0.0.1:{}", k, members_[k].peer_port));
    const std::string client = (tls_dir_.empty() ? "http://" : "https://") + endpoint(i);
    const std::string files =
        tls_dir_.empty() ? ""
                         : fmt::format("--cert-file {0}/tls.crt --key-file {0}/tls.key", tls_dir_);
    const std::string peer = fmt::format("http://127.0.0.1:{}", members_[i].peer_port);
    const std::string line = fmt::format(
        "exec setpriv --pdeathsig KILL {} --name m{} --data-dir {}/data{} --listen-client-urls {} "
        "--advertise-client-urls "
        "{} --listen-peer-urls {} --initial-advertise-peer-urls {} --initial-cluster {} "
        "--initial-cluster-state {} --heartbeat-interval 50 --election-timeout 500 {} {} >>{} 2>&1",
        kEtcd, i, folder_, i, client, client, peer, peer, fmt::join(peers, ","), state, files,
        flags_, log_path(i));
    SubprocessOptions options;
    options.argv = {"/bin/sh", "-c", line};
    members_[i].process = std::move(Subprocess::start(options)).value();
  }

  const std::string tls_dir_, flags_;
  std::string folder_;
  std::vector<Member> members_;
};

// One server for all tests of a program that do not stop it.
inline EtcdServers& shared_etcd() {
  static EtcdServers servers;
  return servers;
}

// Forwards connections on its own port of loopback to another port.
class Relay {
 public:
  enum class Mode {
    pass,
    silent,        // connections stay open, but nothing is forwarded
    drop_replies,  // only the client's bytes are forwarded
    refuse,        // connections are closed
  };

  explicit Relay(int target_port) : target_port_(target_port) {
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~Relay() {
    stopping_ = true;
    accepting_.join();
    for (std::thread& thread : threads_) thread.join();
  }

  std::string endpoint() const { return fmt::format("127.0.0.1:{}", listener_.port()); }
  void set(Mode mode) { mode_ = mode; }
  // The connections that are open become silent and remain so; new ones are not affected.
  void stall_connections() { ++generation_; }

 private:
  static bool readable(int fd) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, 2) > 0;
  }

  void accept_all() {
    while (!stopping_) {
      if (!readable(listener_.fd)) continue;
      const int client = ::accept4(listener_.fd, nullptr, nullptr, SOCK_CLOEXEC);
      threads_.emplace_back([this, client] { serve(client); });
    }
  }

  void serve(int client) {
    sockaddr_in address = listener_.address;
    address.sin_port = htons(static_cast<uint16_t>(target_port_));
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    const int generation = generation_;
    while (open && !stopping_ && mode_ != Mode::refuse) {
      if (mode_ == Mode::silent || generation != generation_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      } else {
        open =
            forward(client, server, true) && forward(server, client, mode_ != Mode::drop_replies);
      }
    }
    ::close(client);
    ::close(server);
  }

  static bool forward(int from, int to, bool deliver) {
    char bytes[65536];
    if (!readable(from)) return true;
    const ssize_t size = ::recv(from, bytes, sizeof(bytes), 0);
    if (size <= 0) return false;
    return !deliver || ::send(to, bytes, static_cast<size_t>(size), MSG_NOSIGNAL) == size;
  }

  LoopbackListener listener_;
  const int target_port_;
  std::atomic<Mode> mode_ = Mode::pass;
  std::atomic<int> generation_ = 0;
  std::atomic<bool> stopping_ = false;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace longshot::cluster
