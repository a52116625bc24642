// Sums over 16 fixed partial sums, for any vector width: element i always goes to partial sum i mod
// 16, and the 16 are joined in one fixed tree. Included once per Highway target, hence the toggled
// guard.

#if defined(LONGSHOT_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LONGSHOT_KERNELS_LANES_INL_H_
#undef LONGSHOT_KERNELS_LANES_INL_H_
#else
#define LONGSHOT_KERNELS_LANES_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace lanes_hn = hwy::HWY_NAMESPACE;

class LaneSum {
 public:
  using D = lanes_hn::CappedTag<float, 16>;
  using V = lanes_hn::Vec<D>;
  static constexpr int kN = static_cast<int>(lanes_hn::MaxLanes(D()));
  static constexpr int kVectors = 16 / kN;

  LaneSum() {
    for (int v = 0; v < kVectors; ++v) sum_[v] = lanes_hn::Zero(D());
  }
  // Adds to vector v of the 16 lanes.
  HWY_INLINE void add(int v, V value) { sum_[v] = lanes_hn::Add(sum_[v], value); }
  // Adds a[i] * b[i] for i in [0, 16).
  HWY_INLINE void add_products(const float* a, const float* b) {
    const D d;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      sum_[v] =
          lanes_hn::MulAdd(lanes_hn::LoadU(d, a + v * kN), lanes_hn::LoadU(d, b + v * kN), sum_[v]);
    }
  }
  HWY_INLINE float total() const {
    alignas(64) float lane[16];
    for (int v = 0; v < kVectors; ++v) lanes_hn::Store(sum_[v], D(), lane + v * kN);
    for (int width = 8; width >= 1; width /= 2) {
      for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
    }
    return lane[0];
  }

 private:
  V sum_[kVectors];
};

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LONGSHOT_KERNELS_LANES_INL_H_
