"""Writes a random Qwen3-MoE of 85 million parameters, of which 19 million serve a token, for bench/side_by_side.

  .venv/bin/python bench/experts_model.py FOLDER
  bench/side_by_side trainer --model FOLDER
  bench/side_by_side rollout --model FOLDER --peers transformers
"""
import sys

import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

torch.manual_seed(0)
model = Qwen3MoeForCausalLM(Qwen3MoeConfig(
    vocab_size=8192, hidden_size=512, moe_intermediate_size=192, num_hidden_layers=8, num_experts=32, num_experts_per_tok=4,
    norm_topk_prob=True, num_attention_heads=8, num_key_value_heads=2, head_dim=64, max_position_embeddings=4096,
    tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0))
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if name.endswith("mlp.gate.weight"):
            parameter.normal_(0, 0.1)  # probabilities that differ as those of a trained router
model.save_pretrained(sys.argv[1])
