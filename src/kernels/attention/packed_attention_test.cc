#include "kernels/attention/packed_attention.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class AttentionOfAStep : public Kernels {};
INSTANTIATE_TEST_SUITE_P(EveryTarget, AttentionOfAStep, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

struct Case {
  AttentionShape shape;
  std::vector<PromptFamily> families;
  int64_t tokens;
  int window = 0;  // 0: none
};

std::vector<Case> cases() {
  const std::vector<Case> plain = {
      {{4, 2, 6}, {{{{0, 7}}}}, 7},
      {{3, 1, 64}, {{{{0, 300}, {300, 301}, {301, 420}}}, {{{420, 440}}}}, 440},
      {{2, 2, 20}, {{{{0, 16}, {16, 20}, {20, 150}}}, {{{150, 151}, {151, 170}}}}, 170},
      {{2, 1, 12, 0.4f, 1.5f}, {{{{0, 30}, {30, 49}, {49, 140}}}}, 140}};
  std::vector<Case> all = plain;
  for (const int window : {1, 3, 16, 47, 100, 310, 1000}) {
    for (Case c : plain) {
      c.window = window;
      all.push_back(c);
    }
  }
  return all;
}

// The tokens that token t sees.
std::vector<int64_t> seen_by(const Case& c, int64_t t) {
  std::vector<int64_t> out;
  for (const PromptFamily& family : c.families) {
    for (size_t m = 0; m < family.members.size(); ++m) {
      const TokenRange range = family.members[m];
      if (t < range.begin || t >= range.end) continue;
      for (int64_t k = family.members[0].begin; m > 0 && k < family.members[0].end; ++k)
        out.push_back(k);
      for (int64_t k = range.begin; k <= t; ++k) out.push_back(k);
    }
  }
  const auto seen = static_cast<int64_t>(out.size());
  if (c.window > 0 && seen > c.window) out.erase(out.begin(), out.end() - c.window);
  return out;
}

// Attention and its gradient in double, token by token.
void reference_step(const Case& c, const std::vector<float>& qkv, const std::vector<float>& dout,
                    std::vector<double>& out, std::vector<double>& dqkv) {
  const AttentionShape& s = c.shape;
  const int width = s.width(), d = s.head_dim, outs = s.heads * d;
  out.assign(c.tokens * outs, 0);
  dqkv.assign(c.tokens * width, 0);
  const double scale = s.scale > 0 ? double{s.scale} : 1 / std::sqrt(static_cast<double>(d));
  for (int64_t t = 0; t < c.tokens; ++t) {
    const auto seen = seen_by(c, t);
    for (int h = 0; h < s.heads; ++h) {
      const int kv = h / s.group();
      const float* q = &qkv[t * width + s.query(h)];
      std::vector<double> w, slope, dw(seen.size(), 0);
      double max = -1e300, total = 0, dot = 0;
      for (const int64_t k : seen) {
        double score = 0;
        for (int e = 0; e < d; ++e)
          score += static_cast<double>(q[e]) * qkv[k * width + s.key(kv) + e];
        w.push_back(score * scale);
        if (s.cap > 0) w.back() = s.cap * std::tanh(w.back() / s.cap);
        const double t = s.cap > 0 ? w.back() / s.cap : 0;
        slope.push_back(1 - t * t);
        max = std::max(max, w.back());
      }
      for (double& x : w) total += x = std::exp(x - max);
      for (size_t i = 0; i < seen.size(); ++i) {
        w[i] /= total;
        for (int e = 0; e < d; ++e) {
          const double g = dout[t * outs + s.query(h) + e];
          out[t * outs + s.query(h) + e] += w[i] * qkv[seen[i] * width + s.value(kv) + e];
          dw[i] += g * qkv[seen[i] * width + s.value(kv) + e];
          dqkv[seen[i] * width + s.value(kv) + e] += w[i] * g;
        }
        dot += w[i] * dw[i];
      }
      for (size_t i = 0; i < seen.size(); ++i) {
        const double g = w[i] * (dw[i] - dot) * slope[i] * scale;
        for (int e = 0; e < d; ++e) {
          dqkv[t * width + s.query(h) + e] += g * qkv[seen[i] * width + s.key(kv) + e];
          dqkv[seen[i] * width + s.key(kv) + e] += g * q[e];
        }
      }
    }
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST_P(AttentionOfAStep, MatchesTheReferenceForAnyNumberOfThreads) {
  double forward = 0, backward = 0;
  for (const Case& c : cases()) {
    const int width = c.shape.width(), outs = c.shape.heads * c.shape.head_dim;
    const auto qkv = random_floats(c.tokens * width, 1), dout = random_floats(c.tokens * outs, 2);
    std::vector<double> expected_out, expected_dqkv;
    reference_step(c, qkv, dout, expected_out, expected_dqkv);
    std::vector<float> first;
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      PackedAttention attention(c.shape, pool);
      attention.set_window(c.window);
      std::vector<float> out(c.tokens * outs), sums(c.tokens * c.shape.heads),
          dqkv(c.tokens * width, 7.0f);
      const auto w = static_cast<size_t>(width), o = static_cast<size_t>(outs),
                 h = static_cast<size_t>(c.shape.heads);
      attention.forward(c.families, {qkv.data(), w}, {out.data(), o}, {sums.data(), h});
      attention.backward(c.families, {qkv.data(), w}, {out.data(), o}, {sums.data(), h},
                         {dout.data(), o}, {dqkv.data(), w});
      forward = std::max(forward, largest_difference(out, expected_out));
      backward = std::max(backward, largest_difference(dqkv, expected_dqkv));
      if (threads == 1) first = dqkv;
      EXPECT_EQ(first, dqkv);
    }
  }
  report("attention of a step", forward);
  report("its gradient", backward);
  EXPECT_LT(forward, 5e-6);
  EXPECT_LT(backward, 5e-5);
}

// Keys far before the window are not even read, so that they cost nothing.
TEST_P(AttentionOfAStep, KeysBeforeTheWindowAreNotRead) {
  const AttentionShape shape{2, 1, 16};
  const int width = shape.width(), outs = shape.heads * shape.head_dim;
  const std::vector<PromptFamily> families = {{{{0, 100}, {100, 900}}}};
  auto qkv = random_floats(900 * width, 1);
  const auto dout = random_floats(900 * outs, 2);
  ThreadPool pool(2);
  PackedAttention attention(shape, pool);
  attention.set_window(40);
  const auto w = static_cast<size_t>(width), o = static_cast<size_t>(outs);
  const auto run = [&] {
    std::vector<float> out(900 * outs), sums(900 * 2), dqkv(900 * width);
    attention.forward(families, {qkv.data(), w}, {out.data(), o}, {sums.data(), 2});
    attention.backward(families, {qkv.data(), w}, {out.data(), o}, {sums.data(), 2},
                       {dout.data(), o}, {dqkv.data(), w});
    const std::vector<float> last_out(out.begin() + 700 * outs, out.end());
    std::vector<float> last(dqkv.begin() + 700 * width, dqkv.end());
    last.insert(last.end(), last_out.begin(), last_out.end());
    return last;
  };
  const auto before = run();
  for (int64_t t = 0; t < 500; ++t) std::fill_n(qkv.begin() + t * width, width, std::nanf(""));
  EXPECT_EQ(before, run());
}

}  // namespace
}  // namespace longshot::kernels
