#include "model/cpu/expert_mlp.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "model/cpu/row_tasks.h"

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Routing;
using kernels::Rows;
using kernels::Store;

namespace {

// Fewer experts than this for each thread do not share the work evenly.
constexpr int kExpertsPerThread = 3;

}  // namespace

ExpertMlp::ExpertMlp(const ModelConfig& config, ThreadPool& pool, NumberFormat products)
    : experts_(config.experts),
      hidden_(config.hidden_size),
      gate_(config.facts.activation == Activation::silu ? kernels::Gate::silu
                                                        : kernels::Gate::gelu_tanh),
      router_(pool, NumberFormat::f32),
      shared_(pool, products) {
  for (int t = 0; t < pool.threads(); ++t) lanes_.push_back(std::make_unique<OwnLane>(products));
}

void ExpertMlp::each_expert(const Routing& routing,
                            const std::function<void(Lane&, const Share&)>& body) {
  std::vector<Share> shares;
  for (int e = 0; e < experts_.count; ++e) {
    const int64_t first = routing.begin[e], count = routing.begin[e + 1] - first;
    if (count > 0) shares.push_back({e, first, count});
  }
  const int threads = static_cast<int>(lanes_.size());
  if (threads == 1 || static_cast<int>(shares.size()) < kExpertsPerThread * threads) {
    for (const Share& share : shares) body(shared_, share);
    return;
  }
  std::ranges::stable_sort(shares, std::ranges::greater{}, &Share::count);
  std::atomic<size_t> next = 0;
  shared_.pool.parallel_for(threads, [&](int t) {
    for (size_t i = next++; i < shares.size(); i = next++) body(lanes_[t]->lane, shares[i]);
  });
}

void ExpertMlp::gather(Lane& lane, const Routing& routing, const Share& share, ConstRows rows,
                       Activations& out) {
  for_rows(lane.pool, share.count, [&](int64_t begin, int64_t end) {
    for (int64_t i = share.first + begin; i < share.first + end; ++i)
      std::copy_n(rows.row(routing.token[i]), hidden_, out.row(i));
  });
}

void ExpertMlp::scatter(const Routing& routing, const Activations& entries, int64_t rows,
                        Rows out) {
  const int k = experts_.per_token;
  for_rows(shared_.pool, rows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int i = 0; i < k; ++i) {
        const float* in = entries.row(routing.entry[r * k + i]);
        for (int c = 0; c < hidden_; ++c) out.row(r)[c] += in[c];
      }
    }
  });
}

std::array<LinearPart, 2> ExpertMlp::gate_up_parts(const ExpertArrays<const float>& w,
                                                   const ExpertArrays<float>* g) const {
  return {LinearPart{&w.gate, g == nullptr ? nullptr : &g->gate, 0, experts_.width},
          LinearPart{&w.up, g == nullptr ? nullptr : &g->up, up_column(), experts_.width}};
}

void ExpertMlp::inner(const LayerArrays<const float>& w, ConstRows x, int64_t rows,
                      Routing& routing, Rows gate_up) {
  logits_.reset(rows, experts_.count);
  router_.forward(x, rows, w.router, experts_.count, hidden_, logits_.rows(), Store::set);
  routing = kernels::route(choice(), std::as_const(logits_).rows(), rows);
  in_.reset(routing.entries(), hidden_);
  each_expert(routing, [&](Lane& lane, const Share& s) {
    gather(lane, routing, s, x, in_);
    lane.linear.forward(rows_from(std::as_const(in_), s.first), s.count,
                        gate_up_parts(w.experts[s.expert], nullptr), hidden_,
                        {gate_up.row(s.first), gate_up.stride}, Store::set);
  });
}

