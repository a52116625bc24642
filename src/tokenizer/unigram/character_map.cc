#include "tokenizer/unigram/character_map.h"

#include <cstring>

#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

constexpr size_t kLongestGrapheme = 5;

// The fields of a unit of the trie.
bool has_value(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t value_of(uint32_t unit) {
  return unit & 0x7FFFFFFFu;
}
// Equal to a byte only for the unit that this byte leads to.
uint32_t label_of(uint32_t unit) {
  return unit & 0x800000FFu;
}
uint32_t offset_of(uint32_t unit) {
  return unit >> 10 << ((unit & 0x200u) >> 6);
}

}  // namespace

Result<CharacterMap> CharacterMap::parse(std::string_view bytes, const std::string& where) {
  CharacterMap map;
  if (bytes.empty()) return map;
  uint32_t size = 0;
  if (bytes.size() < sizeof(size)) return corrupt(where + ": the table of characters is too short");
  std::memcpy(&size, bytes.data(), sizeof(size));
  bytes.remove_prefix(sizeof(size));
  if (size % sizeof(uint32_t) != 0 || size > bytes.size())
    return corrupt(where + ": the table of characters is damaged");
  map.trie_.resize(size / sizeof(uint32_t));
  if (size > 0) std::memcpy(map.trie_.data(), bytes.data(), size);
  map.replacements_ = bytes.substr(size);
  return map;
}

std::optional<std::string_view> CharacterMap::find(std::string_view text) const {
  size_t at = 0;
  const auto move = [&](uint32_t by) {
    at ^= by;
    return at < trie_.size();
  };
  if (trie_.empty() || !move(offset_of(trie_[0]))) return std::nullopt;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (!move(byte) || label_of(trie_[at]) != byte) return std::nullopt;
    const uint32_t unit = trie_[at];
    if (!move(offset_of(unit))) return std::nullopt;
    if (!has_value(unit)) continue;
    const uint32_t begin = value_of(trie_[at]);
    if (begin >= replacements_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

std::string CharacterMap::apply(std::string_view text) const {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    std::string_view grapheme = text.substr(at, grapheme_length(text.substr(at)));
    at += grapheme.size();
    if (grapheme.size() <= kLongestGrapheme) {
      if (const auto whole = find(grapheme)) {
        out += *whole;
        continue;
      }
    }
    while (!grapheme.empty()) {
      const auto character =
          grapheme.substr(0, static_cast<size_t>(code_point_at(grapheme, 0).length));
      out += find(character).value_or(character);
      grapheme.remove_prefix(character.size());
    }
  }
  return out;
}

}  // namespace longshot::tokenizer
