#pragma once
// Arrays on a cache-line border, zero-filled, so that a vector never straddles two lines.

#include <cstddef>
#include <new>
#include <vector>

namespace longshot::rollout::cpu {

template <typename T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlign{64};
  LineAllocator() = default;
  template <typename U>
  LineAllocator(const LineAllocator<U>&) {}  // NOLINT: rebinding is implicit
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlign)); }
  void deallocate(T* p, size_t) { ::operator delete(p, kAlign); }
  bool operator==(const LineAllocator&) const { return true; }
};

using AlignedFloats = std::vector<float, LineAllocator<float>>;
using AlignedBytes = std::vector<std::byte, LineAllocator<std::byte>>;

inline constexpr int kLane = 16;  // all row lengths are rounded up to this many floats

inline int round_up(int n, int unit) {
  return (n + unit - 1) / unit * unit;
}

// Row stride for rows of n floats: whole vectors, and not a multiple of 4 KiB, at which the rows of a tile would
// all fall into one cache set.
inline int row_stride(int n) {
  const int padded = round_up(n, kLane);
  return padded % 1024 == 0 ? padded + kLane : padded;
}

}  // namespace longshot::rollout::cpu
