#include "model/merge/tensor_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/os/stop.h"
#include "model/format/float_convert.h"
#include "model/merge/magnitude.h"
#include "model/merge/random_mask.h"

namespace longshot::model {
namespace {

constexpr int64_t kBlock = 1 << 19;
constexpr double kSmallestSum = 1e-7;  // mergekit's rescaled_masked_tensor: no rescaling below it

Status read_finite(const ReadBlock& read, int64_t begin, std::span<float> out) {
  LS_RETURN_IF_ERROR(read(begin, out));
  if (all_finite(out.data(), out.size())) return ok_status();
  return invalid_argument("a value is not finite");
}

using Block = std::function<Status(int64_t begin, size_t count)>;

Status for_each_block(int64_t elements, const Block& body) {
  for (int64_t begin = 0; begin < elements; begin += kBlock) {
    if (stop_requested()) return cancelled("stopped");
    LS_RETURN_IF_ERROR(body(begin, static_cast<size_t>(std::min(kBlock, elements - begin))));
  }
  return ok_status();
}

// weight sum(x) / sum(weight)
class LinearMerge {
 public:
  explicit LinearMerge(const TensorMerge& merge) : merge_(merge), x_(kBlock), sum_(kBlock) {
    for (const TensorInput& input : merge.inputs) divisor_ += static_cast<float>(input.weight);
  }

  Status prepare() const {
    if (!merge_.normalize || divisor_ != 0) return ok_status();
    return invalid_argument("the weights have the sum 0; set normalize = false or other weights");
  }

  Result<std::span<const float>> block(int64_t begin, size_t count) {
    std::fill_n(sum_.begin(), count, 0.0f);
    for (const TensorInput& input : merge_.inputs) {
      LS_RETURN_IF_ERROR(read_finite(input.read, begin, {x_.data(), count}));
      const auto weight = static_cast<float>(input.weight);
      for (size_t i = 0; i < count; ++i) sum_[i] += weight * x_[i];
    }
    if (merge_.normalize)
      for (size_t i = 0; i < count; ++i) sum_[i] /= divisor_;
    return std::span<const float>(sum_.data(), count);
  }

 private:
  const TensorMerge& merge_;
  std::vector<float> x_, sum_;
  float divisor_ = 0;
};

// Interpolation along the great circle between the two tensors as vectors (Shoemake, 1985), and
// linear interpolation where they are nearly parallel.
class SlerpMerge {
 public:
  explicit SlerpMerge(const TensorMerge& merge) : merge_(merge), a_(kBlock), b_(kBlock) {}

  Status prepare() {
    constexpr double kParallel = 0.9995, kSmallestNorm = 1e-8;  // mergekit's slerp()
    double aa = 0, bb = 0, ab = 0;
    LS_RETURN_IF_ERROR(for_each_block(merge_.elements, [&](int64_t begin, size_t count) -> Status {
      LS_RETURN_IF_ERROR(read(begin, count));
      for (size_t i = 0; i < count; ++i) {
        aa += double{a_[i]} * a_[i];
        bb += double{b_[i]} * b_[i];
        ab += double{a_[i]} * b_[i];
      }
      return ok_status();
    }));
    const auto norm = [](double square) {
      const double root = std::sqrt(square);
      return root > kSmallestNorm ? root : 1;
    };
    const double cosine = std::clamp(ab / norm(aa) / norm(bb), -1.0, 1.0);
    if (std::abs(cosine) > kParallel) {
      share_a_ = static_cast<float>(1 - merge_.t);
      share_b_ = static_cast<float>(merge_.t);
      return ok_status();
    }
    const double angle = std::acos(cosine);
    share_a_ = static_cast<float>(std::sin((1 - merge_.t) * angle) / std::sin(angle));
    share_b_ = static_cast<float>(std::sin(merge_.t * angle) / std::sin(angle));
    return ok_status();
  }

  Result<std::span<const float>> block(int64_t begin, size_t count) {
    LS_RETURN_IF_ERROR(read(begin, count));
    for (size_t i = 0; i < count; ++i) a_[i] = share_a_ * a_[i] + share_b_ * b_[i];
    return std::span<const float>(a_.data(), count);
  }

