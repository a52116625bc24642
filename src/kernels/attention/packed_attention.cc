#include "kernels/attention/packed_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/attention_blocks.h"
#include "kernels/rows/row_ops.h"

namespace longshot::kernels {
namespace {

constexpr int kQueries = 48, kKeys = 256;  // a block of scores, forward
constexpr int kGradientQueries = 96, kGradientKeys = 128;

// Memory of one thread.
struct Scratch {
  AlignedFloats scores, other, sums, max, total;
  PanelBuffer query_rows, query_columns, dout_rows, dout_columns;
};
Scratch& scratch() {
  thread_local Scratch s;
  return s;
}

void at_least(AlignedFloats& floats, size_t count) {
  if (floats.size() < count) floats = AlignedFloats(count);
}

constexpr int64_t kUnlimited = int64_t{1} << 40;

// A block of keys as seen by a block of queries.
struct KeyBlock {
  int64_t key;  // index of the first one among the packed keys
  int count;
  int of;          // the member they belong to
  int64_t within;  // index of the first one within that member
  int64_t behind;  // position of the first query minus that of the first key
};

// Runs body(KeyBlock) over the blocks of `step` keys that the queries [begin, end) of a member see:
// first the prompt's, then the member's own. With a window the first block begins at the first key
// that the first query sees, rounded down to a whole panel.
template <typename Body>
void for_key_blocks(const PromptFamily& family, const std::vector<int64_t>& first, int member,
                    TokenRange queries, int window, int step, const Body& body) {
  const int64_t start = queries.begin - family.members[member].begin;  // within the member
  const auto range = [&](int of, int64_t count, int64_t ahead) {
    const int64_t position = start + ahead;  // of the first query, counted from the first key
    const int64_t lowest = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    for (int64_t k = lowest / kPanel * kPanel; k < count; k += step) {
      body(KeyBlock{first[of] + k, static_cast<int>(std::min<int64_t>(step, count - k)), of, k,
                    position - k});
    }
  };
  if (member > 0) range(0, family.members[0].size(), family.members[0].size());
  range(member, queries.end - family.members[member].begin, 0);
}

}  // namespace

void PackedAttention::lay_out(const std::vector<PromptFamily>& families) {
  layouts_.clear();
  size_t offset = 0;
  for (const PromptFamily& family : families) {
    Layout& layout = layouts_.emplace_back();
    layout.offset = offset;
    for (const TokenRange& member : family.members) {
      layout.first.push_back(layout.keys);
      layout.keys += (member.size() + kPanel - 1) / kPanel * kPanel;
    }
    offset += static_cast<size_t>(layout.keys) * padded_dim() * shape_.kv_heads;
  }
  at_least(keys_, offset);
  at_least(values_, offset);
}

void PackedAttention::pack_member(const PromptFamily& family, const Layout& layout, int member,
                                  int kv_head, ConstRows qkv, bool for_scores) {
  const TokenRange range = family.members[member];
  const int d = shape_.head_dim, panels = padded_dim() / kPanel;
  const size_t base = packed_at(layout, kv_head);
  const auto columns = [&](const float* in, int64_t key, float* out) {  // one token
    for (int p = 0; p < panels; ++p) {
      const int count = std::min(kPanel, d - p * kPanel);
      float* at = out + (static_cast<size_t>(p) * layout.keys + key) * kPanel;
      std::copy_n(in + p * kPanel, count, at);
      std::fill_n(at + count, kPanel - count, 0.0f);
    }
  };
  for (int64_t t = 0; t < range.size(); ++t) {
    const float* row = qkv.row(range.begin + t);
    const int64_t key = layout.first[member] + t;
    if (for_scores) {
      columns(row + shape_.value(kv_head), key, values_.data() + base);
      float* out = keys_.data() + base + key / kPanel * kPanel * d + key % kPanel;
      const float* in = row + shape_.key(kv_head);
      for (int e = 0; e < d; ++e) out[static_cast<size_t>(e) * kPanel] = in[e];
    } else {
      columns(row + shape_.key(kv_head), key, keys_.data() + base);
    }
  }
}

// Packs what forward() reads if for_scores is true, else what backward() reads.
void PackedAttention::pack(const std::vector<PromptFamily>& families, ConstRows qkv,
                           bool for_scores) {
  lay_out(families);
  struct Task {
    int family, member, kv_head;
  };
  std::vector<Task> tasks;
  for (int f = 0; f < static_cast<int>(families.size()); ++f) {
    for (int m = 0; m < static_cast<int>(families[f].members.size()); ++m) {
      for (int h = 0; h < shape_.kv_heads; ++h) tasks.push_back({f, m, h});
    }
  }
  pool_.parallel_for(static_cast<int>(tasks.size()), [&](int i) {
    const auto [f, m, h] = tasks[i];
    pack_member(families[f], layouts_[f], m, h, qkv, for_scores);
  });
}

void PackedAttention::attend(const PromptFamily& family, const Layout& layout,
                             const QueryBlock& block, ConstRows qkv, Rows out,
                             Rows log_sums) const {
  const int d = shape_.head_dim, padded = padded_dim();
  const auto rows = static_cast<int>(block.end - block.begin);
  const size_t base = packed_at(layout, block.head / shape_.group());
  const float scale = shape_.score_scale();
  Scratch& s = scratch();
  at_least(s.scores, static_cast<size_t>(kQueries) * kKeys);
  s.sums.assign(static_cast<size_t>(kQueries) * padded, 0.0f);
  s.max.assign(kQueries, -std::numeric_limits<float>::infinity());
  s.total.assign(kQueries, 0.0f);
  for_key_blocks(
      family, layout.first, block.member, {block.begin, block.end}, window_, kKeys,
      [&](const KeyBlock& keys) {
        const int64_t key = keys.key;
        const int count = keys.count;
        const Panels k{keys_.data() + base + key * d, static_cast<size_t>(d) * kPanel, count, d};
        multiply(k, qkv.row(block.begin) + shape_.query(block.head), qkv.stride, rows,
                 s.scores.data(), kKeys, Store::set);
        for (int r = 0; shape_.cap > 0 && r < rows; ++r)
          soft_cap(s.scores.data() + r * kKeys, count, scale, shape_.cap);
        softmax_block({.scores = s.scores.data(),
                       .stride = kKeys,
                       .rows = rows,
                       .keys = count,
                       .hidden = keys.behind + 1 - (window_ > 0 ? window_ : kUnlimited),
                       .visible = keys.behind + 1,
                       .scale = shape_.cap > 0 ? 1.0f : scale,
                       .max = s.max.data(),
                       .total = s.total.data(),
                       .sums = s.sums.data(),
                       .width = padded});
        const Panels v{values_.data() + base + key * kPanel,
                       static_cast<size_t>(layout.keys) * kPanel, padded, count};
        multiply(v, s.scores.data(), kKeys, rows, s.sums.data(), padded, Store::add);
      });
  for (int r = 0; r < rows; ++r) {
    float* to = out.row(block.begin + r) + shape_.query(block.head);
    const float* sums = s.sums.data() + static_cast<size_t>(r) * padded;
    const float inverse = 1.0f / s.total[r];
    for (int e = 0; e < d; ++e) to[e] = sums[e] * inverse;
    log_sums.row(block.begin + r)[block.head] = s.max[r] + std::log(s.total[r]);
  }
}

void PackedAttention::forward(const std::vector<PromptFamily>& families, ConstRows qkv, Rows out,
                              Rows log_sums) {
  pack(families, qkv, /*for_scores=*/true);
  struct Task {
    int family;
    QueryBlock block;
  };
  std::vector<Task> tasks;
  for (int f = 0; f < static_cast<int>(families.size()); ++f) {
    for (int m = 0; m < static_cast<int>(families[f].members.size()); ++m) {
      const TokenRange range = families[f].members[m];
      for (int64_t begin = range.begin; begin < range.end; begin += kQueries) {
        for (int h = 0; h < shape_.heads; ++h)
          tasks.push_back({f, {m, h, begin, std::min(begin + kQueries, range.end)}});
      }
    }
  }
  // The last blocks of a long sequence see the most keys, so they are started first.
  std::reverse(tasks.begin(), tasks.end());
  pool_.parallel_for(static_cast<int>(tasks.size()), [&](int i) {
    const Task& task = tasks[i];
    attend(families[task.family], layouts_[task.family], task.block, qkv, out, log_sums);
  });
}

struct PackedAttention::Gradient {
  ConstRows qkv, out, log_sums, dout;
  Rows dqkv;
  int64_t tokens;
};

// Packs the block's queries and output gradients into this thread's memory, and computes what the
// gradient of a softmax needs of each query. The gradients of the queries start at 0.
void PackedAttention::load_queries(const QueryBlock& block, const Gradient& g) {
  const int d = shape_.head_dim, column = shape_.query(block.head);
  const auto queries = static_cast<int>(block.end - block.begin);
  Scratch& s = scratch();
  const auto pack = [&](PanelBuffer& rows, PanelBuffer& columns, ConstRows from) {
    const float* data = from.row(block.begin) + column;
    rows.reset(queries, d);
    for (int p = 0; p < rows.count(); ++p) rows.pack_rows(p, data, from.stride);
    columns.reset(d, queries);
    for (int p = 0; p < columns.count(); ++p) columns.pack_columns(p, data, from.stride);
  };
  pack(s.query_rows, s.query_columns, g.qkv);
  pack(s.dout_rows, s.dout_columns, g.dout);
  for (int q = 0; q < queries; ++q) {
    const float* out = g.out.row(block.begin + q) + column;
    const float* dout = g.dout.row(block.begin + q) + column;
    float sum = 0;
    for (int e = 0; e < d; ++e) sum += out[e] * dout[e];
    s.total[q] = sum;
    s.max[q] = g.log_sums.row(block.begin + q)[block.head];
    std::fill_n(g.dqkv.row(block.begin + q) + column, d, 0.0f);
  }
}

// Adds the gradients of one block of queries, loaded before, to dqkv and to `dkv`, the gradients of
// the head's keys and values, [tokens][keys, values]. Blocks of scores are transposed here,
// [keys][queries], so that four of the five products read them as they are.
void PackedAttention::differentiate_block(const PromptFamily& family, const Layout& layout,
                                          const QueryBlock& block, const Gradient& g, float* dkv) {
  const int d = shape_.head_dim, kv_head = block.head / shape_.group();
  const auto queries = static_cast<int>(block.end - block.begin);
  const size_t base = packed_at(layout, kv_head), pair = 2 * static_cast<size_t>(d);
  const float scale = shape_.score_scale();
  Scratch& s = scratch();
  for_key_blocks(
      family, layout.first, block.member, {block.begin, block.end}, window_, kGradientKeys,
      [&](const KeyBlock& keys) {
        const int64_t key = keys.key, row = family.members[keys.of].begin + keys.within;
        const int count = keys.count;
        multiply(s.query_rows.panels(), g.qkv.row(row) + shape_.key(kv_head), g.qkv.stride, count,
                 s.scores.data(), kGradientQueries, Store::set);
        multiply(s.dout_rows.panels(), g.qkv.row(row) + shape_.value(kv_head), g.qkv.stride, count,
                 s.other.data(), kGradientQueries, Store::set);
        softmax_gradient_block({.scores = s.scores.data(),
                                .dweights = s.other.data(),
                                .stride = kGradientQueries,
                                .keys = count,
                                .queries = queries,
                                .hidden = -keys.behind,
                                .past = (window_ > 0 ? window_ : kUnlimited) - keys.behind,
                                .scale = scale,
                                .log_sums = s.max.data(),
                                .dots = s.total.data(),
                                .cap = shape_.cap});
        float* dkey = dkv + row * pair;
        multiply(s.dout_columns.panels(), s.scores.data(), kGradientQueries, count, dkey + d, pair,
                 Store::add);
        multiply(s.query_columns.panels(), s.other.data(), kGradientQueries, count, dkey, pair,
                 Store::add);
        const Panels k{keys_.data() + base + key * kPanel,
                       static_cast<size_t>(layout.keys) * kPanel, d, count};
        multiply_transposed(k, s.other.data(), kGradientQueries, queries,
                            g.dqkv.row(block.begin) + shape_.query(block.head), g.dqkv.stride,
                            Store::add);
      });
}

void PackedAttention::differentiate(const PromptFamily& family, const Layout& layout, int head,
                                    const Gradient& g) {
  const size_t pair = 2 * static_cast<size_t>(shape_.head_dim);
  float* dkv = dkv_.data() + static_cast<size_t>(head) * g.tokens * pair;
  for (const TokenRange& member : family.members)
    std::fill_n(dkv + member.begin * pair, member.size() * pair, 0.0f);
  Scratch& s = scratch();
  at_least(s.scores, static_cast<size_t>(kGradientQueries) * kGradientKeys);
  at_least(s.other, static_cast<size_t>(kGradientQueries) * kGradientKeys);
  at_least(s.sums, static_cast<size_t>(kGradientQueries) * padded_dim());
  at_least(s.max, kGradientQueries);
  at_least(s.total, kGradientQueries);
  for (int m = 0; m < static_cast<int>(family.members.size()); ++m) {
    const TokenRange range = family.members[m];
    for (int64_t begin = range.begin; begin < range.end; begin += kGradientQueries) {
      const QueryBlock block{m, head, begin,
                             std::min<int64_t>(begin + kGradientQueries, range.end)};
      load_queries(block, g);
      differentiate_block(family, layout, block, g, dkv);
    }
  }
}

void PackedAttention::backward(const std::vector<PromptFamily>& families, ConstRows qkv,
                               ConstRows out, ConstRows log_sums, ConstRows dout, Rows dqkv) {
  pack(families, qkv, /*for_scores=*/false);
  int64_t tokens = 0;
  for (const PromptFamily& family : families) {
    for (const TokenRange& member : family.members) tokens = std::max(tokens, member.end);
  }
  const size_t pair = 2 * static_cast<size_t>(shape_.head_dim);
  at_least(dkv_, static_cast<size_t>(shape_.heads) * tokens * pair);
  const Gradient g{qkv, out, log_sums, dout, dqkv, tokens};
  const int count = static_cast<int>(families.size());
  pool_.parallel_for(count * shape_.heads, [&](int i) {
    differentiate(families[i / shape_.heads], layouts_[i / shape_.heads], i % shape_.heads, g);
  });
  // Adds up the query heads of each group, in order.
  constexpr int64_t kRows = 64;
  pool_.parallel_for(static_cast<int>((tokens + kRows - 1) / kRows), [&](int b) {
    for (int64_t t = b * kRows; t < std::min(tokens, (b + 1) * kRows); ++t) {
      for (int h = 0; h < shape_.kv_heads; ++h) {
        float* dk = dqkv.row(t) + shape_.key(h);
        float* dv = dqkv.row(t) + shape_.value(h);
        for (int q = 0; q < shape_.group(); ++q) {
          const float* in =
              dkv_.data() + (static_cast<size_t>(h * shape_.group() + q) * tokens + t) * pair;
          for (int e = 0; e < shape_.head_dim; ++e) {
            dk[e] = q == 0 ? in[e] : dk[e] + in[e];
            dv[e] = q == 0 ? in[shape_.head_dim + e] : dv[e] + in[shape_.head_dim + e];
          }
        }
      }
    }
  });
}

}  // namespace longshot::kernels