void ExpertMlp::outer(const LayerArrays<const float>& w, const Routing& routing, ConstRows gate_up,
                      int64_t rows, Rows out) {
  const int up = up_column();
  act_.reset(routing.entries(), up);
  results_.reset(routing.entries(), hidden_);
  each_expert(routing, [&](Lane& lane, const Share& s) {
    for_rows(lane.pool, s.count, [&](int64_t begin, int64_t end) {
      for (int64_t i = s.first + begin; i < s.first + end; ++i) {
        kernels::gate_mul(gate_, gate_up.row(i), gate_up.row(i) + up, up, act_.row(i));
        for (int c = 0; c < experts_.width; ++c) act_.row(i)[c] *= routing.weight[i];
      }
    });
    lane.linear.forward(rows_from(std::as_const(act_), s.first), s.count, w.experts[s.expert].down,
                        hidden_, experts_.width, rows_from(results_, s.first), Store::set);
  });
  scatter(routing, results_, rows, out);
}

void ExpertMlp::activation_backward(Lane& lane, const Routing& routing, const Share& share,
                                    ConstRows gate_up) {
  const int up = up_column();
  for_rows(lane.pool, share.count, [&](int64_t begin, int64_t end) {
    kernels::AlignedFloats activation(up);
    for (int64_t i = share.first + begin; i < share.first + end; ++i) {
      const float* gate = gate_up.row(i);
      float *dact = act_.row(i), *dgate = dgate_up_.row(i), dweight = 0;
      kernels::gate_mul(gate_, gate, gate + up, up, activation.data());
      for (int c = 0; c < experts_.width; ++c) dweight += dact[c] * activation[c];
      dweights_[i] = dweight;
      for (int c = 0; c < experts_.width; ++c) dact[c] *= routing.weight[i];
      kernels::gate_mul_backward(gate_, gate, gate + up, up, dact, dgate, dgate + up);
      for (int c = 0; c < experts_.width; ++c) dact[c] *= routing.weight[i];
    }
  });
}

// in_ and results_ hold the rows of x and dout; then results_ holds the gradient at in_.
void ExpertMlp::backward(const LayerArrays<const float>& w, const LayerArrays<float>& g,
                         const Routing& routing, ConstRows x, ConstRows gate_up, int64_t rows,
                         ConstRows dout, Rows dx) {
  in_.reset(routing.entries(), hidden_);
  results_.reset(routing.entries(), hidden_);
  act_.reset(routing.entries(), up_column());
  dgate_up_.reset(routing.entries(), 2 * up_column());
  dweights_.assign(routing.entries(), 0);
  each_expert(routing, [&](Lane& lane, const Share& s) {
    const ExpertArrays<const float>& we = w.experts[s.expert];
    const ExpertArrays<float>& ge = g.experts[s.expert];
    const LinearPart down{&we.down, &ge.down, 0, hidden_};
    const auto rows_of = [&](const Activations& a) { return rows_from(a, s.first); };
    gather(lane, routing, s, x, in_);
    gather(lane, routing, s, dout, results_);
    lane.linear.input_gradient(rows_of(results_), s.count, {&down, 1}, experts_.width,
                               rows_from(act_, s.first));
    activation_backward(lane, routing, s, gate_up);
    lane.linear.weight_gradient(rows_of(results_), rows_of(act_), s.count, {&down, 1},
                                experts_.width);
    lane.linear.backward(rows_of(dgate_up_), rows_of(in_), s.count, gate_up_parts(we, &ge), hidden_,
                         rows_from(results_, s.first));
  });
  logits_.reset(rows, experts_.count);
  kernels::route_backward(choice(), routing, dweights_, rows, logits_.rows());
  router_.backward(std::as_const(logits_).rows(), x, rows, w.router, experts_.count, hidden_,
                   g.router, dx);
  scatter(routing, results_, rows, dx);
}

int64_t ExpertMlp::activation_bytes() const {
  int64_t total = router_.activation_bytes() + shared_.linear.activation_bytes();
  for (const Activations* a : {&logits_, &in_, &results_, &act_, &dgate_up_}) total += a->bytes();
  return total;
}

}  // namespace longshot::model::cpu
