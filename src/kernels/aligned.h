#pragma once
// Zero-filled arrays that begin on a cache-line border, so that a vector never straddles two lines.
// Large ones ask for huge pages: weights and KV cache are read from end to end in every pass, and
// each 4 KiB page costs a walk of the page table.

#include <cstddef>
#include <new>
#include <vector>

#include "kernels/huge_pages.h"

namespace longshot::kernels {

template <typename T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <typename U>
  LineAllocator(const LineAllocator<U>&) {}  // NOLINT: rebinding is implicit
  T* allocate(size_t n) {
    const size_t bytes = n * sizeof(T);
    void* p = ::operator new(bytes, align_of(bytes));
    if (bytes >= kHugePage) prefer_huge_pages(p, bytes);
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t n) { ::operator delete(p, align_of(n * sizeof(T))); }
  bool operator==(const LineAllocator&) const { return true; }

 private:
  static std::align_val_t align_of(size_t bytes) {
    return std::align_val_t{bytes >= kHugePage ? kHugePage : 64};
  }
};

using AlignedFloats = std::vector<float, LineAllocator<float>>;
using AlignedBytes = std::vector<std::byte, LineAllocator<std::byte>>;

inline constexpr int kLane = 16;  // row lengths are rounded up to a multiple of this many floats

inline int round_up(int n, int unit) {
  return (n + unit - 1) / unit * unit;
}

// Row stride for rows of n floats: a whole number of vectors, and not a multiple of 4 KiB, because
// then all rows of a tile would fall into one cache set.
inline int row_stride(int n) {
  const int padded = round_up(n, kLane);
  return padded % 1024 == 0 ? padded + kLane : padded;
}

}  // namespace longshot::kernels
