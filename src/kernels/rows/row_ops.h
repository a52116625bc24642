#pragma once
// The operations of a transformer on one row, other than products. Rows are padded with zeros to a
// multiple of 16 floats, and a sum over a row goes through 16 fixed partial sums, so results do not
// depend on the vector width. All functions are thread-safe on disjoint outputs.

namespace longshot::kernels {

// out = x / sqrt(mean(x^2) + eps) * weight. Length n; all three arrays readable to the padded
// length.
void rms_norm(const float* x, const float* weight, int n, float eps, float* out);

// act = f(gate) * up over `n` floats, n a multiple of 16. f(g) is g * sigmoid(g) (silu), or
// 0.5 g (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3))) (gelu_tanh).
enum class Gate { silu, gelu_tanh };
void gate_mul(Gate kind, const float* gate, const float* up, int n, float* act);
// The same for [panels][gates 16, ups 16] -> [panels][16].
void gate_mul_panels(Gate kind, const float* gate_up, int panels, float* act);

// x = cap * tanh(x * scale / cap) over n floats, which need no padding.
void soft_cap(float* x, int n, float scale, float cap);

// Rotates one head in place. As in Hugging Face, element i is paired with element i + head_dim / 2.
// cos_sin: [head_dim / 2] cosines, then [head_dim / 2] sines.
void rope(float* head, const float* cos_sin, int head_dim);
// The same with element 2 i paired with 2 i + 1.
void rope_pairs(float* head, const float* cos_sin, int head_dim);

// Gradients of rms_norm and gate_mul. Adds to dx and dweight. Writes dgate and dup, and overwrites
// the gradient in `dact_to_act` with the recomputed activation.
void rms_norm_backward(const float* x, const float* weight, const float* dout, int n, float eps,
                       float* dx, float* dweight);
void gate_mul_backward(Gate kind, const float* gate, const float* up, int n, float* dact_to_act,
                       float* dgate, float* dup);

}  // namespace longshot::kernels
