#include "cluster/etcd_json.h"

#include <charconv>

#include "base/text/base64.h"

namespace longshot::cluster {
namespace {

const std::string kWhere = "reply of etcd";

Result<std::string> read_bytes(const Json& object, const std::string& key) {
  LS_ASSIGN_OR_RETURN(const std::string text, json_get_or<std::string>(object, key, "", kWhere));
  auto bytes = from_base64(text);
  if (!bytes) return corrupt(kWhere + ": '" + key + "' is not base64");
  return std::move(*bytes);
}

const Json& member(const Json& object, const char* key) {
  static const Json none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? none : *found;
}

// The first text that is greater than every text with this prefix. The prefixes of runs end in an
// ASCII character, so the last byte can always be increased somewhere.
std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

int64_t read_int64(const Json& object, const std::string& key) {
  const Json& value = member(object, key.c_str());
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_string()) return 0;
  const std::string& text = value.get_ref<const std::string&>();
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int64_t read_header_revision(const Json& reply) {
  return read_int64(member(reply, "header"), "revision");
}

Json EtcdJson::range_of_key(const std::string& key) const {
  return {{"key", to_base64(prefix_ + key)}};
}

Json EtcdJson::range_of_prefix(const std::string& prefix) const {
  const std::string begin = prefix_ + prefix;
  return {{"key", to_base64(begin)}, {"range_end", to_base64(end_of_prefix(begin))}};
}

Json EtcdJson::transaction(const std::vector<Condition>& conditions,
                           const std::vector<Change>& changes) const {
  Json compare = Json::array(), success = Json::array(), failure = Json::array();
  for (const Condition& condition : conditions) {
    compare.push_back({{"key", to_base64(prefix_ + condition.key)},
                       {"target", "MOD"},
                       {"result", "EQUAL"},
                       {"mod_revision", std::to_string(condition.revision)}});
  }
  for (const Change& change : changes) {
    Json request = range_of_key(change.key);
    failure.push_back({{"request_range", request}});
    if (!change.value) {
      success.push_back({{"request_delete_range", request}});
      continue;
    }
    request["value"] = to_base64(*change.value);
    request["lease"] = std::to_string(change.lease);
    success.push_back({{"request_put", request}});
  }
  return {{"compare", compare}, {"success", success}, {"failure", failure}};
}

Json EtcdJson::watch_request(const std::string& prefix, int64_t first_revision) const {
  Json request = range_of_prefix(prefix);
  request["start_revision"] = std::to_string(first_revision);
  return {{"create_request", request}};
}

Result<Entry> EtcdJson::read_entry(const Json& key_value) const {
  LS_ASSIGN_OR_RETURN(const std::string key, read_bytes(key_value, "key"));
  LS_ASSIGN_OR_RETURN(std::string value, read_bytes(key_value, "value"));
  if (!key.starts_with(prefix_)) return corrupt(kWhere + ": unexpected key '" + key + "'");
  return Entry{key.substr(prefix_.size()), std::move(value), read_int64(key_value, "mod_revision"),
               read_int64(key_value, "lease")};
}

Result<std::vector<Entry>> EtcdJson::read_entries(const Json& range) const {
  std::vector<Entry> entries;
  for (const Json& key_value : member(range, "kvs")) {
    LS_ASSIGN_OR_RETURN(Entry entry, read_entry(key_value));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<Entry>> EtcdJson::read_refusal(const std::vector<Change>& changes,
                                                  const Json& reply) const {
  const Json& responses = member(reply, "responses");
  if (responses.size() != changes.size()) return corrupt(kWhere + ": a response is missing");
  std::vector<Entry> entries;
  for (size_t i = 0; i < changes.size(); ++i) {
    LS_ASSIGN_OR_RETURN(std::vector<Entry> found,
                        read_entries(member(responses[i], "response_range")));
    entries.push_back(found.empty() ? Entry{.key = changes[i].key} : std::move(found[0]));
  }
  return entries;
}

Result<std::vector<Event>> EtcdJson::read_events(const Json& watch_result) const {
  std::vector<Event> events;
  for (const Json& item : member(watch_result, "events")) {
    LS_ASSIGN_OR_RETURN(Entry entry, read_entry(member(item, "kv")));
    events.push_back({std::move(entry), member(item, "type") == "DELETE"});
  }
  return events;
}

}  // namespace longshot::cluster
