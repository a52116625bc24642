#pragma once
// The operations of a transformer on one row, other than products. Rows are padded with zeros to a
// multiple of 16 floats, and a sum over a row goes through 16 fixed partial sums, so results do not
// depend on the vector width. All functions are thread-safe on disjoint outputs.

namespace longshot::kernels {

// out = x / sqrt(mean(x^2) + eps) * weight. Length n; all three arrays readable to the padded
// length.
void rms_norm(const float* x, const float* weight, int n, float eps, float* out);

// act = gate / (1 + exp(-gate)) * up over `n` floats, n a multiple of 16.
void silu_mul(const float* gate, const float* up, int n, float* act);
// The same for [panels][gates 16, ups 16] -> [panels][16].
void silu_mul_panels(const float* gate_up, int panels, float* act);

// Rotates one head in place. As in Hugging Face, element i is paired with element i + head_dim / 2.
// cos_sin: [head_dim / 2] cosines, then [head_dim / 2] sines.
void rope(float* head, const float* cos_sin, int head_dim);

// Gradients of rms_norm and silu_mul. Adds to dx and dweight. Writes dgate and dup, and overwrites
// the gradient in `dact_to_act` with the recomputed activation.
void rms_norm_backward(const float* x, const float* weight, const float* dout, int n, float eps,
                       float* dx, float* dweight);
void silu_mul_backward(const float* gate, const float* up, int n, float* dact_to_act, float* dgate,
                       float* dup);

}  // namespace longshot::kernels
