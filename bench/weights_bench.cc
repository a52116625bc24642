// How fast a version of the weights moves, against raw TCP with sendfile in the same run. Roles:
//   serve HOST MIB [TLS]           serves versions, and a raw copy of the first; prints both ports.
//                                  Writes a version for each line of stdin and prints its number
//   fetch HOST HTTP RAW CONNECTIONS FIRST [TLS]
//                                  for each number on stdin, the raw copy and that version; at the
//                                  end medians without the FIRST ones, and the last version from a
//                                  second process
// TLS is a folder that `longshot certificates` has made for HOST: the versions travel over TLS, the
// raw copy does not.
//   local MIB ROUNDS               writing a version, and differences in bf16, in this process
// bench/weights/run.py starts them, also in two network namespaces.

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/rng.h"
#include "model/format/config.h"
#include "publish/engine/delta.h"
#include "publish/engine/peers.h"
#include "publish/engine/weight_fetch.h"
#include "publish/engine/weight_server.h"
#include "publish/engine/weights_source.h"

namespace longshot::publish {
namespace {

namespace fs = std::filesystem;

constexpr double kMB = 1e6;

[[noreturn]] void fail(const Status& status) {
  fmt::print(stderr, "weights_bench: {}\n", status.to_string());
  std::exit(1);
}

void expect(const Status& status) {
  if (!status.ok()) fail(status);
}
template <typename T>
T expect(Result<T> result) {
  expect(result.status());
  return std::move(result).value();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// About `mib` MiB of f32 in tensors of 16 MiB, whose values look like weights.
struct Weights {
  explicit Weights(int mib) {
    CounterRng rng(1);
    constexpr size_t kValues = 4 << 20;
    std::vector<float> values(kValues);
    for (float& value : values) value = 0.02f * static_cast<float>(rng.next_normal());
    for (int i = 0; i < std::max(1, mib / 16); ++i) {
      data.push_back(values);
      data.back()[0] = static_cast<float>(i);
    }
    for (size_t i = 0; i < data.size(); ++i)
      view.tensors.push_back({fmt::format("layer.{}", i), {1024, 4096}, data[i].data()});
  }
  std::vector<std::vector<float>> data;
  model::WeightsView view;
};

std::unique_ptr<WeightStore> open_store(const std::string& name) {
  const auto folder = default_store_folder("bench").parent_path() / name;
  auto store = expect(WeightStore::open({.run = "bench", .folder = folder}));
  expect(store->clear(Deadline::after_seconds(5)));
  return store;
}

sockaddr_in address_of(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

// Sends the file to every connection with sendfile, the least that a transfer can do.
int start_raw_server(const std::string& host, const std::string& path) {
  const int door = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = address_of(host, 0);
  if (bind(door, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(door, 8) != 0)
    fail(unavailable("cannot listen on " + host));
  socklen_t size = sizeof address;
  getsockname(door, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread([door, path] {
    const int file = open(path.c_str(), O_RDONLY);
    struct stat info {};
    fstat(file, &info);
    while (true) {
      const int client = accept(door, nullptr, nullptr);
      off_t at = 0;
      while (at < info.st_size &&
             sendfile(client, file, &at, static_cast<size_t>(info.st_size - at)) > 0) {
      }
      close(client);
    }
  }).detach();
  return ntohs(address.sin_port);
}

// MB/s of receiving everything into one buffer, and from there into the file unless it is -1. The
// file is written over again and again, as the engine does with the memory of old versions.
double receive_raw(const std::string& host, int port, int file) {
  const Stopwatch watch;
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = address_of(host, port);
  if (connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(unavailable("no raw server"));
  std::vector<char> buffer(file < 0 ? 1 << 20 : 256 << 10);
  off_t bytes = 0;
  for (ssize_t got = 1; got > 0; bytes += got) {
    got = std::max<ssize_t>(recv(client, buffer.data(), buffer.size(), 0), 0);
    if (file >= 0 && pwrite(file, buffer.data(), static_cast<size_t>(got), bytes) != got)
      fail(io_error("cannot store what was received"));
  }
  close(client);
  return static_cast<double>(bytes) / watch.seconds() / kMB;
}

net::Credentials credentials_of(const std::string& tls) {
  if (tls.empty()) return {};
  return {"", expect(net::IdentityFolder::open(tls))};
}

int serve(const std::string& host, int mib, const std::string& tls) {
  const auto store = open_store("bench-server");
  EngineSink sink(*store, {.files = {}, .threads = 2});
  Weights weights(mib);
  const auto raw_file = store->folder() / "raw";
  fs::copy_file(expect(sink.write(weights.view))->folder() / "model.safetensors", raw_file);
  const auto server =
      expect(WeightServer::start(*store, {.host = host, .credentials = credentials_of(tls)}));
  fmt::print("{} {}\n", server->port(), start_raw_server(host, raw_file));
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    ++weights.view.version;
    expect(sink.write(weights.view));
    fmt::print("{}\n", weights.view.version);
    std::fflush(stdout);
  }
  fs::remove(raw_file);
  expect(store->clear(Deadline::after_seconds(5)));
  return 0;
}

void fetch_in_second_process(const std::string& peer, const Manifest& manifest,
                             const FetchOptions& options) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const auto store = expect(WeightStore::open(
        {.run = "bench", .folder = default_store_folder("bench").parent_path() / "bench-client"}));
    const Fetched fetched =
        expect(fetch(manifest, {peer}, *store, options, Deadline::after_seconds(60)));
    fmt::print("second process of the host: {} bytes fetched, {:.1f} ms\n", fetched.bytes,
               1000 * fetched.seconds);
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) std::exit(1);
}

int fetch_versions(const std::string& host, int http, int raw, int connections, int first,
                   const std::string& tls) {
  FetchOptions options;
  options.credentials = credentials_of(tls);
  if (connections > 0) options.connections = connections;
  const std::string peer =
      fmt::format("{}://{}:{}", net::scheme_of(options.credentials), host, http);
  const auto store = open_store("bench-client");
  const auto raw_path = store->folder() / "raw";
  const int raw_file = open(raw_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  std::vector<double> raw_rates, stored_rates, rates;
  Manifest manifest;
  for (int64_t version = 0; std::cin >> version;) {
    manifest = expect(fetch_manifest(peer, "bench", VersionId{0, version}, options.credentials,
                                     Deadline::after_seconds(10)));
    raw_rates.push_back(receive_raw(host, raw, -1));
    stored_rates.push_back(receive_raw(host, raw, raw_file));
    const Fetched fetched =
        expect(fetch(manifest, {peer}, *store, options, Deadline::after_seconds(60)));
    rates.push_back(static_cast<double>(manifest.total_bytes()) / kMB / fetched.seconds);
    fmt::print("version {}: raw {:.0f} MB/s, raw into memory {:.0f} MB/s, engine {:.0f} MB/s\n",
               version, raw_rates.back(), stored_rates.back(), rates.back());
    std::fflush(stdout);
  }
  for (auto* list : {&raw_rates, &stored_rates, &rates})
    list->erase(list->begin(), list->begin() + std::min<ptrdiff_t>(first, std::ssize(*list) - 1));
  const double engine = median(rates), least = median(raw_rates), stored = median(stored_rates);
  fmt::print(
      "{:.0f} MB, {} connections: engine {:.0f} MB/s, {:.2f} of raw, {:.2f} of raw into memory\n",
      static_cast<double>(manifest.total_bytes()) / kMB, options.connections, engine,
      engine / least, engine / stored);
  fetch_in_second_process(peer, manifest, options);
  close(raw_file);
  fs::remove(raw_path);
  expect(store->clear(Deadline::after_seconds(5)));
  return 0;
}

// GB/s of f32 values, the median.
double rate_of(int rounds, double bytes, const std::function<void()>& work) {
  std::vector<double> rates;
  for (int i = 0; i < rounds; ++i) {
    const Stopwatch watch;
    work();
    rates.push_back(bytes / watch.seconds() / 1e9);
  }
  return median(rates);
}

void local(int mib, int rounds) {
  const auto store = open_store("bench-local");
  Weights weights(mib);
  const double bytes = static_cast<double>(weights.data.size()) * (16 << 20);
  for (const auto dtype : {model::Dtype::f32, model::Dtype::bf16}) {
    for (const int threads : {1, 2}) {
      EngineSink sink(*store, {.dtype = dtype, .files = {}, .threads = threads});
      fmt::print("sink, {}, {} threads: {:.2f} GB/s of f32 values\n", model::dtype_name(dtype),
                 threads, rate_of(rounds, bytes, [&] {
                   ++weights.view.version;
                   expect(sink.write(weights.view));
                 }));
    }
  }
  expect(store->clear(Deadline::after_seconds(5)));
}

// Differences of bf16 on one core. Figures are GB/s of the new version's bytes.
void delta(int mib, int rounds) {
  CounterRng rng(1);
  std::vector<uint16_t> base(static_cast<size_t>(mib) << 19);
  for (uint16_t& word : base) word = static_cast<uint16_t>(rng.next_u64());
  const double bytes = 2.0 * static_cast<double>(base.size());
  for (const double share : {0.0, 0.033, 0.119, 0.33}) {
    std::vector<uint16_t> next = base;
    uint64_t changed = 0;
    for (uint16_t& word : next) {
      if (rng.next_double() >= share) continue;
      word ^= 1;
      ++changed;
    }
    std::string encoded;
    const double encode =
        rate_of(rounds, bytes, [&] { encoded = encode_delta(base, next, base.size()).value(); });
    uint64_t equal = 0;
    const double apply = rate_of(rounds, bytes, [&] {
      size_t at = 0;
      equal = 0;
      expect(apply_delta(base, encoded, [&](std::span<const uint16_t> words) {
        equal += std::equal(words.begin(), words.end(), next.begin() + static_cast<long>(at));
        at += words.size();
        return ok_status();
      }));
    });
    fmt::print(
        "delta, {:.1f} % changed: encode {:.2f} GB/s, apply and compare {:.2f} GB/s, "
        "{:.2f} bytes a changed word, {} blocks equal\n",
        100 * share, encode, apply,
        static_cast<double>(encoded.size()) / static_cast<double>(std::max<uint64_t>(1, changed)),
        equal);
  }
}

int run(const std::vector<std::string>& words) {
  const auto number = [&](size_t i) { return i < words.size() ? std::stoi(words[i]) : 0; };
  log::set_level(log::Level::warn);
  const auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  if (words.size() >= 3 && words[0] == "serve") return serve(words[1], number(2), word(3));
  if (words.size() >= 6 && words[0] == "fetch")
    return fetch_versions(words[1], number(2), number(3), number(4), number(5), word(6));
  if (words.size() == 3 && words[0] == "local") {
    local(number(1), number(2));
    delta(number(1), number(2));
    return 0;
  }
  fmt::print(stderr, "see the head of bench/weights_bench.cc\n");
  return 2;
}

}  // namespace
}  // namespace longshot::publish

int main(int argc, char** argv) {
  return longshot::publish::run({argv + 1, argv + argc});
}
