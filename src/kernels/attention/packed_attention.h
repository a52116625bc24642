#pragma once
// Causal attention of a training step over packed sequences, and its gradient, in f32. A family is
// a prompt and the sequences that continue it; they share one copy of the prompt's keys and values.
// No [tokens, tokens] matrix exists: scores are computed in blocks, and again for the gradient (Dao
// et al., 2205.14135).
//
// Results do not depend on the number of threads. The output of a token depends on its own member
// and on the prompt, but not on other members or families.

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/products/dense.h"

namespace longshot::kernels {

struct TokenRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// members[0] is the prompt, or a sequence that shares nothing. The tokens of the other members see
// all of it.
struct PromptFamily {
  std::vector<TokenRange> members;
};

struct AttentionShape {
  int heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 0;  // of the scores; 0: 1 / sqrt(head_dim)
  float cap = 0;    // scaled scores become cap * tanh(score / cap); 0: they stay
  float score_scale() const {
    return scale > 0 ? scale : 1.0f / std::sqrt(static_cast<float>(head_dim));
  }
  int group() const { return heads / kv_heads; }
  int query(int head) const { return head * head_dim; }  // first column in a row of qkv
  int key(int kv_head) const { return (heads + kv_head) * head_dim; }
  int value(int kv_head) const { return (heads + kv_heads + kv_head) * head_dim; }
  int width() const { return (heads + 2 * kv_heads) * head_dim; }
};

// Owns the packed keys and values; not thread-safe. `pool` is borrowed.
class PackedAttention {
 public:
  PackedAttention(const AttentionShape& shape, ThreadPool& pool) : shape_(shape), pool_(pool) {}

  // Sets the window of all further passes: a token sees itself and the window - 1 tokens before it,
  // including those of its prompt. With 0 it sees all tokens before it. Keys that no query of a
  // block sees cost nothing.
  void set_window(int window) { window_ = window; }
  // qkv [tokens, width]: queries, keys (both rotated) and values. out [tokens, heads * head_dim].
  // log_sums [tokens, heads]: logarithms of the softmax's sums, which backward() needs.
  void forward(const std::vector<PromptFamily>& families, ConstRows qkv, Rows out, Rows log_sums);
  // Computes dqkv [tokens, width] from dout [tokens, heads * head_dim], given the inputs and
  // outputs of forward(). All of dqkv is written.
  void backward(const std::vector<PromptFamily>& families, ConstRows qkv, ConstRows out,
                ConstRows log_sums, ConstRows dout, Rows dqkv);

  // Bytes of the packed keys and values and of their gradients.
  int64_t bytes() const {
    return static_cast<int64_t>((keys_.size() + values_.size() + dkv_.size()) * sizeof(float));
  }

 private:
  // Where the keys of each member begin among the packed ones.
  struct Layout {
    std::vector<int64_t> first;  // [members], multiples of 16
    int64_t keys = 0;            // of the family, including padding
    size_t offset = 0;           // floats, of the family's packed keys of KV head 0
  };
  struct QueryBlock {
    int member, head;
    int64_t begin, end;  // rows
  };

  void lay_out(const std::vector<PromptFamily>& families);
  void pack(const std::vector<PromptFamily>& families, ConstRows qkv, bool for_scores);
  void pack_member(const PromptFamily& family, const Layout& layout, int member, int kv_head,
                   ConstRows qkv, bool for_scores);
  void attend(const PromptFamily& family, const Layout& layout, const QueryBlock& block,
              ConstRows qkv, Rows out, Rows log_sums) const;
  struct Gradient;
  void load_queries(const QueryBlock& block, const Gradient& g);
  void differentiate_block(const PromptFamily& family, const Layout& layout,
                           const QueryBlock& block, const Gradient& g, float* dkv);
  void differentiate(const PromptFamily& family, const Layout& layout, int head, const Gradient& g);
  size_t packed_at(const Layout& layout, int kv_head) const {
    return layout.offset + static_cast<size_t>(kv_head) * layout.keys * padded_dim();
  }
  int padded_dim() const { return round_up(shape_.head_dim, kPanel); }

  AttentionShape shape_;
  ThreadPool& pool_;
  int window_ = 0;  // 0: none
  std::vector<Layout> layouts_;
  // forward: [kv_head][keys / 16][head_dim][16]; backward: [kv_head][head_dim / 16][keys][16]
  AlignedFloats keys_;
  AlignedFloats values_;  // [kv_head][head_dim / 16][keys][16]
  AlignedFloats dkv_;     // [heads][tokens][keys, values]
};

}  // namespace longshot::kernels
