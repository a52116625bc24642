#pragma once
// The entries of a Directory in the JSON of etcd's gateway: bytes are base64, 64-bit integers are
// texts, and members with the default value are missing.

#include <string>
#include <vector>

#include "base/json.h"
#include "cluster/directory.h"

namespace longshot::cluster {

// Converts between keys below `prefix` and the JSON of requests and replies. Immutable.
class EtcdJson {
 public:
  explicit EtcdJson(std::string prefix) : prefix_(std::move(prefix)) {}

  Json range_of_key(const std::string& key) const;        // {"key"}
  Json range_of_prefix(const std::string& prefix) const;  // {"key", "range_end"}
  Json transaction(const std::vector<Condition>& conditions,
                   const std::vector<Change>& changes) const;
  Json watch_request(const std::string& prefix, int64_t first_revision) const;

  // corrupt if the JSON is not of this form.
  Result<Entry> read_entry(const Json& key_value) const;
  Result<std::vector<Entry>> read_entries(const Json& range) const;
  // The entries that a refused transaction() found at the keys of its changes, in their order.
  Result<std::vector<Entry>> read_refusal(const std::vector<Change>& changes,
                                          const Json& reply) const;
  Result<std::vector<Event>> read_events(const Json& watch_result) const;

 private:
  const std::string prefix_;
};

// A 64-bit integer; 0 if it is missing or not an integer.
int64_t read_int64(const Json& object, const std::string& key);
int64_t read_header_revision(const Json& reply);

}  // namespace longshot::cluster
