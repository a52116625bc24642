#pragma once
// One pass of rows through the layers with the CPU kernels, on top of weights in panels and the KV
// cache.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/rows/routing.h"
#include "kernels/rows/row_ops.h"
#include "rollout/cpu/adapter_pass.h"
#include "rollout/cpu/kv_blocks.h"
#include "rollout/cpu/panel_model.h"
#include "rollout/cpu/rope_table.h"
#include "rollout/cpu/thread_ranges.h"

namespace longshot::rollout::cpu {

using kernels::QuantizedRows;
using kernels::Store;

// Consecutive tokens of one sequence.
struct SequenceRows {
  std::span<std::byte* const> pages;  // KV pages of the sequence, including those of the new tokens
  int start = 0;                      // position of tokens[0]
  std::span<const int32_t> tokens;
  int row = 0;              // of tokens[0] in the pass
  float* logits = nullptr;  // of the last `wanted` tokens, [wanted, vocab]
  int wanted = 0;
  const PanelAdapter* adapter = nullptr;
};

// Owns the activations of a pass.
class ForwardPass {
 public:
  // A page that a piece writes to must not be in any other piece of the pass. Pieces without an
  // adapter come first, and those of one adapter are neighbours.
  void run(const PanelModel& model, const KvShape& shape, const RopeTable& rope,
           std::span<const SequenceRows> pieces, const ThreadRanges& workers);

 private:
  struct Buffer {
    AlignedFloats data;
    size_t stride = 0;
    void reset(int rows, int width);
    float* row(int r) { return data.data() + static_cast<size_t>(r) * stride; }
    kernels::Rows rows() { return {data.data(), stride}; }
  };
  // Rows whose sequences have their first `shared` pages in common, with one KV head.
  struct AttentionTask {
    int first_row, rows, head, shared;
  };

  void prepare(std::span<const SequenceRows> pieces);
  void find_adapters();
  void plan_attention();
  void add_tasks(int first_row, int rows, int shared);
  void layer(int index);
  kernels::Gate gate() const;
  void norm(const Buffer& in, const AlignedFloats& weight, int rows, Buffer& out);
  void matmul(const PanelMatrix& w, Buffer& in, int rows, Buffer& out, Store store);
  // What computes a product: the threads, and the rows in the form in which they are read.
  struct Lane {
    ThreadRanges threads;
    QuantizedRows quantized;
    kernels::Bf16Rows rounded;
    kernels::RowStrips strips;
  };
  enum class RowOrder { plain, strips, bf16, int8 };
  static RowOrder convert_rows(Lane& lane, const PanelMatrix& w, Buffer& in, int first_row,
                               int rows);
  // `then`, if given, is called with ranges of pairs of panels as they are computed.
  static void product(Lane& lane, const PanelMatrix& w, Buffer& in, int first_row, int rows,
                      float* y, size_t ldy, Store store,
                      const std::function<void(int, int)>& then = {});
  void add_adapters(int layer, Product product, Buffer& in, Buffer& out);
  void gated(const PanelMatrix& gate_up, int index, Buffer& in);
  // x_ += the result of the layer's experts for the rows of `in`. Adds a row's experts in their
  // order, so that the result does not depend on the other rows of the pass.
  void experts(const PanelLayer& layer, Buffer& in);
  void compute_experts(const PanelLayer& layer, const kernels::Routing& routing);
  void expert(Lane& lane, const PanelExpert& expert, const kernels::Routing& routing, int first,
              int count);
  // The rows that attention or MLP reads: normed, or x_ if the norm's weight is empty.
  Buffer& input(const AlignedFloats& norm_weight);
  // x_ += residual_multiplier * W in, which is normed if the norm's weight is not empty.
  void add_product(int layer, Product product, const PanelMatrix& w, Buffer& in,
                   const AlignedFloats& norm_weight);
  void whole_norms(const PanelLayer& layer);
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
  float score_scale_ = 0, score_cap_ = 0;  // see Attention
  int rows_ = 0;

  Buffer x_, normed_, qkv_, attended_, gate_up_, act_;
  // Of layers with experts: [rows, experts], and an entry of the routing a row.
  Buffer router_logits_, expert_in_, expert_gate_up_, expert_act_, expert_out_;
  Lane shared_;            // all threads
  std::vector<Lane> own_;  // one thread each, for layers with experts
  std::vector<int> piece_of_row_;
  std::vector<AttentionTask> tasks_;
  int64_t attention_work_ = 0;
  bool decoding_ = false;  // every sequence has one token
  AdapterPass adapters_;
  int plain_rows_ = 0;  // rows before the first one with an adapter
};

}  // namespace longshot::rollout::cpu
