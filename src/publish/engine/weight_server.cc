#include "publish/engine/weight_server.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/json.h"
#include "net/bulk/byte_range.h"
#include "net/errors.h"

namespace longshot::publish {
namespace {

constexpr const char* kPrefix = "/v1/checkpoints/";
constexpr const char* kBinary = "application/octet-stream";

net::Reply no_such(const std::string& what) {
  return net::error_reply({404, what, "invalid_request_error", "", "not_found"});
}

// The part of `text` before the next '/', which is removed together with the '/'.
std::string_view next_part(std::string_view& text) {
  const size_t slash = text.find('/');
  const std::string_view part = text.substr(0, slash);
  text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
  return part;
}

bool read_number(std::string_view text, int64_t& number) {
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  return !text.empty() && stop == end && problem == std::errc();
}

Held find(WeightStore& store, std::string_view name) {
  if (name == "latest") return store.latest();
  VersionId id;
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos)
    return read_number(name, id.version) ? store.find(id.version) : nullptr;
  const bool valid =
      read_number(name.substr(0, dash), id.epoch) && read_number(name.substr(dash + 1), id.version);
  return valid ? store.find(id) : nullptr;
}

// Keeps a version alive and is counted as a reader while an answer is sent.
struct Reading {
  Reading(std::shared_ptr<const void> version, std::shared_ptr<std::atomic<int>> count)
      : held(std::move(version)), readers(std::move(count)) {
    ++*readers;
  }
  ~Reading() { --*readers; }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  std::shared_ptr<const void> held;
  std::shared_ptr<std::atomic<int>> readers;
};

Result<ServedVersion> parse_version(const Json& json, const std::string& where) {
  ServedVersion version;
  LS_ASSIGN_OR_RETURN(version.id.epoch, json_get<int64_t>(json, "epoch", where));
  LS_ASSIGN_OR_RETURN(version.id.version, json_get<int64_t>(json, "version", where));
  LS_ASSIGN_OR_RETURN(version.bytes, json_get<uint64_t>(json, "bytes", where));
  LS_ASSIGN_OR_RETURN(version.fingerprint, json_get<uint64_t>(json, "fingerprint", where));
  return version;
}

}  // namespace

std::string url_name(VersionId id) {
  return fmt::format("{}-{}", id.epoch, id.version);
}

std::string to_json(const ServerState& state) {
  OrderedJson json = {
      {"run", state.run}, {"readers", state.readers}, {"versions", OrderedJson::array()}};
  for (const ServedVersion& version : state.versions) {
    json["versions"].push_back({{"epoch", version.id.epoch},
                                {"version", version.id.version},
                                {"bytes", version.bytes},
                                {"fingerprint", version.fingerprint}});
  }
  return dump_json(json);
}

Result<ServerState> parse_server_state(std::string_view text, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(text, where));
  ServerState state;
  LS_ASSIGN_OR_RETURN(state.run, json_get<std::string>(json, "run", where));
  LS_ASSIGN_OR_RETURN(state.readers, json_get<int>(json, "readers", where));
  LS_ASSIGN_OR_RETURN(const Json versions, json_get<Json>(json, "versions", where));
  for (const Json& entry : versions) {
    LS_ASSIGN_OR_RETURN(const ServedVersion version, parse_version(entry, where + ": versions"));
    state.versions.push_back(version);
  }
  return state;
}

Result<std::unique_ptr<WeightServer>> WeightServer::start(WeightStore& store,
                                                          const WeightServerOptions& options) {
  std::unique_ptr<WeightServer> server(new WeightServer(store, options.full_every));
  const WeightServer* self = server.get();
  std::vector<net::Route> routes = {
      {"GET", "/v1/healthz", [](const net::Call&) { return net::Reply{.body = "{\"ok\": true}"}; }},
      {"GET", kPrefix, [self](const net::Call& call) { return self->answer(call); }, true}};
  routes.insert(routes.end(), options.routes.begin(), options.routes.end());
  LS_ASSIGN_OR_RETURN(server->http_, net::HttpServer::start({.host = options.host,
                                                             .port = options.port,
                                                             .api_key = options.credentials.token,
                                                             .connections = options.readers,
                                                             .tls = options.credentials.tls,
                                                             .access_log = false},
                                                            std::move(routes), server->requests_));
  return server;
}

bool WeightServer::stop(double seconds) {
  http_->refuse_new();
  return http_->drain(seconds);
}

net::Reply WeightServer::state() const {
  ServerState state{store_.run(), readers(), {}};
  for (const Held& held : store_.held()) {
    const Manifest& manifest = held->manifest();
    state.versions.push_back(
        {id_of(manifest), manifest.total_bytes(), checksum(held->manifest_text())});
  }
  return {.body = to_json(state)};
}

net::Reply WeightServer::answer(const net::Call& call) const {
  std::string_view rest = std::string_view(call.path).substr(std::string_view(kPrefix).size());
  const std::string run(next_part(rest));
  if (run != store_.run()) return no_such("this server holds run '" + store_.run() + "' only");
  if (rest.empty()) return state();
  const std::string version(next_part(rest)), what(next_part(rest)), name(rest);
  const Held held = find(store_, version);
  if (!held) return answer_growing(version, what, call);
  if (what == "manifest" && name.empty()) return {.body = held->manifest_text()};
  if (what == "data" && name.empty()) return data(held->bytes(), held, call);
  if (what == "pieces" && name.empty()) return {.body = to_json(Pieces{.complete = true})};
  if (what == "delta" && name.empty()) return delta(held, call);
  if (what != "files") return no_such("a version has manifest, data, pieces, delta and files/NAME");
  const auto content = held->file(name);
  if (!content.ok()) return no_such(content.status().message());
  return net::range_reply(*content, held, call.range, kBinary);
}

net::Reply WeightServer::answer_growing(const std::string& version, std::string_view what,
                                        const net::Call& call) const {
  const auto growing = store_.growing();
  if (!growing || url_name(growing->id()) != version)
    return no_such("run '" + store_.run() + "' has no version '" + version.substr(0, 60) +
                   "' here");
  if (what == "pieces") return {.body = to_json(growing->pieces())};
  const net::WantedRange wanted = net::wanted_range(call.range, growing->bytes().size());
  if (what == "data" && growing->has(wanted.range)) return data(growing->bytes(), growing, call);
  return net::error_reply(net::error_of(unavailable("this part of the version is not here yet")));
}

net::Reply WeightServer::data(std::string_view bytes, std::shared_ptr<const void> owner,
                              const net::Call& call) const {
  return net::range_reply(bytes, std::make_shared<Reading>(std::move(owner), readers_), call.range,
                          kBinary);
}

net::Reply WeightServer::delta(const Held& held, const net::Call& call) const {
  const auto name = call.query.find("base");
  const Held base = name == call.query.end() ? nullptr : find(store_, name->second);
  if (!base) return no_such("the base of a delta is not held here: ?base=VERSION");
  const bool whole = full_every_ > 0 && held->manifest().version % full_every_ == 0;
  const auto encoded = whole ? nullptr : deltas_.get(*base, *held);
  if (!encoded) return no_such("there is no delta: fetch the version whole");
  net::Reply reply;
  reply.content_type = kBinary;
  reply.lent = {*encoded, encoded};
  return reply;
}

}  // namespace longshot::publish