 private:
  Status read(int64_t begin, size_t count) {
    LS_RETURN_IF_ERROR(read_finite(merge_.base, begin, {a_.data(), count}));
    return read_finite(merge_.inputs[0].read, begin, {b_.data(), count});
  }

  const TensorMerge& merge_;
  std::vector<float> a_, b_;
  float share_a_ = 0, share_b_ = 0;
};

// Chooses the elements of one model's difference that are kept, and their common factor.
class Sparsifier {
 public:
  Sparsifier(const TensorMerge& merge, const TensorInput& input)
      : traits_(traits_of(merge.method)), density_(input.density) {
    if (density_ >= 1) return;
    if (traits_.trims && density_ > 0) {
      const double k = density_ * static_cast<double>(merge.elements);
      selection_.emplace(std::max<uint64_t>(1, static_cast<uint64_t>(k)));
    }
    if (traits_.drops_at_random) mask_.emplace(merge.seed, merge.name, input.model, density_);
  }

  bool keeps_all() const { return density_ >= 1 || (!traits_.trims && !traits_.drops_at_random); }
  MagnitudeSelection* selection() { return selection_ ? &*selection_ : nullptr; }
  void set_factor(float factor) { factor_ = factor; }
  void restart() {
    if (selection_) selection_->restart();
  }

  // Sets the dropped elements to 0. To be called for all blocks in order.
  void apply(int64_t begin, std::span<float> delta) {
    if (keeps_all()) return;
    for (size_t i = 0; i < delta.size(); ++i)
      delta[i] = keeps(begin + static_cast<int64_t>(i), delta[i]) ? delta[i] * factor_ : 0.0f;
  }

 private:
  bool keeps(int64_t index, float value) {
    if (selection_) return selection_->keeps(value);
    return mask_ && mask_->keeps(static_cast<uint64_t>(index));
  }

  const MethodTraits& traits_;
  double density_;
  float factor_ = 1;
  std::optional<MagnitudeSelection> selection_;
  std::optional<RandomMask> mask_;
};

// base + lambda * (sum of weighted, sparsified differences) / divisor
class DifferenceMerge {
 public:
  explicit DifferenceMerge(const TensorMerge& merge)
      : merge_(merge), traits_(traits_of(merge.method)), base_(kBlock), sum_(kBlock) {
    for (const TensorInput& input : merge.inputs) {
      sparsifiers_.emplace_back(merge, input);
      deltas_.emplace_back(kBlock);
    }
  }

  // Finds the threshold and the factor of every model.
  Status prepare() {
    for (size_t m = 0; m < sparsifiers_.size(); ++m) {
      Sparsifier& sparsifier = sparsifiers_[m];
      if (sparsifier.keeps_all()) continue;
      MagnitudeSelection* selection = sparsifier.selection();
      for (int pass = 0; selection != nullptr && pass < MagnitudeSelection::kPasses; ++pass) {
        LS_RETURN_IF_ERROR(
            for_each_delta(m, [&](int64_t, std::span<float> delta) { selection->count(delta); }));
        selection->finish_pass();
      }
      if (merge_.rescale) LS_RETURN_IF_ERROR(find_factor(m));
    }
    return ok_status();
  }

  Result<std::span<const float>> block(int64_t begin, size_t count) {
    LS_RETURN_IF_ERROR(read_finite(merge_.base, begin, {base_.data(), count}));
    for (size_t m = 0; m < deltas_.size(); ++m) {
      const std::span<float> delta(deltas_[m].data(), count);
      LS_RETURN_IF_ERROR(read_delta(m, begin, delta));
      sparsifiers_[m].apply(begin, delta);
      const auto weight = static_cast<float>(merge_.inputs[m].weight);
      for (float& value : delta) value *= weight;
    }
    traits_.elects_signs ? add_elected(count) : add_all(count);
    const auto lambda = static_cast<float>(merge_.lambda);
    for (size_t i = 0; i < count; ++i) sum_[i] = base_[i] + lambda * sum_[i];
    return std::span<const float>(sum_.data(), count);
  }

