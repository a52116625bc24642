#pragma once
// Builds valid and invalid GGUF files byte by byte, for tests.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "model/format/gguf/gguf.h"
#include "model/format/testing.h"

namespace longshot::model {

class GgufBuilder {
 public:
  template <typename T>
  static std::string raw(T value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static std::string text(const std::string& s) { return raw<uint64_t>(s.size()) + s; }

  GgufBuilder& value(const std::string& key, GgufType type, const std::string& bytes) {
    values_ += text(key) + raw(static_cast<uint32_t>(type)) + bytes;
    ++value_count_;
    return *this;
  }
  GgufBuilder& u32(const std::string& key, uint32_t v) { return value(key, GgufType::u32, raw(v)); }
  GgufBuilder& f32(const std::string& key, float v) { return value(key, GgufType::f32, raw(v)); }
  GgufBuilder& string(const std::string& key, const std::string& v) {
    return value(key, GgufType::string, text(v));
  }
  GgufBuilder& strings(const std::string& key, const std::vector<std::string>& items) {
    std::string bytes = raw(static_cast<uint32_t>(GgufType::string)) + raw<uint64_t>(items.size());
    for (const std::string& item : items) bytes += text(item);
    return value(key, GgufType::array, bytes);
  }

  // `extents` are in the file's order, the innermost first.
  GgufBuilder& tensor(const std::string& name, const std::vector<uint64_t>& extents, uint32_t type,
                      uint64_t offset) {
    tensors_ += text(name) + raw(static_cast<uint32_t>(extents.size()));
    for (uint64_t extent : extents) tensors_ += raw(extent);
    tensors_ += raw(type) + raw(offset);
    ++tensor_count_;
    return *this;
  }
  // Adds a tensor after all others. Its data begins at a multiple of 32.
  GgufBuilder& tensor_with_data(const std::string& name, const std::vector<uint64_t>& extents,
                                uint32_t type, const std::string& bytes) {
    tensor(name, extents, type, data_.size());
    data(bytes);
    data_.append((32 - data_.size() % 32) % 32, '\0');
    return *this;
  }
  GgufBuilder& data(const std::string& bytes) {
    data_ += bytes;
    return *this;
  }

  std::string bytes() const {
    std::string file =
        "GGUF" + raw<uint32_t>(3) + raw(tensor_count_) + raw(value_count_) + values_ + tensors_;
    file.append((32 - file.size() % 32) % 32, '\0');
    return file + data_;
  }

 private:
  uint64_t tensor_count_ = 0, value_count_ = 0;
  std::string values_, tensors_, data_;
};

// The metadata and the F32 tensors of a small model, llama's rows interleaved as llama.cpp does it.
inline GgufBuilder gguf_of(const ModelConfig& c, const std::vector<HostTensor>& weights) {
  const std::string a = c.model_type + ".";
  GgufBuilder b;
  b.string("general.architecture", c.model_type);
  b.u32(a + "embedding_length", c.hidden_size).u32(a + "feed_forward_length", c.intermediate_size);
  b.u32(a + "block_count", c.num_layers).u32(a + "attention.head_count", c.num_heads);
  b.u32(a + "attention.head_count_kv", c.num_kv_heads).u32(a + "attention.key_length", c.head_dim);
  b.u32(a + "context_length", c.max_position_embeddings);
  b.f32(a + "attention.layer_norm_rms_epsilon", static_cast<float>(c.rms_norm_eps));
  b.f32(a + "rope.freq_base", static_cast<float>(c.rope_theta));
  b.u32("tokenizer.ggml.eos_token_id", 2).u32("tokenizer.ggml.eot_token_id", 5);
  const std::vector<std::pair<std::string, std::string>> names = {
      {"model.layers.", "blk."},           {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},       {"lm_head", "output"},
      {"input_layernorm", "attn_norm"},    {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},      {"self_attn.o_proj", "attn_output"},
      {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
      {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  for (const HostTensor& t : weights) {
    std::string name = t.name;
    for (const auto& [hf, gguf] : names) {
      if (const size_t at = name.find(hf); at != std::string::npos)
        name.replace(at, hf.size(), gguf);
    }
    const bool rotary = c.model_type == "llama" && (t.name.find("q_proj.") != std::string::npos ||
                                                    t.name.find("k_proj.") != std::string::npos);
    const size_t rows = static_cast<size_t>(t.shape[0]),
                 row_bytes = t.data.size() / rows * sizeof(float);
    const size_t dim = static_cast<size_t>(c.head_dim);
    std::string bytes(rows * row_bytes, '\0');
    for (size_t row = 0; row < rows; ++row) {
      // Element (half, pair) of a head goes to (pair, half).
      const size_t in = row % dim,
                   out = rotary ? row - in + in % (dim / 2) * 2 + in / (dim / 2) : row;
      std::memcpy(&bytes[out * row_bytes],
                  reinterpret_cast<const char*>(t.data.data()) + row * row_bytes, row_bytes);
    }
    b.tensor_with_data(name, {t.shape.rbegin(), t.shape.rend()}, 0, bytes);
  }
  return b;
}

}  // namespace longshot::model
