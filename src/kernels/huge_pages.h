#pragma once
// Memory in pages of 2 MiB where the system gives them.

#include <cstddef>

namespace longshot::kernels {

inline constexpr size_t kHugePage = 2 << 20;

// A wish that the system may ignore. `memory` is aligned to kHugePage. Thread-safe.
void prefer_huge_pages(void* memory, size_t bytes);

}  // namespace longshot::kernels
