#include "publish/engine/delta.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/words/changed_words.h"
#include "publish/engine/hasher.h"

namespace longshot::publish {
namespace {

constexpr std::string_view kMagic = "LSDELTA1";
constexpr size_t kBlock = kernels::kMostWords;
constexpr size_t kFixedBytes = 24;  // before the counts

uint64_t block_count(uint64_t words) {
  return (words + kBlock - 1) / kBlock;
}

template <typename T>
void append(std::string& bytes, const T* values, size_t count) {
  bytes.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

template <typename T>
T read_at(std::string_view bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The parts of a delta whose sizes fit together.
struct Parts {
  uint64_t blocks = 0;
  std::string_view counts, positions, values;
};

Result<Parts> split(std::string_view delta, uint64_t words) {
  if (delta.size() < kFixedBytes || !delta.starts_with(kMagic))
    return corrupt("the delta does not begin as one");
  const uint64_t all = read_at<uint64_t>(delta, 8), changed = read_at<uint64_t>(delta, 16);
  if (all != words || changed > words)
    return corrupt(fmt::format("the delta is of {} words, {} of them changed, expected {} words",
                               all, changed, words));
  Parts parts;
  parts.blocks = block_count(words);
  if (delta.size() != kFixedBytes + 4 * parts.blocks + 4 * changed)
    return corrupt(
        fmt::format("the delta has {} bytes for {} changed words", delta.size(), changed));
  parts.counts = delta.substr(kFixedBytes, 4 * parts.blocks);
  parts.positions = delta.substr(kFixedBytes + 4 * parts.blocks, 2 * changed);
  parts.values = delta.substr(kFixedBytes + 4 * parts.blocks + 2 * changed);
  return parts;
}

// Changes the words of one block. `first` is the index of its first change.
Status patch(const Parts& parts, uint64_t first, uint64_t count, std::span<uint16_t> block) {
  if (count > block.size() || 2 * (first + count) > parts.positions.size())
    return corrupt("a block of the delta has too many changed words");
  for (uint64_t i = first; i < first + count; ++i) {
    const auto position = read_at<uint16_t>(parts.positions, 2 * i);
    if (position >= block.size()) return corrupt("a position of the delta is beyond the end");
    block[position] = read_at<uint16_t>(parts.values, 2 * i);
  }
  return ok_status();
}

std::span<const uint16_t> words_of(const HeldVersion& version) {
  const std::string_view data = version.bytes().substr(version.manifest().header_bytes);
  return {reinterpret_cast<const uint16_t*>(data.data()), data.size() / 2};
}

// Verifies bytes that arrive in order.
class ChunkVerifier {
 public:
  explicit ChunkVerifier(const Manifest& manifest) : chunks_(chunks_of(manifest)) {}

  Status add(std::string_view bytes) {
    while (!bytes.empty()) {
      const Chunk& chunk = chunks_[next_];
      const std::string_view part = bytes.substr(0, chunk.end - at_);
      hasher_.add(part);
      at_ += part.size();
      bytes.remove_prefix(part.size());
      if (at_ < chunk.end) return ok_status();
      if (hasher_.value() != chunk.checksum)
        return corrupt(fmt::format("the delta gives wrong bytes {} to {} (tensor '{}')",
                                   chunk.begin, chunk.end, chunk.tensor));
      hasher_.reset();
      ++next_;
    }
    return ok_status();
  }

 private:
  const std::vector<Chunk> chunks_;
  size_t next_ = 0;
  uint64_t at_ = 0;
  Hasher hasher_;
};

}  // namespace

bool delta_is_possible(const Manifest& base, const Manifest& target) {
  const bool bf16 = std::all_of(target.tensors.begin(), target.tensors.end(),
                                [](const auto& t) { return t.dtype == model::Dtype::bf16; });
  return bf16 && base.header_bytes == target.header_bytes &&
         base.header_checksum == target.header_checksum &&
         base.total_bytes() == target.total_bytes() && layout_difference(base, target).empty();
}

std::optional<std::string> encode_delta(std::span<const uint16_t> base,
                                        std::span<const uint16_t> target, uint64_t most_changed) {
  LS_CHECK(base.size() == target.size(), "a delta is between versions of the same size");
  std::vector<uint16_t> positions(kBlock + kernels::kWordPadding), values(positions.size());
  std::vector<uint32_t> counts;
  std::string all_positions, all_values;
  uint64_t changed = 0;
  for (size_t begin = 0; begin < base.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, base.size() - begin);
    const size_t here = kernels::changed_words(base.data() + begin, target.data() + begin, count,
                                               positions.data(), values.data());
    counts.push_back(static_cast<uint32_t>(here));
    append(all_positions, positions.data(), here);
    append(all_values, values.data(), here);
    changed += here;
    if (changed > most_changed) return std::nullopt;
  }
  const uint64_t sizes[2] = {base.size(), changed};
  std::string delta(kMagic);
  delta.reserve(kFixedBytes + 4 * counts.size() + 4 * changed);
  append(delta, sizes, 2);
  append(delta, counts.data(), counts.size());
  delta += all_positions;
  delta += all_values;
  return delta;
}

std::optional<std::string> encode_delta(const HeldVersion& base, const HeldVersion& target) {
  if (!delta_is_possible(base.manifest(), target.manifest())) return std::nullopt;
  const auto words = words_of(target);
  return encode_delta(words_of(base), words, words.size() / 3);
}

Status apply_delta(std::span<const uint16_t> base, std::string_view delta,
                   const std::function<Status(std::span<const uint16_t> words)>& emit) {
  LS_ASSIGN_OR_RETURN(const Parts parts, split(delta, base.size()));
  std::vector<uint16_t> buffer(kBlock);
  uint64_t first = 0;
  for (uint64_t b = 0; b < parts.blocks; ++b) {
    const auto source =
        base.subspan(b * kBlock, std::min<uint64_t>(kBlock, base.size() - b * kBlock));
    const std::span<uint16_t> block(buffer.data(), source.size());
    std::copy(source.begin(), source.end(), block.begin());
    const uint64_t count = read_at<uint32_t>(parts.counts, 4 * b);
    LS_RETURN_IF_ERROR(patch(parts, first, count, block));
    LS_RETURN_IF_ERROR(emit(block));
    first += count;
  }
  if (2 * first == parts.positions.size()) return ok_status();
  return corrupt("the blocks of the delta have too few changed words");
}

Status write_with_delta(const HeldVersion& base, const Manifest& target, std::string_view delta,
                        VersionWriter& writer) {
  ChunkVerifier verifier(target);
  uint64_t at = 0;
  const auto store = [&](std::string_view bytes) -> Status {
    LS_RETURN_IF_ERROR(verifier.add(bytes));
    LS_RETURN_IF_ERROR(writer.write_at(at, bytes));
    at += bytes.size();
    return ok_status();
  };
  LS_RETURN_IF_ERROR(store(base.bytes().substr(0, target.header_bytes)));
  return apply_delta(words_of(base), delta, [&](std::span<const uint16_t> words) {
    return store({reinterpret_cast<const char*>(words.data()), words.size_bytes()});
  });
}

}  // namespace longshot::publish
