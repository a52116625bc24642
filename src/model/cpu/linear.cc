#include "model/cpu/linear.h"

#include <utility>

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;
using kernels::Store;

namespace {

std::vector<kernels::DensePart> dense_parts(std::span<const LinearPart> parts) {
  std::vector<kernels::DensePart> out;
  for (const LinearPart& part : parts)
    out.push_back({part.w->weight, part.column, part.out, part.w->bias});
  return out;
}

void scale_rows(Rows values, int64_t rows, LowRank low_rank) {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = values.row(r);
    for (int i = 0; i < low_rank.rank; ++i) row[i] *= low_rank.scale;
  }
}

}  // namespace

void Linear::project(ConstRows x, int64_t rows, const LinearArrays<const float>& w, int in) {
  inner_.reset(rows, w.low_rank.rank);
  dense_.forward(x, rows, w.lora_a, w.low_rank.rank, in, nullptr, inner_.rows(), Store::set);
  scale_rows(inner_.rows(), rows, w.low_rank);
}

void Linear::forward(ConstRows x, int64_t rows, std::span<const LinearPart> parts, int in, Rows y,
                     Store store) {
  dense_.forward(x, rows, dense_parts(parts), in, y, store);
  for (const LinearPart& part : parts) {
    if (part.w->lora_a == nullptr) continue;
    project(x, rows, *part.w, in);
    dense_.forward(std::as_const(inner_).rows(), rows, part.w->lora_b, part.out,
                   part.w->low_rank.rank, nullptr, {y.data + part.column, y.stride}, Store::add);
  }
}

void Linear::project_back(ConstRows dy, int64_t rows, const LinearArrays<const float>& w, int out) {
  dinner_.reset(rows, w.low_rank.rank);
  dense_.input_gradient(dy, rows, w.lora_b, out, w.low_rank.rank, dinner_.rows(), Store::set);
  scale_rows(dinner_.rows(), rows, w.low_rank);
}

void Linear::input_gradient(ConstRows dy, int64_t rows, std::span<const LinearPart> parts, int in,
                            Rows dx) {
  dense_.input_gradient(dy, rows, dense_parts(parts), in, dx, Store::set);
  for (const LinearPart& part : parts) {
    if (part.w->lora_a == nullptr) continue;
    project_back({dy.data + part.column, dy.stride}, rows, *part.w, part.out);
    dense_.input_gradient(std::as_const(dinner_).rows(), rows, part.w->lora_a,
                          part.w->low_rank.rank, in, dx, Store::add);
  }
}

void Linear::weight_gradient(ConstRows dy, ConstRows x, int64_t rows,
                             std::span<const LinearPart> parts, int in) {
  std::vector<kernels::DenseGradient> weights;
  for (const LinearPart& part : parts) {
    const ConstRows own{dy.data + part.column, dy.stride};
    if (part.gradients->weight != nullptr)
      weights.push_back({part.gradients->weight, part.column, part.out});
    if (part.gradients->bias != nullptr)
      dense_.bias_gradient(own, rows, part.out, part.gradients->bias);
    if (part.w->lora_a != nullptr) adapter_gradient(own, x, rows, part, in);
  }
  dense_.weight_gradient(dy, x, rows, weights, in);
}

void Linear::adapter_gradient(ConstRows dy, ConstRows x, int64_t rows, const LinearPart& part,
                              int in) {
  const LinearArrays<float>& g = *part.gradients;
  if (g.lora_b != nullptr) {
    project(x, rows, *part.w, in);
    dense_.weight_gradient(dy, std::as_const(inner_).rows(), rows, part.out, part.w->low_rank.rank,
                           g.lora_b);
  }
  if (g.lora_a != nullptr) {
    project_back(dy, rows, *part.w, part.out);
    dense_.weight_gradient(std::as_const(dinner_).rows(), x, rows, part.w->low_rank.rank, in,
                           g.lora_a);
  }
}

}  // namespace longshot::model::cpu
