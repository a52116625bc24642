#include "net/bulk/http_get.h"

#include <fmt/core.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/text/text.h"
#include "net/http_reply.h"

namespace longshot::net {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr size_t kMaxHead = 64 << 10;
constexpr uint64_t kMaxErrorBody = 1 << 20;

bool is_name(std::string_view text, std::string_view name) {
  return text.size() == name.size() && strncasecmp(text.data(), name.data(), name.size()) == 0;
}

Status read_line(std::string_view line, GetHead& head, bool& has_length) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return corrupt("a header has no colon");
  const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
  if (is_name(name, "transfer-encoding")) return corrupt("the answer has no Content-Length");
  if (is_name(name, "connection") && is_name(value, "close")) head.keep = false;
  if (is_name(name, "content-range")) head.range = read_content_range(value);
  if (!is_name(name, "content-length")) return ok_status();
  const char* end = value.data() + value.size();
  const auto [stop, problem] = std::from_chars(value.data(), end, head.length);
  if (stop != end || problem != std::errc() || has_length)
    return corrupt("the answer has a Content-Length that is not a number of bytes");
  has_length = true;
  return ok_status();
}

std::string host_of(const std::string& server, std::string& port) {
  std::string address = server.substr(server.find("//") + 2);
  const size_t colon = address.rfind(':');
  const bool has_port = colon != std::string::npos && address.find(']', colon) == std::string::npos;
  port = has_port ? address.substr(colon + 1) : server.starts_with("https") ? "443" : "80";
  std::string host = has_port ? address.substr(0, colon) : address;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

Result<GetHead> read_get_head(std::string_view text) {
  GetHead head;
  if (!text.starts_with("HTTP/1.") || text.size() < 12)
    return corrupt("the answer is not HTTP/1.1");
  head.keep = text[7] != '0';
  const auto [stop, problem] = std::from_chars(text.data() + 9, text.data() + 12, head.status);
  if (problem != std::errc() || stop != text.data() + 12)
    return corrupt("the answer has no status");
  bool has_length = false;
  size_t begin = text.find("\r\n") + 2;
  while (begin < text.size() && !text.substr(begin).starts_with("\r\n")) {
    const size_t end = text.find("\r\n", begin);
    if (end == std::string_view::npos) return corrupt("the answer's head has no end");
    LS_RETURN_IF_ERROR(read_line(text.substr(begin, end - begin), head, has_length));
    begin = end + 2;
  }
  if (!has_length) return corrupt("the answer has no Content-Length");
  return head;
}

Result<HttpGet> HttpGet::connect(const Url& url, const Credentials& credentials,
                                 Deadline deadline) {
  LS_RETURN_IF_ERROR(check_scheme(url.server, credentials));
  std::string port;
  const std::string host = host_of(url.server, port);
  auto socket = ClientSocket::connect(host, port, deadline, credentials.tls);
  if (!socket.ok()) return socket.status().with_context(url.server);
  return HttpGet(url.server, credentials.token, std::move(socket).value());
}

Result<GetHead> HttpGet::ask(const std::string& path, std::optional<ByteRange> range,
                             Deadline deadline) {
  LS_CHECK(left_ == 0, "the body of the last answer was not read");
  std::string text =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n", path, server_.substr(server_.find("//") + 2));
  if (!token_.empty()) text += "Authorization: Bearer " + token_ + "\r\n";
  if (range) text += "Range: " + range_header(*range) + "\r\n";
  LS_RETURN_IF_ERROR(socket_.write(text + "\r\n", deadline).with_context(server_));
  auto answer = read_head(deadline);
  if (!answer.ok()) return answer.status().with_context(server_);
  auto head = read_get_head(*answer);
  if (!head.ok()) return head.status().with_context(server_);
  left_ = head->length;
  keep_ = head->keep;
  return head;
}

Result<std::string> HttpGet::read_head(Deadline deadline) {
  std::string text = std::exchange(read_ahead_, {});
  std::array<char, 16384> buffer;
  size_t end = text.find(kHeadEnd);
  while (end == std::string::npos) {
    if (text.size() > kMaxHead) return corrupt("the answer's head is too long");
    LS_ASSIGN_OR_RETURN(const size_t got, socket_.read(buffer, deadline));
    if (got == 0) return unavailable("the connection ended before the answer");
    text.append(buffer.data(), got);
    end = text.find(kHeadEnd);
  }
  read_ahead_ = text.substr(end + kHeadEnd.size());
  text.resize(end + kHeadEnd.size());
  return text;
}

Result<size_t> HttpGet::read(std::span<char> out, Deadline deadline) {
  out = out.first(std::min<uint64_t>(out.size(), left_));
  if (out.empty()) return size_t{0};
  size_t got = std::min(out.size(), read_ahead_.size());
  if (got > 0) {
    std::memcpy(out.data(), read_ahead_.data(), got);
    read_ahead_.erase(0, got);
  } else {
    auto read = socket_.read(out, deadline);
    if (!read.ok()) return read.status().with_context(server_);
    if (*read == 0)
      return unavailable(fmt::format("{}: the connection ended {} bytes early", server_, left_));
    got = *read;
  }
  left_ -= got;
  return got;
}

Result<std::string> HttpGet::read_all(uint64_t most, Deadline deadline) {
  if (left_ > most)
    return corrupt(fmt::format("{}: an answer of {} bytes is too long", server_, left_));
  std::string body(left_, '\0');
  for (size_t done = 0; done < body.size();) {
    LS_ASSIGN_OR_RETURN(const size_t got, read(std::span(body).subspan(done), deadline));
    done += got;
  }
  return body;
}

Status error_of_get(int status, const std::string& body, const std::string& who) {
  const Status error = check_http_status({status, body}, who);
  if (error.ok()) return corrupt(fmt::format("{}: status {}", who, status));
  return status == 404 ? not_found(error.message()) : error;
}

Result<std::string> http_get(const Url& url, const Credentials& credentials, uint64_t most,
                             Deadline deadline) {
  LS_ASSIGN_OR_RETURN(HttpGet connection, HttpGet::connect(url, credentials, deadline));
  LS_ASSIGN_OR_RETURN(const GetHead head, connection.ask(url.path, std::nullopt, deadline));
  const uint64_t limit = head.status == 200 ? most : kMaxErrorBody;
  LS_ASSIGN_OR_RETURN(std::string body, connection.read_all(limit, deadline));
  if (head.status == 200) return body;
  return error_of_get(head.status, body, url.server + url.path);
}

}  // namespace longshot::net
