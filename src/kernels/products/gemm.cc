#include "kernels/products/gemm.h"

#include <algorithm>

#include "kernels/products/panels_bf16.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/products/gemm.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "kernels/products/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kAhead = 1024;        // how far ahead bf16 weights are fetched, in values
constexpr int kStripColumns = 256;  // columns of a product from which copying x into strips pays

// bf16 [count / 2][16][2] -> f32 [count][16], one row more if the count is odd.
void unpack_bf16(const uint16_t* in, int count, float* out) {
  const D d;
  const hn::Rebind<uint32_t, D> words;
  for (int i = 0; i < count; i += 2, in += 2 * kPanel, out += 2 * kPanel) {
    __builtin_prefetch(in + kAhead, 0, 3);
    for (int c = 0; c < kPanel; c += kN) {
      const auto both = hn::Load(words, reinterpret_cast<const uint32_t*>(in) + c);
      hn::Store(hn::BitCast(d, hn::ShiftLeft<16>(both)), d, out + c);
      hn::Store(hn::BitCast(d, hn::And(both, hn::Set(words, 0xFFFF0000u))), d, out + kPanel + c);
    }
  }
}

// Values [k, k + count) of an int4 panel -> f32 [count][16]; k is a multiple of 32.
void unpack_int4(const uint8_t* in, const uint16_t* scales, int count, float* out) {
  const D d;
  const hn::Rebind<int32_t, D> integers;
  const hn::Rebind<uint8_t, D> bytes;
  const hn::Rebind<hwy::bfloat16_t, D> half;
  for (int part = 0; part < kPanel; part += kN) {
    for (int k = 0; k < count; k += 2) {
      const auto scale =
          hn::PromoteTo(d, hn::Load(half, reinterpret_cast<const hwy::bfloat16_t*>(
                                              scales + k / kInt4Group * kPanel + part)));
      const auto both = hn::PromoteTo(integers, hn::Load(bytes, in + k / 2 * kPanel + part));
      const auto low = hn::And(both, hn::Set(integers, 15)), high = hn::ShiftRight<4>(both);
      const auto eight = hn::Set(integers, 8);
      float* at = out + k * kPanel + part;
      hn::Store(hn::Mul(hn::ConvertTo(d, hn::Sub(low, eight)), scale), d, at);
      hn::Store(hn::Mul(hn::ConvertTo(d, hn::Sub(high, eight)), scale), d, at + kPanel);
    }
  }
}

// The f32 values [k, k + depth) of `count` panels: in place if the matrix is f32, else unpacked
// into `buffer`.
struct Block {
  const float* values;
  size_t second;      // floats from one panel to the next
  const char* ahead;  // see TileArgs
  size_t ahead_second;
};

Block block_of(const PanelMatrix& w, int p, int count, int k, int depth, float* buffer) {
  if (w.format() == NumberFormat::f32) {
    const float* panel = w.panel_as<float>(p) + static_cast<size_t>(k) * kPanel;
    const size_t floats = w.panel_bytes() / sizeof(float);
    return {panel, floats, reinterpret_cast<const char*>(panel + count * floats),
            floats * sizeof(float)};
  }
  const size_t block_floats = static_cast<size_t>(depth_of(w.format())) * kPanel;
  for (int i = 0; i < count; ++i) {
    float* out = buffer + i * block_floats;
    if (w.format() == NumberFormat::bf16) {
      unpack_bf16(w.panel_as<uint16_t>(p + i) + static_cast<size_t>(k) * kPanel, depth, out);
    } else {
      unpack_int4(w.panel_as<uint8_t>(p + i) + static_cast<size_t>(k) / 2 * kPanel,
                  w.group_scales(p + i) + static_cast<size_t>(k) / kInt4Group * kPanel, depth, out);
    }
  }
  return {buffer, block_floats, nullptr, 0};
}

