#include "kernels/huge_pages.h"

#include <sys/mman.h>

namespace longshot::kernels {

void prefer_huge_pages(void* memory, size_t bytes) {
  (void)madvise(memory, bytes, MADV_HUGEPAGE);
}

}  // namespace longshot::kernels
