#include "loop/run_folder/new_model.h"

#include <utility>

#include "base/os/fs.h"

namespace longshot::loop {
namespace {

model::ModelConfig config_of(const config::ModelOptions& m, const tokenizer::Tokenizer& tokenizer) {
  model::ModelConfig c;
  c.vocab_size = tokenizer.vocab_size();
  c.hidden_size = m.hidden_size;
  c.num_layers = m.num_layers;
  c.num_heads = m.num_heads;
  c.num_kv_heads = m.num_kv_heads;
  c.intermediate_size = m.intermediate_size;
  c.head_dim = m.hidden_size / m.num_heads;
  c.max_position_embeddings = m.max_positions;
  return c;
}

}  // namespace

Result<LoadedModel> new_model(const config::OfflineConfig& config, bool score_head) {
  const config::ModelOptions& m = config.model;
  LS_ASSIGN_OR_RETURN(std::string alphabet, read_file(m.alphabet_file));
  while (!alphabet.empty() && alphabet.back() == '\n') alphabet.pop_back();
  LS_ASSIGN_OR_RETURN(auto tokenizer, tokenizer::make_character_tokenizer(alphabet));
  model::ModelConfig c = config_of(m, *tokenizer);
  if (m.hidden_size % m.num_heads != 0 || c.head_dim % 2 != 0 ||
      m.num_heads % m.num_kv_heads != 0) {
    return invalid_argument(
        "model.hidden_size must be an even multiple of model.num_heads, and num_heads a multiple "
        "of num_kv_heads");
  }
  const auto eos = tokenizer->token_to_id("<eos>");
  LS_CHECK(eos.has_value(), "the character tokenizer has <eos>");
  c.eos_token_ids = {*eos};
  c.score_head = score_head;
  if (score_head) c.pad_token_id = tokenizer->token_to_id("<pad>");
  LS_ASSIGN_OR_RETURN(auto plain, tokenizer::ChatTemplate::of_family("plain"));
  model::Weights weights =
      model::Weights::random(c, static_cast<uint64_t>(config.trainer.seed), config.machine.device);
  LS_RETURN_IF_ERROR(choose_what_learns(m, "", config.trainer.seed, weights));
  return LoadedModel{std::move(weights), std::move(tokenizer), std::move(plain)};
}

}  // namespace longshot::loop
