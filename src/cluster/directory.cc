#include "cluster/directory.h"

#include <fmt/format.h>

#include <set>

namespace longshot::cluster {
namespace {

constexpr size_t kMaxChanges = 128;    // etcd's default limit of operations in a transaction
constexpr size_t kMaxBytes = 1 << 20;  // etcd's default limit of a request is 1.5 MiB

Status check_count(size_t count, const char* what) {
  if (count <= kMaxChanges) return ok_status();
  return invalid_argument(
      fmt::format("a commit has {} {}; the limit is {}", count, what, kMaxChanges));
}

}  // namespace

Status check_key(const std::string& key) {
  return key.empty() ? invalid_argument("a key of the cluster's directory is empty") : ok_status();
}

Status check_commit(const std::vector<Condition>& conditions, const std::vector<Change>& changes) {
  LS_RETURN_IF_ERROR(check_count(conditions.size(), "conditions"));
  LS_RETURN_IF_ERROR(check_count(changes.size(), "changes"));
  for (const Condition& condition : conditions) LS_RETURN_IF_ERROR(check_key(condition.key));
  std::set<std::string> keys;
  size_t bytes = 0;
  for (const Change& change : changes) {
    LS_RETURN_IF_ERROR(check_key(change.key));
    if (!keys.insert(change.key).second)
      return invalid_argument(fmt::format("a commit changes key '{}' twice", change.key));
    bytes += change.key.size() + change.value.value_or("").size();
  }
  if (bytes <= kMaxBytes) return ok_status();
  return invalid_argument(fmt::format("the commit of key '{}' has {} bytes; the limit is {}",
                                      changes[0].key, bytes, kMaxBytes));
}

Result<int64_t> Directory::put(const std::string& key, const std::string& value, int64_t lease,
                               Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Commit done, commit({}, {{key, value, lease}}, deadline));
  return done.revision;
}

Status Directory::remove(const std::string& key, Deadline deadline) {
  return commit({}, {{key, std::nullopt}}, deadline).status();
}

}  // namespace longshot::cluster