 private:
  // delta = model - base; base_ holds the base's block.
  Status read_delta(size_t m, int64_t begin, std::span<float> delta) {
    LS_RETURN_IF_ERROR(read_finite(merge_.inputs[m].read, begin, delta));
    for (size_t i = 0; i < delta.size(); ++i) delta[i] -= base_[i];
    return ok_status();
  }

  Status for_each_delta(size_t m, const std::function<void(int64_t, std::span<float>)>& body) {
    return for_each_block(merge_.elements, [&](int64_t begin, size_t count) -> Status {
      const std::span<float> delta(deltas_[m].data(), count);
      LS_RETURN_IF_ERROR(read_finite(merge_.base, begin, {base_.data(), count}));
      LS_RETURN_IF_ERROR(read_delta(m, begin, delta));
      body(begin, delta);
      return ok_status();
    });
  }

  // The kept differences get the sum of magnitudes of all.
  Status find_factor(size_t m) {
    double before = 0, after = 0;
    LS_RETURN_IF_ERROR(for_each_delta(m, [&](int64_t begin, std::span<float> delta) {
      for (const float value : delta) before += std::abs(value);
      sparsifiers_[m].apply(begin, delta);
      for (const float value : delta) after += std::abs(value);
    }));
    sparsifiers_[m].restart();
    if (before >= kSmallestSum && after >= kSmallestSum)
      sparsifiers_[m].set_factor(static_cast<float>(before / after));
    return ok_status();
  }

  void add_all(size_t count) {
    std::fill_n(sum_.begin(), count, 0.0f);
    float divisor = 0;
    for (size_t m = 0; m < deltas_.size(); ++m) {
      divisor += static_cast<float>(merge_.inputs[m].weight);
      for (size_t i = 0; i < count; ++i) sum_[i] += deltas_[m][i];
    }
    if (!merge_.normalize || std::abs(divisor) < 1e-8f) return;
    for (size_t i = 0; i < count; ++i) sum_[i] /= divisor;
  }

  // Adds the differences that have the sign of the sum of all, positive if that is 0 (Yadav et al.,
  // 2306.01708). Zeros have no sign, so their weights do not count in the divisor either.
  void add_elected(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      float all = 0;
      for (const auto& delta : deltas_) all += delta[i];
      float sum = 0, divisor = 0;
      for (size_t m = 0; m < deltas_.size(); ++m) {
        const float value = deltas_[m][i];
        if (all >= 0 ? value <= 0 : value >= 0) continue;
        sum += value;
        divisor += static_cast<float>(merge_.inputs[m].weight);
      }
      sum_[i] = merge_.normalize && divisor != 0 ? sum / divisor : sum;
    }
  }

  const TensorMerge& merge_;
  const MethodTraits& traits_;
  std::vector<Sparsifier> sparsifiers_;
  std::vector<float> base_, sum_;
  std::vector<std::vector<float>> deltas_;
};

template <typename Merge>
Status run(const TensorMerge& merge, const std::function<Status(std::span<const float>)>& write) {
  Merge arithmetic(merge);
  LS_RETURN_IF_ERROR(arithmetic.prepare());
  return for_each_block(merge.elements, [&](int64_t begin, size_t count) -> Status {
    LS_ASSIGN_OR_RETURN(const std::span<const float> values, arithmetic.block(begin, count));
    return write(values);
  });
}

}  // namespace

int64_t merge_block_values(size_t inputs) {
  return kBlock * (static_cast<int64_t>(inputs) + 2);
}

Status merge_tensor(const TensorMerge& merge,
                    const std::function<Status(std::span<const float>)>& write) {
  Status status;
  if (merge.method == MergeMethod::linear) {
    status = run<LinearMerge>(merge, write);
  } else if (merge.method == MergeMethod::slerp) {
    status = run<SlerpMerge>(merge, write);
  } else {
    status = run<DifferenceMerge>(merge, write);
  }
  if (status.code() == StatusCode::invalid_argument)
    return status.with_context(fmt::format("tensor '{}'", merge.name));
  return status;
}

}  // namespace longshot::model