template <bool kStrip>
void block_times(const TileArgs& a, int rows, bool pair, int columns) {
  if (pair) {
    whole_block<2, kStrip>(a, rows, 2 * kPanel);
  } else if (columns == kPanel) {
    whole_block<kOnePanelCols, kStrip>(a, rows, kPanel);
  } else {
    part_block<kStrip>(a, rows, columns);
  }
}

// x: rows `ldx` apart, or strips as in RowStrips.
template <bool kStrip>
void gemm_panels(const PanelMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                 int panel_begin, int panel_end, Store store) {
  // An odd depth writes one row more.
  thread_local AlignedFloats buffer;
  const int block_depth = depth_of(w.format());
  if (w.format() != NumberFormat::f32) buffer.resize((2 * block_depth + 1) * kPanel);
  for (int p = panel_begin; p < panel_end;) {
    const int column = p * kPanel, columns = std::min(kPanel, w.n() - column);
    const bool pair = kPanelsTogether == 2 && p + 1 < panel_end && w.n() - column >= 2 * kPanel;
    for (int k = 0; k < w.k(); k += block_depth) {
      const int depth = std::min(block_depth, w.k() - k);
      const Block block = block_of(w, p, pair ? 2 : 1, k, depth, buffer.data());
      const TileArgs a{.x = x + (kStrip ? static_cast<size_t>(k) * rows : k),
                       .ldx = ldx,
                       .panel = block.values,
                       .second = kPanelsTogether == 2 ? block.second : kN,
                       .depth = depth,
                       .bias = k == 0 ? w.bias() + column : nullptr,
                       .y = y + column,
                       .ldy = ldy,
                       .add = k > 0 || store == Store::add,
                       .ahead = block.ahead,
                       .ahead_step = 0,
                       .ahead_second = block.ahead_second};
      block_times<kStrip>(a, rows, pair, columns);
    }
    p += pair ? 2 : 1;
  }
}

void gemm_target(const PanelMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                 int panel_begin, int panel_end, Store store) {
  gemm_panels<false>(w, x, ldx, rows, y, ldy, panel_begin, panel_end, store);
}

int tiles_target(int rows) {
  return RowTiles(rows).count;
}

bool strips_pay_target(int rows) {
  return kN < kPanel && rows >= 4 * kMaxRows;
}

// Four elements each of four rows, transposed: [4][height] at `strip`.
void four_by_four(const float* from, size_t ldx, int height, float* strip) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 4; ++i) {
    for (int r = 0; r < 4; ++r) strip[i * height + r] = from[r * ldx + i];
  }
#else
  const hn::FixedTag<float, 4> d;
  const auto row0 = hn::LoadU(d, from), row1 = hn::LoadU(d, from + ldx),
             row2 = hn::LoadU(d, from + 2 * ldx), row3 = hn::LoadU(d, from + 3 * ldx);
  const auto low01 = hn::InterleaveLower(d, row0, row1),
             high01 = hn::InterleaveUpper(d, row0, row1);
  const auto low23 = hn::InterleaveLower(d, row2, row3),
             high23 = hn::InterleaveUpper(d, row2, row3);
  hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, strip);
  hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, strip + height);
  hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, strip + 2 * height);
  hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, strip + 3 * height);
#endif
}

// [height] rows of `depth` -> [depth][height].
void make_strip(const float* from, size_t ldx, int height, int depth, float* strip) {
  int done = 0;
  for (; height >= 4 && done + 4 <= depth; done += 4) {
    float* to = strip + static_cast<size_t>(done) * height;
    for (int r = 0; r + 4 <= height; r += 4)
      four_by_four(from + r * ldx + done, ldx, height, to + r);
    const int last = height - 4;  // repeats some of the rows before
    if (height % 4 != 0) four_by_four(from + last * ldx + done, ldx, height, to + last);
  }
  for (; done < depth; ++done) {
    for (int r = 0; r < height; ++r) strip[done * height + r] = from[r * ldx + done];
  }
}

