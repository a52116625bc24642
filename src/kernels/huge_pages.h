#pragma once
// Memory in pages of 2 MiB where the system provides them.

#include <cstddef>

namespace longshot::kernels {

inline constexpr size_t kHugePage = 2 << 20;

// Asks for huge pages from the first multiple of kHugePage in the range. The system may ignore it.
// Thread-safe.
void prefer_huge_pages(void* memory, size_t bytes);

}  // namespace longshot::kernels
