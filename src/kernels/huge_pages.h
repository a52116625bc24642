#pragma once
// Memory in pages of 2 MiB where the system provides them.

#include <cstddef>

namespace longshot::kernels {

inline constexpr size_t kHugePage = 2 << 20;

// Asks for huge pages; the system may ignore it. `memory` must be aligned to kHugePage.
// Thread-safe.
void prefer_huge_pages(void* memory, size_t bytes);

}  // namespace longshot::kernels
