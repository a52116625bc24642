#pragma once
// The frequencies of the rotary embedding (RoFormer, Su et al., 2104.09864) and the ways in which
// checkpoints stretch them to longer contexts, computed as in Hugging Face transformers'
// modeling_rope_utils.py. Torch-free.

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::model {

struct ModelConfig;

struct RopeScaling {
  enum class Type {
    linear,    // all frequencies divided by `factor`
    dynamic,   // a larger theta for sequences longer than max_position_embeddings: "dynamic NTK"
    yarn,      // low frequencies divided, high ones kept, a ramp between them (2309.00071)
    longrope,  // a divisor for each frequency, another list beyond the original length (2402.13753)
    llama3,    // low frequencies divided, high ones kept, by wavelength (Llama 3.1)
  };
  Type type = Type::linear;
  double factor = 1;
  int original_max_position_embeddings = 0;          // yarn, longrope, llama3
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  bool truncate = true;                              // yarn: the ramp ends at whole dimensions
  std::optional<double> attention_factor;            // yarn, longrope; none: from the factor
  // yarn: the default of attention_factor is computed from them; 0: not given
  double mscale = 0, mscale_all_dim = 0;
  std::vector<double> short_factor, long_factor;  // longrope, [rotary width / 2]

  static RopeScaling llama3(double factor, double low_freq_factor, double high_freq_factor,
                            int original_max_position_embeddings);
};

struct Rope {
  std::vector<float>
      inverse_frequencies;     // [rotary width / 2], computed in double and rounded once
  float attention_factor = 1;  // multiplies the cosines and sines
};
// The rotary embedding of a sequence of `length` tokens.
Rope rope_of(const ModelConfig& config, int length);
// That of layers with a window, in a model where these have a theta of their own.
Rope local_rope_of(const ModelConfig& config);
// Sequences up to this length share one rotary embedding. Beyond it (dynamic, longrope), the
// embedding of every token depends on the sequence's final length, so that no KV cache of a growing
// sequence is exact.
int rope_steady_length(const ModelConfig& config);
// The number of tokens of the longest sequence that the model is made for: max_position_embeddings,
// multiplied by the factor of a linear scaling, or yarn's factor times the original length if that
// is longer. At most the steady length.
int context_length(const ModelConfig& config);
// Error, which names the scaling: `length` is more than rope_steady_length().
Status check_rope_length(const ModelConfig& config, int length);

// Reads rope_theta and rope_scaling of config.json in every layout that transformers reads: version
// 4's keys, version 5's rope_parameters, and settings by layer type if they agree or if the model
// type has two thetas.
Status read_rope(const Json& object, const std::string& where, ModelConfig& config);
// Writes the members of config.json for both versions.
void write_rope(const ModelConfig& config, Json& json);

}  // namespace longshot::model
