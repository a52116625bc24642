#pragma once
// Ranges of a body (RFC 9110, section 14): what a client wants, and the answer that contains it. A
// single range is supported. Pure.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/reply.h"

namespace longshot::net {

struct ByteRange {
  uint64_t begin = 0, end = 0;  // bytes [begin, end)

  uint64_t size() const { return end - begin; }
  bool operator==(const ByteRange&) const = default;
};

// The value of a Range header that asks for these bytes. The range must not be empty.
std::string range_header(const ByteRange& range);

enum class RangeKind {
  whole,          // no range, several ranges or another unit: the whole body is the answer
  part,           // one range
  unsatisfiable,  // no byte of the body is in the range
};
struct WantedRange {
  RangeKind kind = RangeKind::whole;
  ByteRange range;  // cut to the body; the whole body unless `kind` is part
};
// `header` is the value of a Range header, or empty; `total` is the size of the body.
WantedRange wanted_range(std::string_view header, uint64_t total);

// The range of a Content-Range header, "bytes 5-9/100"; nothing if it is not of this form.
struct ContentRange {
  ByteRange range;
  uint64_t total = 0;
};
std::optional<ContentRange> read_content_range(std::string_view header);

// The answer to a request for `bytes`, which `owner` keeps valid: 200 with all of them, 206 with
// the range that `range_header` asks for, or 416.
Reply range_reply(std::string_view bytes, std::shared_ptr<const void> owner,
                  std::string_view range_header, const std::string& content_type);

}  // namespace longshot::net
