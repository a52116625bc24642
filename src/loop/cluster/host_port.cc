#include "loop/cluster/host_port.h"

#include <fmt/format.h>

#include <charconv>

#include "base/os/machine.h"

namespace longshot::loop {

Result<HostPort> parse_host_port(const std::string& text, const std::string& key) {
  const size_t colon = text.rfind(':');
  HostPort out;
  if (colon != std::string::npos && colon > 0) {
    out.host = text.substr(0, colon);
    // A socket wants an IPv6 address without its brackets.
    if (out.host.starts_with('[') && out.host.ends_with(']'))
      out.host = out.host.substr(1, out.host.size() - 2);
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, out.port);
    if (error == std::errc() && rest == end && out.port >= 0 && out.port <= 65535) return out;
  }
  return invalid_argument(
      fmt::format("{} = \"{}\" is not HOST:PORT, such as 127.0.0.1:7000", key, text));
}

namespace {

std::string with_brackets(const std::string& host) {
  return host.find(':') == std::string::npos || host.starts_with('[') ? host : "[" + host + "]";
}

}  // namespace

std::string to_string(const HostPort& at) {
  return fmt::format("{}:{}", with_brackets(at.host), at.port);
}

std::string reachable_host(const HostPort& at, const std::string& advertised) {
  if (!advertised.empty()) return with_brackets(advertised);
  if (at.host == "0.0.0.0" || at.host == "::") return host_name();
  return with_brackets(at.host);
}

}  // namespace longshot::loop
