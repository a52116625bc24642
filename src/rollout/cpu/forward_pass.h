#pragma once
// One pass of rows through the layers with the CPU kernels, on top of weights in panels and the KV
// cache.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "rollout/cpu/kv_blocks.h"
#include "rollout/cpu/panel_model.h"

namespace longshot::rollout::cpu {

using kernels::QuantizedRows;
using kernels::Store;

// Cosines and sines of every position, computed in double.
class RopeTable {
 public:
  void reset(const model::ModelConfig& config);
  void grow(int positions);
  const float* at(int position) const {
    return values_.data() + static_cast<size_t>(position) * stride_;
  }

 private:
  model::Rope rope_;
  std::vector<float> values_;  // [positions][cosines, sines]
  size_t stride_ = 1;
};

// Consecutive tokens of one sequence.
struct SequenceRows {
  std::span<std::byte* const> pages;  // KV pages of the sequence, including those of the new tokens
  int start = 0;                      // position of tokens[0]
  std::span<const int32_t> tokens;
  int row = 0;              // of tokens[0] in the pass
  float* logits = nullptr;  // of the last `wanted` tokens, [wanted, vocab]
  int wanted = 0;
};

// The threads that a pass may use. If `pool` is null, everything runs on the calling thread.
struct ThreadRanges {
  ThreadPool* pool = nullptr;

  // Calls body(begin, end) over [0, count), cut into ranges if `work` (multiply-adds, roughly) is
  // worth it.
  template <typename Body>
  void ranges(int count, int64_t work, const Body& body) const {
    constexpr int64_t kWorthAThread = 200'000, kMinWork = 400'000;
    if (pool == nullptr || work < kWorthAThread || count < 2) return body(0, count);
    const int threads = pool->threads();
    pool->parallel_ranges(count,
                          static_cast<int>(std::clamp<int64_t>(kMinWork * count / work, 1,
                                                               (count + threads - 1) / threads)),
                          body);
  }
};

// Owns the activations of a pass.
class ForwardPass {
 public:
  // A page that a piece writes to must not be in any other piece of the pass.
  void run(const PanelModel& model, const KvShape& shape, const RopeTable& rope,
           std::span<const SequenceRows> pieces, const ThreadRanges& workers);

 private:
  struct Buffer {
    AlignedFloats data;
    size_t stride = 0;
    void reset(int rows, int width);
    float* row(int r) { return data.data() + static_cast<size_t>(r) * stride; }
  };
  // Rows whose sequences have their first `shared` pages in common, with one KV head.
  struct AttentionTask {
    int first_row, rows, head, shared;
  };

  void prepare(std::span<const SequenceRows> pieces);
  void plan_attention();
  void add_tasks(int first_row, int rows, int shared);
  void layer(int index);
  void norm(const Buffer& in, const AlignedFloats& weight, int rows, Buffer& out);
  void matmul(const PanelMatrix& w, Buffer& in, int rows, Buffer& out, Store store);
  enum class RowOrder { plain, strips, bf16, int8 };
  RowOrder convert_rows(const PanelMatrix& w, Buffer& in, int first_row, int rows);
  // `then`, if given, is called with ranges of pairs of panels as they are computed.
  void product(const PanelMatrix& w, Buffer& in, int first_row, int rows, float* y, size_t ldy,
               Store store, const std::function<void(int, int)>& then = {});
  void gated(const PanelMatrix& gate_up);
  void rotate_and_store(const PanelLayer& layer, int index, int row, int kv_head);
  void write_cache(const PanelLayer& layer, int index);
  void attention(const PanelLayer& layer, int index);
  void attend_task(const AttentionTask& task, int index);
  void logits();

  // State of the current run().
  const PanelModel* model_ = nullptr;
  KvShape shape_;
  const RopeTable* rope_ = nullptr;
  std::span<const SequenceRows> pieces_;
  ThreadRanges workers_;
  int rows_ = 0;

  Buffer x_, normed_, qkv_, attended_, gate_up_, act_;
  QuantizedRows quantized_;
  kernels::Bf16Rows rounded_;
  kernels::RowStrips strips_;
  std::vector<int> piece_of_row_;
  std::vector<AttentionTask> tasks_;
  int64_t attention_work_ = 0;
  bool decoding_ = false;  // every sequence has one token
};

}  // namespace longshot::rollout::cpu
