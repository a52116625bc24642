#include "cluster/cluster_url.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/text/text.h"
#include "net/http_client.h"

namespace longshot::cluster {
namespace {

constexpr std::string_view kPlain = "etcd://", kTls = "etcds://";

bool is_run_character(unsigned char c) {
  return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
}

// The characters of names, IPv4 addresses and IPv6 addresses in brackets, with a port.
bool is_endpoint_character(unsigned char c) {
  return is_run_character(c) || c == ':' || c == '[' || c == ']';
}

bool has_port(const std::string& endpoint) {
  const size_t colon = endpoint.rfind(':');
  if (colon == std::string::npos || colon + 1 == endpoint.size() || colon == 0) return false;
  return std::all_of(endpoint.begin() + static_cast<long>(colon) + 1, endpoint.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

Status check_endpoint(const std::string& endpoint, const std::string& where) {
  const std::string what = where + ": endpoint '" + endpoint + "'";
  if (!has_port(endpoint)) return invalid_argument(what + " is not host:port, e.g. etcd-0:2379");
  const auto url = net::parse_url("http://" + endpoint, where);
  if (!url.ok() || !std::all_of(endpoint.begin(), endpoint.end(), is_endpoint_character))
    return invalid_argument(what + " is not a valid host and port");
  return ok_status();
}

}  // namespace

Result<ClusterUrl> parse_cluster_url(const std::string& text) {
  const std::string where = "cluster url '" + text + "'";
  ClusterUrl url;
  url.tls = text.starts_with(kTls);
  if (!url.tls && !text.starts_with(kPlain))
    return invalid_argument(where + ": expected etcd://host:port,host:port/run-name");
  const size_t begin = url.tls ? kTls.size() : kPlain.size();
  const size_t slash = text.find('/', begin);
  if (slash == std::string::npos || slash + 1 == text.size())
    return invalid_argument(where +
                            ": the name of the run is missing after the endpoints, /run-name");
  url.endpoints = split_at_commas(text.substr(begin, slash - begin));
  for (const std::string& endpoint : url.endpoints)
    LS_RETURN_IF_ERROR(check_endpoint(endpoint, where));
  url.run = text.substr(slash + 1);
  if (!std::all_of(url.run.begin(), url.run.end(), is_run_character))
    return invalid_argument(where + ": the name of the run '" + url.run +
                            "' may have letters, digits, '.', '_' and '-' only");
  return url;
}

}  // namespace longshot::cluster
