// The instruction sets that the kernels are compiled for: AVX2 and AVX-512 (AVX3), with portable
// scalar code below. Not guarded by `#pragma once` on purpose: Highway includes the kernel file
// again for each target.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#endif
