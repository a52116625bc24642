#include "net/chunks.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace longshot::net {
namespace {

constexpr size_t kLongestLine = 1024;
constexpr size_t kMaxDigits = 12;  // of a size

}  // namespace

// Parses a size in hexadecimal digits, an optional extension after a semicolon, and a line end.
bool Chunks::take_size(const std::string& bytes, size_t& at) {
  const size_t from = at + (begun_ ? 2 : 0);
  if (begun_ && bytes.size() >= from && bytes.compare(at, 2, "\r\n") != 0) wrong_ = true;
  const size_t end = bytes.size() < from ? std::string::npos : bytes.find("\r\n", from);
  if (end == std::string::npos) {
    wrong_ = wrong_ || bytes.size() - at > kLongestLine;
    return false;
  }
  const char* first = bytes.data() + from;
  const char* line_end = bytes.data() + end;
  const auto [stop, problem] = std::from_chars(first, line_end, left_, 16);
  const bool digits =
      problem == std::errc() && stop - first <= static_cast<std::ptrdiff_t>(kMaxDigits);
  if (!digits || (stop != line_end && *stop != ';')) wrong_ = true;
  at = end + 2;
  begun_ = true;
  last_ = left_ == 0;
  return !wrong_;
}

Chunks::State Chunks::take(std::string& bytes, ByteBuffer& body) {
  size_t at = 0;
  while (!last_ && !wrong_) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - at));
    body.append(std::string_view(bytes).substr(at, count));
    at += count;
    left_ -= count;
    if (left_ > 0 || !take_size(bytes, at)) break;
  }
  bytes.erase(0, at);
  if (wrong_) return State::wrong;
  if (!last_ || bytes.size() < 2) return State::more;
  if (!bytes.starts_with("\r\n")) return State::wrong;
  bytes.erase(0, 2);
  return State::complete;
}

}  // namespace longshot::net
