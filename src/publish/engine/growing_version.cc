#include "publish/engine/growing_version.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace longshot::publish {
namespace {

constexpr const char* kDigits = "0123456789abcdef";

// Each digit stands for four chunks, the first one in its highest bit.
std::string to_hex(const std::vector<bool>& bits) {
  std::string text((bits.size() + 3) / 4, '0');
  for (size_t digit = 0; digit < text.size(); ++digit) {
    size_t value = 0;
    for (size_t i = 4 * digit; i < 4 * digit + 4; ++i)
      value = 2 * value + (i < bits.size() && bits[i] ? 1 : 0);
    text[digit] = kDigits[value];
  }
  return text;
}

Result<std::vector<bool>> from_hex(const std::string& text, size_t count,
                                   const std::string& where) {
  if (text.size() != (count + 3) / 4)
    return corrupt(fmt::format("{}: {} digits for {} chunks", where, text.size(), count));
  std::vector<bool> bits;
  for (const char digit : text) {
    const size_t value = std::string_view(kDigits).find(digit);
    if (value == std::string_view::npos) return corrupt(where + ": the chunks are not hexadecimal");
    for (size_t bit = 8; bit > 0; bit /= 2) bits.push_back((value & bit) != 0);
  }
  bits.resize(count);
  return bits;
}

}  // namespace

bool Pieces::have(size_t first, size_t end) const {
  if (complete) return true;
  if (end > chunks.size()) return false;
  for (size_t i = first; i < end; ++i)
    if (!chunks[i]) return false;
  return true;
}

std::string to_json(const Pieces& pieces) {
  OrderedJson json = {{"complete", pieces.complete}};
  if (!pieces.complete) json["chunks"] = to_hex(pieces.chunks);
  return dump_json(json);
}

Result<Pieces> parse_pieces(std::string_view text, size_t count, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(text, where));
  Pieces pieces;
  LS_ASSIGN_OR_RETURN(pieces.complete, json_get<bool>(json, "complete", where));
  if (pieces.complete) return pieces;
  LS_ASSIGN_OR_RETURN(const auto chunks, json_get<std::string>(json, "chunks", where));
  LS_ASSIGN_OR_RETURN(pieces.chunks, from_hex(chunks, count, where));
  return pieces;
}

Result<std::shared_ptr<GrowingVersion>> GrowingVersion::open(const Manifest& manifest,
                                                             const std::filesystem::path& data) {
  LS_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(data));
  return std::shared_ptr<GrowingVersion>(new GrowingVersion(manifest, std::move(mapped)));
}

bool GrowingVersion::has(const net::ByteRange& range) const {
  auto chunk = std::upper_bound(chunks_.begin(), chunks_.end(), range.begin,
                                [](uint64_t at, const Chunk& c) { return at < c.end; });
  for (; chunk != chunks_.end() && chunk->begin < range.end; ++chunk) {
    const auto index = static_cast<size_t>(chunk - chunks_.begin());
    if (!done_[index].load(std::memory_order_acquire)) return false;
  }
  return range.end <= data_.bytes().size();
}

Pieces GrowingVersion::pieces() const {
  Pieces pieces;
  for (const std::atomic<bool>& done : done_) pieces.chunks.push_back(done.load());
  return pieces;
}

}  // namespace longshot::publish