// Copies tile t of one block of k to its place in the block's strips.
void make_strip_of(const RowTiles& tiles, int t, const float* x, size_t ldx, int depth,
                   float* strips) {
  const int begin = tiles.begin(t), height = tiles.begin(t + 1) - begin;
  make_strip(x + begin * ldx, ldx, height, depth, strips + static_cast<size_t>(begin) * depth);
}

void set_strip_target(const float* x, size_t ldx, int rows, int k, int block_depth, int t,
                      float* strips) {
  const RowTiles tiles(rows);
  for (int done = 0; done < k; done += block_depth)
    make_strip_of(tiles, t, x + done, ldx, std::min(block_depth, k - done),
                  strips + static_cast<size_t>(done) * rows);
}

void gemm_strips_target(const PanelMatrix& w, const float* strips, int rows, float* y, size_t ldy,
                        int panel_begin, int panel_end, Store store) {
  gemm_panels<true>(w, strips, 0, rows, y, ldy, panel_begin, panel_end, store);
}

// Multiplies one block of k of all panels in w, into y.
template <bool kStrip>
void panels_block(const Panels& w, int k, int depth, TileArgs a, int rows) {
  float* y = a.y;
  for (int p = 0, column = 0; column < w.n;) {
    const int columns = std::min(kPanel, w.n - column);
    const bool pair = kPanelsTogether == 2 && w.n - column >= 2 * kPanel;
    a.panel = w.values + p * w.stride + static_cast<size_t>(k) * kPanel;
    a.second = kPanelsTogether == 2 ? w.stride : kN;
    a.ahead = reinterpret_cast<const char*>(a.panel + (pair ? 2 : 1) * w.stride);
    a.ahead_second = pair ? w.stride * sizeof(float) : 0;
    a.y = y + column;
    block_times<kStrip>(a, rows, pair, columns);
    p += pair ? 2 : 1;
    column += pair ? 2 * kPanel : kPanel;
  }
}

// Room for the strips of one block of k.
float* strip_buffer(int rows, int k) {
  thread_local AlignedFloats strips;
  const size_t size = static_cast<size_t>(rows) * std::min(kPanelsDepth, k) + kN;
  if (strips.size() < size) strips = AlignedFloats(size);
  return strips.data();
}

// Multiplies one block of k after the other. x_of(k, depth) returns the rows of a block, `ldx`
// apart, or its strips.
template <bool kStrip, typename XOf>
void multiply_blocks(const Panels& w, const XOf& x_of, size_t ldx, int rows, float* y, size_t ldy,
                     Store store) {
  for (int k = 0; k < w.k; k += kPanelsDepth) {
    const int depth = std::min(kPanelsDepth, w.k - k);
    const TileArgs a{.x = x_of(k, depth),
                     .ldx = ldx,
                     .panel = nullptr,
                     .second = 0,
                     .depth = depth,
                     .bias = nullptr,
                     .y = y,
                     .ldy = ldy,
                     .add = k > 0 || store == Store::add,
                     .ahead = nullptr,
                     .ahead_step = 0,
                     .ahead_second = 0};
    panels_block<kStrip>(w, k, depth, a, rows);
  }
}

// True if rows of x are copied into strips before they are multiplied. With 16 lanes their loads
// hide behind the multiply-adds, unless the rows are a multiple of 4 KiB apart and so fall into one
// set of the first-level cache.
bool copy_into_strips(int rows, size_t ldx, int n) {
  return rows > kMaxRows && n >= kStripColumns && (kN < kPanel || ldx % 1024 == 0);
}

