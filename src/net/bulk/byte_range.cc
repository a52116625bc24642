#include "net/bulk/byte_range.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "net/errors.h"

namespace longshot::net {
namespace {

constexpr std::string_view kUnit = "bytes=";

// The number that all of `text` is; nothing for anything else.
std::optional<uint64_t> number_in(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (text.empty() || stop != end || problem != std::errc()) return std::nullopt;
  return number;
}

WantedRange last_bytes(uint64_t count, uint64_t total) {
  if (count == 0 || total == 0) return {RangeKind::unsatisfiable, {0, total}};
  return {RangeKind::part, {total - std::min(count, total), total}};
}

}  // namespace

std::string range_header(const ByteRange& range) {
  return fmt::format("bytes={}-{}", range.begin, range.end - 1);
}

WantedRange wanted_range(std::string_view header, uint64_t total) {
  const WantedRange whole = {RangeKind::whole, {0, total}};
  if (!header.starts_with(kUnit)) return whole;
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first = number_in(header.substr(0, dash)), last = number_in(header.substr(dash + 1));
  if (dash == 0) return last ? last_bytes(*last, total) : whole;
  const bool open = dash + 1 == header.size();
  if (!first || (!open && (!last || *last < *first))) return whole;
  if (*first >= total) return {RangeKind::unsatisfiable, {0, total}};
  return {RangeKind::part, {*first, open || *last >= total ? total : *last + 1}};
}

std::optional<ContentRange> read_content_range(std::string_view header) {
  constexpr std::string_view kPrefix = "bytes ";
  const size_t dash = header.find('-'), slash = header.find('/');
  if (!header.starts_with(kPrefix) || dash == header.npos || slash == header.npos || slash < dash)
    return std::nullopt;
  const auto first = number_in(header.substr(kPrefix.size(), dash - kPrefix.size()));
  const auto last = number_in(header.substr(dash + 1, slash - dash - 1));
  const auto total = number_in(header.substr(slash + 1));
  if (!first || !last || !total || *last < *first || *last >= *total) return std::nullopt;
  return ContentRange{{*first, *last + 1}, *total};
}

Reply range_reply(std::string_view bytes, std::shared_ptr<const void> owner,
                  std::string_view range_header, const std::string& content_type) {
  const auto [kind, range] = wanted_range(range_header, bytes.size());
  if (kind == RangeKind::unsatisfiable) {
    Reply reply =
        error_reply({416, "the range is beyond the end", "invalid_request_error", "", ""});
    reply.headers = {{"Content-Range", fmt::format("bytes */{}", bytes.size())}};
    return reply;
  }
  Reply reply;
  reply.content_type = content_type;
  reply.headers = {{"Accept-Ranges", "bytes"}};
  reply.lent = {bytes.substr(range.begin, range.size()), std::move(owner)};
  if (kind == RangeKind::whole) return reply;
  reply.status = 206;
  reply.headers.emplace_back(
      "Content-Range", fmt::format("bytes {}-{}/{}", range.begin, range.end - 1, bytes.size()));
  return reply;
}

}  // namespace longshot::net
