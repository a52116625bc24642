// How fast a version of the weights moves, against raw TCP with sendfile in the same run. Roles:
//   serve HOST MIB [TLS]           writes a version, serves it and a raw copy; prints both ports
//   fetch HOST HTTP RAW ROUNDS CONNECTIONS [TLS]
//                                  both in turns, then the same version from a second process
// TLS is a folder that `longshot certificates` has made for HOST: the version travels over TLS, the
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
#include <functional>
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

// MB/s of receiving everything into one buffer.
double receive_raw(const std::string& host, int port) {
  const Stopwatch watch;
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = address_of(host, port);
  if (connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(unavailable("no raw server"));
  std::vector<char> buffer(1 << 20);
  double bytes = 0;
  for (ssize_t got = 1; got > 0;) {
    got = recv(client, buffer.data(), buffer.size(), 0);
    bytes += static_cast<double>(std::max<ssize_t>(got, 0));
  }
  close(client);
  return bytes / watch.seconds() / kMB;
}

net::Credentials credentials_of(const std::string& tls) {
  if (tls.empty()) return {};
  return {"", expect(net::IdentityFolder::open(tls))};
}

int serve(const std::string& host, int mib, const std::string& tls) {
  const auto store = open_store("bench-server");
  EngineSink sink(*store, {});
  Held held;
  {
    const Weights weights(mib);
    held = expect(sink.write(weights.view));
  }
  const auto server =
      expect(WeightServer::start(*store, {.host = host, .credentials = credentials_of(tls)}));
  const int raw = start_raw_server(host, (held->folder() / "model.safetensors").string());
  fmt::print("{} {}\n", server->port(), raw);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
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

int fetch_rounds(const std::string& host, int http, int raw, int rounds, int connections,
                 const std::string& tls) {
  FetchOptions options;
  options.credentials = credentials_of(tls);
  const std::string peer =
      fmt::format("{}://{}:{}", net::scheme_of(options.credentials), host, http);
  const auto store = open_store("bench-client");
  const Manifest manifest = expect(fetch_manifest(peer, "bench", std::nullopt, options.credentials,
                                                  Deadline::after_seconds(10)));
  const double megabytes = static_cast<double>(manifest.total_bytes()) / kMB;
  if (connections > 0) options.connections = connections;
  std::vector<double> raw_rates, rates;
  for (int i = 0; i < rounds; ++i) {
    raw_rates.push_back(receive_raw(host, raw));
    expect(store->clear(Deadline::after_seconds(5)));
    const Fetched fetched =
        expect(fetch(manifest, {peer}, *store, options, Deadline::after_seconds(60)));
    rates.push_back(megabytes / fetched.seconds);
    fmt::print("round {}: raw {:.0f} MB/s, engine {:.0f} MB/s\n", i + 1, raw_rates.back(),
               rates.back());
  }
  fmt::print(
      "{:.0f} MB, {} connections: median raw {:.0f} MB/s, engine {:.0f} MB/s, ratio {:.2f}\n",
      megabytes, options.connections, median(raw_rates), median(rates),
      median(rates) / median(raw_rates));
  fetch_in_second_process(peer, manifest, options);
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
  const Weights weights(mib);
  const double bytes = static_cast<double>(weights.data.size()) * (16 << 20);
  for (const auto dtype : {model::Dtype::f32, model::Dtype::bf16}) {
    for (const int threads : {1, 2}) {
      EngineSink sink(*store, {.dtype = dtype, .files = {}, .threads = threads});
      fmt::print("sink, {}, {} threads: {:.2f} GB/s of f32 values\n", model::dtype_name(dtype),
                 threads, rate_of(rounds, bytes, [&] { expect(sink.write(weights.view)); }));
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
  if (words.size() >= 5 && words[0] == "fetch")
    return fetch_rounds(words[1], number(2), number(3), number(4), number(5), word(6));
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
