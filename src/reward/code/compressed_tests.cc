#include "reward/code/compressed_tests.h"

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/text/base64.h"
#include "base/text/text.h"
#include "reward/inflated.h"

namespace longshot::reward {
namespace {

constexpr const char* kWho = "reward code: test cases";

// Reads the few opcodes with which Python pickles a text (its module pickletools documents them).
class Pickle {
 public:
  explicit Pickle(std::string_view bytes) : bytes_(bytes) {}

  std::optional<std::string> text() {
    std::optional<std::string> found;
    while (ok_) {
      const auto code = static_cast<unsigned char>(take(1)[0]);
      if (code == 0x80) {  // PROTO
        take(1);
      } else if (code == 0x95) {  // FRAME
        take(8);
      } else if (code == 0x8c || code == 'X' || code == 0x8d) {  // *BINUNICODE*
        if (found) return std::nullopt;
        found = std::string(take(number(code == 0x8c ? 1 : code == 'X' ? 4 : 8)));
      } else if (code == 'q' || code == 'r') {  // BINPUT, LONG_BINPUT
        take(code == 'q' ? 1 : 4);
      } else if (code == '.') {  // STOP
        return ok_ ? found : std::nullopt;
      } else if (code != 0x94) {  // MEMOIZE
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

 private:
  std::string_view take(uint64_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return std::string_view("\0", 1);
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  uint64_t number(size_t bytes) {
    uint64_t value = 0;
    const std::string_view taken = take(bytes);
    if (ok_) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace

Result<Json> decompressed_tests(const Json& tests) {
  if (!tests.is_string()) return tests;
  const std::string text(trim(tests.get_ref<const std::string&>()));
  if (text.starts_with('[')) return parse_json(text, kWho);
  const auto packed = from_base64(text);
  const auto bytes = packed ? inflated(*packed) : std::nullopt;
  const auto json = bytes ? Pickle(*bytes).text() : std::nullopt;
  if (!json)
    return invalid_argument(std::string(kWho) +
                            " are neither a JSON list nor a compressed text as of LiveCodeBench");
  return parse_json(*json, kWho);
}

}  // namespace longshot::reward
