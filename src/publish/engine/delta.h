#pragma once
// The difference of two versions with weights in bf16 that have the same layout: the 16-bit words
// that changed. After a small optimizer step most words of bf16 weights are unchanged, and a
// difference is a fraction of the version. In f32 almost every word changes, so there are no
// differences of versions in f32; what such a version keeps in f32 has two words for each value.
//
// Encoding, little-endian: "LSDELTA1", the number of words (u64); then for each block of 65,536
// words the number of changed ones (u32), their positions in the block (u16 each) and their new
// values (u16 each). That is 4 bytes for a changed word and 4 for a block.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "publish/engine/manifest.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

// Both versions have tensors in bf16 and differ in nothing but the values.
bool delta_is_possible(const Manifest& base, const Manifest& target);

// Nothing if more than `most_changed` words differ. The spans have the same size.
std::optional<std::string> encode_delta(std::span<const uint16_t> base,
                                        std::span<const uint16_t> target, uint64_t most_changed);
// Of two held versions; nothing if more than a third of the words differ or the difference is not
// possible. A third is where a difference of 6 bytes a word would reach the size of the version.
std::optional<std::string> encode_delta(const HeldVersion& base, const HeldVersion& target);

// Calls `emit` with the words of the target, in order and without gaps. Error: corrupt, for a
// delta that is malformed or of another size, and those of `emit`.
Status apply_delta(std::span<const uint16_t> base, std::string_view delta,
                   const std::function<Status(std::span<const uint16_t> words)>& emit);

// Writes the version `target` as `base` with the delta, and verifies every chunk. The writer has
// reserved the version. Error: corrupt if the result is not the target.
Status write_with_delta(const HeldVersion& base, const Manifest& target, std::string_view delta,
                        VersionWriter& writer);

}  // namespace longshot::publish
