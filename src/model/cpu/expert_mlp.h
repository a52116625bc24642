#pragma once
// The MLP of a layer with experts (Experts in model/format/config.h), forward and backward. Tokens
// are gathered by expert, so that each expert is one product over its tokens; a token's results are
// added in the order of the experts. Where there are many experts, a thread computes a whole one by
// itself; where there are few, all threads share each product. The results are the same, and do not
// depend on the number of threads.
//
// The router's product is always in f32, because a rounded one chooses other experts.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/rows/routing.h"
#include "kernels/rows/row_ops.h"
#include "model/cpu/activations.h"
#include "model/cpu/layer_arrays.h"
#include "model/cpu/linear.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

// Not thread-safe. The functions are called with blocks of at most kMlpRows rows.
class ExpertMlp {
 public:
  ExpertMlp(const ModelConfig& config, ThreadPool& pool, NumberFormat products);

  // x [rows, hidden] -> routing, gate_up [entries, gate_up_width()].
  void inner(const LayerArrays<const float>& w, kernels::ConstRows x, int64_t rows,
             kernels::Routing& routing, kernels::Rows gate_up);
  // Adds the layer's result to out [rows, hidden].
  void outer(const LayerArrays<const float>& w, const kernels::Routing& routing,
             kernels::ConstRows gate_up, int64_t rows, kernels::Rows out);
  // Given the gradient at `out` and what inner() read and wrote: adds to the gradients that are not
  // null, and sets dx [rows, hidden].
  void backward(const LayerArrays<const float>& w, const LayerArrays<float>& g,
                const kernels::Routing& routing, kernels::ConstRows x, kernels::ConstRows gate_up,
                int64_t rows, kernels::ConstRows dout, kernels::Rows dx);

  int gate_up_width() const { return 2 * up_column(); }
  int64_t activation_bytes() const;

 private:
  // What computes an expert: all threads, or one of them.
  struct Lane {
    ThreadPool& pool;
    Linear linear;
    Lane(ThreadPool& threads, NumberFormat products) : pool(threads), linear(threads, products) {}
  };
  struct OwnLane {
    ThreadPool one{1};
    Lane lane;
    explicit OwnLane(NumberFormat products) : lane(one, products) {}
  };

  kernels::ExpertChoice choice() const {
    return {experts_.count, experts_.per_token, experts_.normalized};
  }
  int up_column() const { return kernels::round_up(experts_.width, kernels::kLane); }
  // out[row] += the sum of the row's entries.
  void scatter(const kernels::Routing& routing, const Activations& entries, int64_t rows,
               kernels::Rows out);
  // The entries [first, first + count) of one expert.
  struct Share {
    int expert;
    int64_t first, count;
  };
  // Copies the rows of the share's entries to their places in `out`.
  void gather(Lane& lane, const kernels::Routing& routing, const Share& share,
              kernels::ConstRows rows, Activations& out);
  // Turns the gradients at the share's activations, act_, into the activations times the entries'
  // weights.
  void activation_backward(Lane& lane, const kernels::Routing& routing, const Share& share,
                           kernels::ConstRows gate_up);
  std::array<LinearPart, 2> gate_up_parts(const ExpertArrays<const float>& w,
                                          const ExpertArrays<float>* g) const;
  // Calls body(lane, share) for the experts that have entries.
  void each_expert(const kernels::Routing& routing,
                   const std::function<void(Lane& lane, const Share& share)>& body);

  const Experts experts_;
  const int hidden_;
  const kernels::Gate gate_;
  Linear router_;
  Lane shared_;
  std::vector<std::unique_ptr<OwnLane>> lanes_;  // one a thread

  Activations logits_;           // [rows, experts]
  Activations in_, results_;     // [entries, hidden]
  Activations act_;              // [entries, width]
  Activations dgate_up_;         // [entries, 2 width]
  std::vector<float> dweights_;  // [entries]
};

}  // namespace longshot::model::cpu
