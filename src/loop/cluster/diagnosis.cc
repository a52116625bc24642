#include "loop/cluster/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "base/bytes.h"
#include "base/os/machine.h"
#include "cluster/etcd.h"
#include "inference/fingerprint.h"
#include "loop/cluster/access.h"
#include "loop/cluster/host_port.h"
#include "loop/cluster/status.h"
#include "publish/engine/peers.h"
#include "publish/engine/weight_store.h"
#include "wire/worker_link.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

constexpr double kCallSeconds = 3;
constexpr double kSlowPut = 0.1;            // seconds
constexpr double kFewDays = 7;              // until a certificate ends
constexpr double kClockSeconds = 10;        // that make logs and certificates hard to understand
constexpr double kCertificateClock = 3600;  // `longshot certificates` allows for this much
constexpr uint64_t kKeptVersions = 2;       // see publish/engine/weight_store.h

Deadline soon() {
  return Deadline::after_seconds(kCallSeconds);
}

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Of "HOST:PORT" and "http://HOST:PORT".
bool is_loopback(const std::string& address) {
  const size_t scheme = address.find("//");
  const std::string host = scheme == std::string::npos ? address : address.substr(scheme + 2);
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

bool is_too_old(const std::string& version) {
  int major = 0, minor = 0;
  return std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2 || major < 3 ||
         (major == 3 && minor < 4);
}

class Diagnosis {
 public:
  explicit Diagnosis(const DiagnosisOptions& options) : options_(options) {}

  Result<std::vector<Finding>> run() {
    LS_ASSIGN_OR_RETURN(access_.url, cluster::parse_cluster_url(options_.access.url));
    LS_ASSIGN_OR_RETURN(access_.credentials, read_credentials(options_.access.token_file, ""));
    LS_ASSIGN_OR_RETURN(access_.etcd, read_etcd_access(options_.access, access_.url));
    access_.directory = cluster::make_etcd_directory(access_.url, {.access = access_.etcd});
    const bool certified = check_certificate();
    check_etcd();
    if (certified) check_run();
    return std::move(findings_);
  }

 private:
  void good(const std::string& name, std::string detail) {
    findings_.push_back({name, true, std::move(detail)});
  }
  void warn(const std::string& name, std::string detail, std::string advice) {
    findings_.push_back({name, false, std::move(detail), std::move(advice)});
  }
  void fail(const std::string& name, std::string detail, std::string advice) {
    findings_.push_back({name, false, std::move(detail), std::move(advice), true});
  }

  bool check_certificate() {
    if (options_.access.tls_dir.empty()) return true;
    auto folder = net::IdentityFolder::open(options_.access.tls_dir);
    if (!folder.ok()) {
      fail("certificate", folder.status().message(),
           "the run's authority makes a new one: longshot certificates --replace --host ...");
      return false;
    }
    access_.credentials.tls = std::move(folder).value();
    const auto identity = access_.credentials.tls->current();
    const std::string detail = "valid until " + identity->expiry();
    if (identity->days_left() > kFewDays) {
      good("certificate", detail);
    } else {
      warn("certificate", detail, "make a new one before the run needs it");
    }
    return true;
  }

  void check_etcd() {
    const auto& endpoints = access_.url.endpoints;
    std::vector<Result<cluster::EtcdHealth>> seen;
    for (const std::string& endpoint : endpoints)
      seen.push_back(cluster::try_etcd({{endpoint}, access_.url.run, access_.url.tls},
                                       {.access = access_.etcd}, soon()));
    const bool any = std::any_of(seen.begin(), seen.end(), [](const auto& s) { return s.ok(); });
    for (size_t i = 0; i < seen.size(); ++i) report_etcd(endpoints[i], seen[i], any);
  }

  void report_etcd(const std::string& endpoint, const Result<cluster::EtcdHealth>& seen,
                   bool any_works) {
    if (!seen.ok()) {
      findings_.push_back({"etcd", false, seen.status().message(),
                           "is etcd running, does it listen at this address "
                           "(--listen-client-urls), and does a firewall let this host through?",
                           !any_works});
      return;
    }
    const std::string detail = fmt::format("{}: version {}, a put takes {:.1f} ms", endpoint,
                                           seen->version, 1000 * seen->put_seconds);
    if (is_too_old(seen->version)) {
      fail("etcd", detail, "etcd 3.4 or later is needed");
    } else if (seen->put_seconds > kSlowPut) {
      warn("etcd", detail,
           "leases of 3 s are renewed through it: give etcd a faster disk or network");
    } else if (is_loopback(endpoint)) {
      warn("etcd", detail, "other hosts cannot reach this address");
    } else {
      good("etcd", detail);
    }
  }

  void check_run() {
    const auto coordinator = find_coordinator(access_, soon());
    if (coordinator.status().code() == StatusCode::invalid_argument)
      return fail("coordinator", coordinator.status().message(), "use TLS on both ends or neither");
    if (!coordinator.ok())
      return warn("coordinator", coordinator.status().message(),
                  "workers wait for it: longshot train CONFIG --cluster " + options_.access.url);
    good("coordinator", coordinator->name);
    check_status(*coordinator);
    check_jobs(*coordinator);
    check_arithmetic(*coordinator);
    check_room(*coordinator);
  }

  // The port of the weights, which also tells the coordinator's clock.
  void check_status(const Coordinator& coordinator) {
    const double before = wall_clock();
    const auto status = fetch_status(access_);
    const double after = wall_clock();
    if (!status.ok())
      return fail("weights", status.status().message(),
                  advice(status.status(), coordinator.url, "cluster.weights_listen"));
    report_address("weights", coordinator.url, "cluster.weights_listen");
    const auto time = status->find("time");
    if (time != status->end() && time->is_number())
      report_clock(time->get<double>() - (before + after) / 2, (after - before) / 2);
  }

  void check_jobs(const Coordinator& coordinator) {
    const auto link = wire::WorkerLink::dial(coordinator.address, access_.credentials);
    const auto protocol = link.ok() ? (*link)->protocol(soon()) : link.status();
    if (!protocol.ok())
      return fail("jobs", protocol.status().message(),
                  advice(protocol.status(), coordinator.address, "cluster.listen"));
    report_address("jobs", coordinator.address, "cluster.listen");
    const std::string detail =
        fmt::format("version {}, here {}", *protocol, static_cast<int>(wire::kProtocol));
    if (*protocol == wire::kProtocol) return good("protocol", detail);
    fail("protocol", detail, "install the same version of longshot on all hosts");
  }

  static std::string advice(const Status& status, const std::string& address, const char* key) {
    if (status.code() == StatusCode::invalid_argument)
      return "give the run's --token-file and a certificate of its authority";
    if (is_loopback(address))
      return fmt::format("the coordinator listens for its own host only: set {}", key);
    return fmt::format("is the port of {} open for this host? cluster.advertise changes the name",
                       key);
  }

  void report_address(const char* name, const std::string& address, const char* key) {
    if (!is_loopback(address)) return good(name, address + " answers");
    warn(name, address + " answers",
         fmt::format("other hosts cannot reach it: set {} on the coordinator", key));
  }

  void report_clock(double difference, double uncertainty) {
    const std::string detail = fmt::format(
        "the coordinator's is {:+.2f} s from this one (± {:.2f})", difference, uncertainty);
    const double least = std::abs(difference) - uncertainty;
    if (least < kClockSeconds) return good("clock", detail);
    const bool stops = access_.credentials.tls != nullptr && least > kCertificateClock;
    findings_.push_back({"clock", false, detail,
                         "certificates and logs need equal clocks: use NTP on both hosts", stops});
  }

  void check_arithmetic(const Coordinator& coordinator) {
    const rollout::RunnerLimits& limits = coordinator.settings.limits;
    const auto own = inference::fingerprint(
        {.device = options_.device, .dtype = limits.weights, .kv_dtype = limits.kv});
    if (!own.ok()) return fail("arithmetic", own.status().message(), "see --device");
    if (coordinator.fingerprint.empty())
      return good("arithmetic", *own + "; cluster.exact = false admits any");
    if (*own == coordinator.fingerprint) return good("arithmetic", *own + ", as the coordinator's");
    fail("arithmetic", fmt::format("{}, the coordinator's is {}", *own, coordinator.fingerprint),
         "samples would differ, so the worker is refused; cluster.exact = false admits it");
  }

  void check_room(const Coordinator& coordinator) {
    const auto state =
        publish::fetch_state(coordinator.url, access_.url.run, access_.credentials, soon());
    if (!state.ok() || state->versions.empty()) return;  // reported above, or not known yet
    const uint64_t needed = kKeptVersions * state->versions.back().bytes;
    fs::path folder = options_.weights_dir.empty() ? publish::default_store_folder(access_.url.run)
                                                   : fs::path(options_.weights_dir);
    uint64_t held = 0;  // versions that are there already and will be replaced
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error))
      held += it->is_regular_file(error) ? it->file_size(error) : 0;
    while (!folder.empty() && !fs::exists(folder, error)) folder = folder.parent_path();
    const auto space = fs::space(folder.empty() ? "." : folder, error);
    const std::string detail = fmt::format("{:.1f} MiB in {}, {:.1f} MiB needed for two versions",
                                           static_cast<double>(space.available + held) / kMiB,
                                           folder.string(), static_cast<double>(needed) / kMiB);
    if (error) return fail("room", error.message(), "give another folder with --weights-dir");
    if (space.available + held >= needed) return good("room", detail);
    fail("room", detail, "enlarge /dev/shm, or give a folder with room with --weights-dir");
  }

  const DiagnosisOptions& options_;
  Access access_;
  std::vector<Finding> findings_;
};

}  // namespace

Result<std::vector<Finding>> diagnose_cluster(const DiagnosisOptions& options) {
  return Diagnosis(options).run();
}

}  // namespace longshot::loop