void panels_target(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                   Store store) {
  if (!copy_into_strips(rows, ldx, w.n)) {
    multiply_blocks<false>(
        w, [&](int k, int) { return x + k; }, ldx, rows, y, ldy, store);
    return;
  }
  float* strips = strip_buffer(rows, w.k);
  const RowTiles tiles(rows);
  const auto strips_of = [&](int k, int depth) {
    for (int t = 0; t < tiles.count; ++t) make_strip_of(tiles, t, x + k, ldx, depth, strips);
    return strips;
  };
  multiply_blocks<true>(w, strips_of, 0, rows, y, ldy, store);
}

// x [depth][ldx] -> strips [tile][depth][height], in the order of the tiles. Always stores a whole
// vector: values beyond the height are overwritten by the next store or end in the buffer's margin.
void pack_strips(const float* x, size_t ldx, int rows, int depth, float* strips) {
  const D d;
  const RowTiles tiles(rows);
  for (int t = 0; t < tiles.count; ++t) {
    const int begin = tiles.begin(t), height = tiles.begin(t + 1) - begin;
    const float* from = x + begin;
    for (int k = 0; k < depth; ++k, from += ldx, strips += height) {
      for (int r = 0; r < height; r += kN)
        hn::StoreU(hn::MaskedLoad(hn::FirstN(d, height - r), d, from + r), d, strips + r);
    }
  }
}

void transposed_target(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                       Store store) {
  float* strips = strip_buffer(rows, w.k);
  const auto strips_of = [&](int k, int depth) {
    pack_strips(x + k * ldx, ldx, rows, depth, strips);
    return strips;
  };
  multiply_blocks<true>(w, strips_of, 0, rows, y, ldy, store);
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(gemm_target);
HWY_EXPORT(tiles_target);
HWY_EXPORT(strips_pay_target);
HWY_EXPORT(set_strip_target);
HWY_EXPORT(make_strip);
HWY_EXPORT(gemm_strips_target);
HWY_EXPORT(panels_target);
HWY_EXPORT(transposed_target);

void gemm(const PanelMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
          int panel_begin, int panel_end, Store store) {
  HWY_DYNAMIC_DISPATCH(gemm_target)(w, x, ldx, rows, y, ldy, panel_begin, panel_end, store);
}

bool RowStrips::pay(int rows) {
  return HWY_DYNAMIC_DISPATCH(strips_pay_target)(rows);
}

void RowStrips::reset(int rows, int k, NumberFormat format) {
  rows_ = rows;
  k_ = k;
  block_depth_ = depth_of(format);
  tiles_ = HWY_DYNAMIC_DISPATCH(tiles_target)(rows);
  const size_t size = static_cast<size_t>(rows) * k;
  if (values_.size() < size) values_ = AlignedFloats(size);
}

void RowStrips::set_tile(int tile, const float* x, size_t ldx) {
  HWY_DYNAMIC_DISPATCH(set_strip_target)(x, ldx, rows_, k_, block_depth_, tile, values_.data());
}

void gemm(const PanelMatrix& w, const RowStrips& x, float* y, size_t ldy, int panel_begin,
          int panel_end, Store store) {
  HWY_DYNAMIC_DISPATCH(gemm_strips_target)
  (w, x.values(), x.rows(), y, ldy, panel_begin, panel_end, store);
}

void transpose_rows(const float* x, size_t ldx, int rows, int k, float* out) {
  HWY_DYNAMIC_DISPATCH(make_strip)(x, ldx, rows, k, out);
}

void multiply(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
              Store store) {
  if (w.format == NumberFormat::bf16) return multiply_bf16(w, x, ldx, rows, y, ldy, store);
  HWY_DYNAMIC_DISPATCH(panels_target)(w, x, ldx, rows, y, ldy, store);
}

void multiply_transposed(const Panels& w, const float* x, size_t ldx, int rows, float* y,
                         size_t ldy, Store store) {
  if (w.format == NumberFormat::bf16)
    return multiply_transposed_bf16(w, x, ldx, rows, y, ldy, store);
  HWY_DYNAMIC_DISPATCH(transposed_target)(w, x, ldx, rows, y, ldy, store);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE
