#include "publish/engine/delta.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/huge_pages.h"
#include "kernels/words/changed_words.h"
#include "publish/engine/hasher.h"

namespace longshot::publish {
namespace {

constexpr std::string_view kMagic = "LSDELTA1";
constexpr size_t kBlock = kernels::kMostWords;
constexpr size_t kFixedBytes = 16;  // before the first block

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

// Removes the beginning of a delta of `words` words.
Status take_head(std::string_view& delta, uint64_t words) {
  if (delta.size() < kFixedBytes || !delta.starts_with(kMagic))
    return corrupt("the delta does not begin as one");
  const auto all = read_at<uint64_t>(delta, kMagic.size());
  if (all != words)
    return corrupt(fmt::format("the delta is of {} words, expected {}", all, words));
  delta.remove_prefix(kFixedBytes);
  return ok_status();
}

// Changes the words of one block and removes its part of the delta.
Status patch(std::string_view& delta, std::span<uint16_t> block) {
  if (delta.size() < 4) return corrupt("the delta ends early");
  const uint64_t count = read_at<uint32_t>(delta, 0);
  if (count > block.size() || 4 + 4 * count > delta.size())
    return corrupt("a block of the delta has too many changed words");
  const std::string_view positions = delta.substr(4, 2 * count);
  const std::string_view values = delta.substr(4 + 2 * count, 2 * count);
  for (uint64_t i = 0; i < count; ++i) {
    const auto position = read_at<uint16_t>(positions, 2 * i);
    if (position >= block.size()) return corrupt("a position of the delta is beyond the end");
    block[position] = read_at<uint16_t>(values, 2 * i);
  }
  delta.remove_prefix(4 + 4 * count);
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
  const bool bf16 = std::any_of(target.tensors.begin(), target.tensors.end(),
                                [](const auto& t) { return t.dtype == model::Dtype::bf16; });
  return bf16 && base.header_bytes == target.header_bytes &&
         base.header_checksum == target.header_checksum &&
         base.total_bytes() == target.total_bytes() && layout_difference(base, target).empty();
}

std::optional<std::string> encode_delta(std::span<const uint16_t> base,
                                        std::span<const uint16_t> target, uint64_t most_changed) {
  LS_CHECK(base.size() == target.size(), "a delta is between versions of the same size");
  std::vector<uint16_t> positions(kBlock + kernels::kWordPadding), values(positions.size());
  std::string delta(kMagic);
  // Room for the longest result, of which only the pages that are written become memory. Small ones
  // would take more time than the comparison if a third of the words differ.
  delta.reserve(kFixedBytes + 4 * (most_changed + block_count(base.size()) + kBlock));
  kernels::prefer_huge_pages(delta.data(), delta.capacity());
  const uint64_t words = base.size();
  append(delta, &words, 1);
  uint64_t changed = 0;
  for (size_t begin = 0; begin < base.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, base.size() - begin);
    const auto here = static_cast<uint32_t>(kernels::changed_words(
        base.data() + begin, target.data() + begin, count, positions.data(), values.data()));
    append(delta, &here, 1);
    append(delta, positions.data(), here);
    append(delta, values.data(), here);
    changed += here;
    if (changed > most_changed) return std::nullopt;
  }
  return delta;
}

std::optional<std::string> encode_delta(const HeldVersion& base, const HeldVersion& target) {
  if (!delta_is_possible(base.manifest(), target.manifest())) return std::nullopt;
  const auto words = words_of(target);
  return encode_delta(words_of(base), words, words.size() / 3);
}

Status apply_delta(std::span<const uint16_t> base, std::string_view delta,
                   const std::function<Status(std::span<const uint16_t> words)>& emit) {
  LS_RETURN_IF_ERROR(take_head(delta, base.size()));
  std::vector<uint16_t> buffer(std::min(kBlock, base.size()));
  for (size_t begin = 0; begin < base.size(); begin += kBlock) {
    const auto source = base.subspan(begin, std::min(kBlock, base.size() - begin));
    const std::span<uint16_t> block(buffer.data(), source.size());
    std::copy(source.begin(), source.end(), block.begin());
    LS_RETURN_IF_ERROR(patch(delta, block));
    LS_RETURN_IF_ERROR(emit(block));
  }
  return delta.empty() ? ok_status() : corrupt("the delta is longer than its blocks");
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
