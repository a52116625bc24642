#include "net/request_head.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace longshot::net {
namespace {

constexpr size_t kMaxHeaders = 256;
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kBlanks = " \t";

ApiError bad_head(const std::string& what, int status = 400) {
  return {status, "the request's head " + what, "invalid_request_error", "", ""};
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// RFC 9110's token: methods and header names.
bool is_token(std::string_view text) {
  static constexpr std::string_view kMore = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || kMore.find(c) != std::string_view::npos;
  });
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(kBlanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlanks) - from + 1);
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<ApiError> read_request_line(std::string_view line, RequestHead& head) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == last) return bad_head("does not begin with METHOD PATH HTTP/1.1");
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  head.method = line.substr(0, first);
  if (!is_token(head.method) || target.empty() ||
      target.find_first_of(kBlanks) != std::string_view::npos || !version.starts_with("HTTP/"))
    return bad_head("does not begin with METHOD PATH HTTP/1.1");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return bad_head("is not of HTTP/1.1 or HTTP/1.0", 505);
  head.path = percent_decoded(target.substr(0, target.find('?')));
  return std::nullopt;
}

std::optional<ApiError> read_header(std::string_view line, RequestHead& head) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return bad_head("has a line that is not 'Name: value'");
  head.headers.emplace_back(lower(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  if (head.headers.size() > kMaxHeaders)
    return bad_head(fmt::format("has more than {} headers", kMaxHeaders), 431);
  return std::nullopt;
}

size_t count(const RequestHead& head, std::string_view name) {
  return static_cast<size_t>(std::count_if(head.headers.begin(), head.headers.end(),
                                           [&](const auto& h) { return h.first == name; }));
}

// Reads the length of the body.
std::optional<ApiError> read_framing(RequestHead& head) {
  const auto length = head.header("content-length");
  const auto encoding = head.header("transfer-encoding");
  if (count(head, "content-length") + count(head, "transfer-encoding") > 1)
    return bad_head("gives the length of the body twice");
  if (encoding && lower(*encoding) != "chunked")
    return bad_head("has a Transfer-Encoding other than chunked", 501);
  head.chunked = encoding.has_value();
  if (length) {
    const char* end = length->data() + length->size();
    const bool digits = !length->empty() && length->find_first_not_of("0123456789") == length->npos;
    const auto [stop, problem] = std::from_chars(length->data(), end, head.length);
    if (!digits || stop != end || problem != std::errc())
      return bad_head("has a Content-Length that is not a number of bytes");
  }
  head.expects_continue = lower(head.header("expect").value_or("")) == "100-continue";
  return std::nullopt;
}

std::string library_text(std::string_view request_line, const RequestHead& head) {
  const bool closes = request_line.ends_with("1.0");
  std::string text = std::string(request_line) + "\r\nContent-Length: 0\r\n";
  for (const auto& [name, value] : head.headers) {
    if (name == "content-length" || name == "transfer-encoding" || name == "content-type" ||
        name == "expect" || name == "range" || name == "if-range" ||
        (closes && name == "connection"))
      continue;
    text += name + ": " + value + "\r\n";
  }
  return text + "\r\n";
}

}  // namespace

std::optional<std::string> RequestHead::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_name) return value;
  return std::nullopt;
}

std::optional<ApiError> read_head(std::string_view text, RequestHead& head) {
  head = {};
  std::string_view request_line;
  while (!text.starts_with(kLineEnd)) {
    const size_t end = text.find(kLineEnd);
    if (end == std::string_view::npos) return bad_head("has no end");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + kLineEnd.size());
    if (std::any_of(line.begin(), line.end(), is_control))
      return bad_head("has a control character");
    const auto problem =
        request_line.empty() ? read_request_line(line, head) : read_header(line, head);
    if (problem) return problem;
    if (request_line.empty()) request_line = line;
  }
  if (request_line.empty()) return bad_head("is empty");
  if (const auto problem = read_framing(head)) return problem;
  head.text = library_text(request_line, head);
  return std::nullopt;
}

}  // namespace longshot::net
