#include "cluster/etcd.h"

#include <unistd.h>

#include <cmath>
#include <utility>

#include "cluster/etcd_client.h"
#include "cluster/etcd_json.h"
#include "cluster/etcd_watch.h"
#include "cluster/watch_state.h"

namespace longshot::cluster {
namespace {

// True if the keys have the state that the changes lead to, all from one commit.
bool in_place(const std::vector<Change>& changes, const std::vector<Entry>& entries) {
  int64_t revision = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    const Entry& entry = entries[i];
    const bool absent = entry.revision == 0;
    if (absent == changes[i].value.has_value()) return false;
    if (absent) continue;
    if (entry.value != *changes[i].value || entry.lease != changes[i].lease) return false;
    if (revision != 0 && entry.revision != revision) return false;
    revision = entry.revision;
  }
  return true;
}

class EtcdDirectory final : public Directory {
 public:
  EtcdDirectory(const ClusterUrl& url, const EtcdOptions& options)
      : client_(url, options.access),
        json_("/longshot/" + url.run + "/"),
        stream_seconds_(options.stream_seconds) {}

  Result<Entry> get(const std::string& key, Deadline deadline) override {
    LS_RETURN_IF_ERROR(check_key(key));
    LS_ASSIGN_OR_RETURN(const auto answer,
                        client_.call("/v3/kv/range", json_.range_of_key(key), deadline));
    LS_ASSIGN_OR_RETURN(std::vector<Entry> entries, json_.read_entries(answer.body));
    return entries.empty() ? Entry{.key = key} : std::move(entries[0]);
  }

  Result<Listing> list(const std::string& prefix, Deadline deadline) override {
    LS_ASSIGN_OR_RETURN(const auto answer,
                        client_.call("/v3/kv/range", json_.range_of_prefix(prefix), deadline));
    LS_ASSIGN_OR_RETURN(std::vector<Entry> entries, json_.read_entries(answer.body));
    return Listing{std::move(entries), read_header_revision(answer.body)};
  }

  Result<Commit> commit(const std::vector<Condition>& conditions,
                        const std::vector<Change>& changes, Deadline deadline) override {
    LS_RETURN_IF_ERROR(check_commit(conditions, changes));
    LS_ASSIGN_OR_RETURN(
        const auto answer,
        client_.call("/v3/kv/txn", json_.transaction(conditions, changes), deadline));
    if (answer.body.contains("succeeded")) return Commit{true, read_header_revision(answer.body)};
    if (!answer.repeated || changes.empty()) return Commit{};
    return read_refusal(changes, answer.body);
  }

  Result<Lease> grant(double ttl_seconds, Deadline deadline) override {
    const auto seconds = static_cast<int64_t>(std::ceil(ttl_seconds));
    LS_ASSIGN_OR_RETURN(
        const auto answer,
        client_.call("/v3/lease/grant", {{"TTL", std::to_string(seconds)}}, deadline));
    return Lease{read_int64(answer.body, "ID"),
                 static_cast<double>(read_int64(answer.body, "TTL"))};
  }

  Status keep_alive(int64_t lease, Deadline deadline) override {
    const Json request = {{"ID", std::to_string(lease)}};
    LS_ASSIGN_OR_RETURN(const auto answer, client_.call("/v3/lease/keepalive", request, deadline));
    if (!answer.body.contains("result"))
      return unavailable("etcd kept no lease alive: " + dump_json(answer.body));
    // The reply for a lost lease has no TTL.
    if (read_int64(answer.body["result"], "TTL") > 0) return ok_status();
    return not_found("lease " + std::to_string(lease) + " is lost");
  }

  Status revoke(int64_t lease, Deadline deadline) override {
    const Json request = {{"ID", std::to_string(lease)}};
    const auto answer = client_.call("/v3/lease/revoke", request, deadline);
    return answer.status();
  }

  std::unique_ptr<Watch> watch(const std::string& prefix, Listing known,
                               OnEvents on_events) override {
    return start_etcd_watch({*this, client_, json_, stream_seconds_},
                            WatchState(prefix, known, std::move(on_events)));
  }

 private:
  // The answer to an earlier attempt was lost, and that attempt may be what this one failed on.
  Result<Commit> read_refusal(const std::vector<Change>& changes, const Json& body) const {
    LS_ASSIGN_OR_RETURN(const std::vector<Entry> entries, json_.read_refusal(changes, body));
    if (!in_place(changes, entries)) return Commit{};
    int64_t revision = read_header_revision(body);
    for (const Entry& entry : entries)
      if (entry.revision > 0) revision = entry.revision;
    return Commit{true, revision};
  }

  EtcdClient client_;
  const EtcdJson json_;
  const double stream_seconds_;
};

}  // namespace

Result<EtcdHealth> try_etcd(const ClusterUrl& url, const EtcdOptions& options, Deadline deadline) {
  EtcdClient client(url, options.access);
  EtcdHealth out;
  LS_ASSIGN_OR_RETURN(const auto answer,
                      client.call("/v3/maintenance/status", Json::object(), deadline));
  LS_ASSIGN_OR_RETURN(out.version, json_get<std::string>(answer.body, "version", "etcd"));
  const auto directory = make_etcd_directory(url, options);
  const std::string key = "doctor/" + std::to_string(::getpid());
  const Stopwatch watch;
  LS_RETURN_IF_ERROR(directory->put(key, "", 0, deadline).status());
  out.put_seconds = watch.seconds();
  LS_RETURN_IF_ERROR(directory->remove(key, deadline));
  return out;
}

std::unique_ptr<Directory> make_etcd_directory(const ClusterUrl& url, const EtcdOptions& options) {
  return std::make_unique<EtcdDirectory>(url, options);
}

}  // namespace longshot::cluster
