"""Model types other than Llama's own family compared with transformers: log-probabilities and gradients of training, samples over
the KV cache, checkpoints that transformers reads back, and what is refused."""

import json
import math

import gguf
import numpy as np
import pytest
import torch
from transformers import (AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, Glm4Config,
                          Glm4ForCausalLM, GraniteConfig, GraniteForCausalLM, MixtralConfig, MixtralForCausalLM, Olmo2Config,
                          Olmo2ForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM, SmolLM3Config,
                          SmolLM3ForCausalLM)

from characters import write_character_tokenizer
from test_long_context import difference, random_model
from test_model import TINY, gradient_difference, random_rows, reference_logprobs, write_rows
from test_model_files import assert_same_tensors, is_rotary, permute, tensors_of

OLMO2, GRANITE, SMOLLM3, PHI3, GLM4, GEMMA2, GEMMA3, QWEN3_MOE, MIXTRAL = (
    (Olmo2ForCausalLM, Olmo2Config), (GraniteForCausalLM, GraniteConfig), (SmolLM3ForCausalLM, SmolLM3Config),
    (Phi3ForCausalLM, Phi3Config), (Glm4ForCausalLM, Glm4Config), (Gemma2ForCausalLM, Gemma2Config),
    (Gemma3ForCausalLM, Gemma3TextConfig), (Qwen3MoeForCausalLM, Qwen3MoeConfig), (MixtralForCausalLM, MixtralConfig))
EXPERTS = dict(num_experts=7, num_experts_per_tok=3, moe_intermediate_size=20)
MULTIPLIERS = dict(embedding_multiplier=6.0, attention_multiplier=0.125, residual_multiplier=0.35, logits_scaling=4.0)
LONGROPE = dict(rope_type="longrope", rope_theta=500.0, short_factor=[1.0 + 0.1 * i for i in range(4)],
                long_factor=[1.0 + 0.7 * i for i in range(4)])

MODELS = {
    "olmo2": (OLMO2, dict()),
    "olmo2_bias_tied": (OLMO2, dict(attention_bias=True, tie_word_embeddings=True, num_key_value_heads=4)),
    "granite": (GRANITE, MULTIPLIERS),
    "granite_bias_tied": (GRANITE, dict(MULTIPLIERS, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "smollm3": (SMOLLM3, dict(no_rope_layer_interval=2, tie_word_embeddings=True)),
    "smollm3_window": (SMOLLM3, dict(no_rope_layers=[0, 1, 0], use_sliding_window=True, sliding_window=9, mlp_bias=True,
                                     tie_word_embeddings=False)),
    "phi3": (PHI3, dict()),
    "phi3_window": (PHI3, dict(sliding_window=11, intermediate_size=72)),
    "phi3_longrope": (PHI3, dict(max_position_embeddings=256, original_max_position_embeddings=64,
                                 rope_parameters=dict(LONGROPE, partial_rotary_factor=0.67), tie_word_embeddings=True)),
    "glm4": (GLM4, dict(head_dim=16)),
    "glm4_whole_rope": (GLM4, dict(head_dim=20, attention_bias=False, partial_rotary_factor=1.0, num_hidden_layers=2)),
    "gemma2": (GEMMA2, dict(head_dim=16, sliding_window=9, query_pre_attn_scalar=20)),
    "gemma2_low_caps": (GEMMA2, dict(head_dim=16, sliding_window=9, query_pre_attn_scalar=3, attn_logit_softcapping=1.5,
                                     final_logit_softcapping=2.0, attention_bias=True)),
    "gemma2_no_caps": (GEMMA2, dict(head_dim=16, attn_logit_softcapping=None, final_logit_softcapping=None,
                                    layer_types=["full_attention"] * 3)),
    "gemma3": (GEMMA3, dict(head_dim=16, sliding_window=9, sliding_window_pattern=3, query_pre_attn_scalar=20)),
    "gemma3_scaled": (GEMMA3, dict(head_dim=16, sliding_window=9, final_logit_softcapping=5.0, layer_types=[
        "sliding_attention", "full_attention", "full_attention"], rope_parameters={
            "full_attention": dict(rope_type="linear", factor=4.0, rope_theta=900.0),
            "sliding_attention": dict(rope_type="default", rope_theta=50.0)})),
}
MODELS |= {
    "qwen3_moe": (QWEN3_MOE, dict(EXPERTS, norm_topk_prob=True, head_dim=16)),
    "qwen3_moe_dense_layer": (QWEN3_MOE, dict(EXPERTS, head_dim=16, attention_bias=True, mlp_only_layers=[1],
                                              tie_word_embeddings=True)),
    "qwen3_moe_sparse_step": (QWEN3_MOE, dict(EXPERTS, decoder_sparse_step=2, use_sliding_window=True, sliding_window=9)),
    "mixtral": (MIXTRAL, dict(num_local_experts=5, num_experts_per_tok=2)),
    "mixtral_window": (MIXTRAL, dict(num_local_experts=3, num_experts_per_tok=3, sliding_window=9, tie_word_embeddings=True)),
}
LENGTHS = (100, 3, 41, 1, 64, 65, 200, 32)


@pytest.fixture
def tiny_rows(tmp_path):
    rows = random_rows(TINY["vocab_size"], LENGTHS)
    return rows, write_rows(tmp_path / "rows.jsonl", rows)


@pytest.mark.parametrize("name", MODELS)
def test_training_and_files_equal_transformers(name, tiny_rows, tmp_path, longshot, longshot_bin, capsys):
    rows, rows_path = tiny_rows
    model = random_model(MODELS[name])
    model.save_pretrained(tmp_path / "model")
    value = difference(longshot, tmp_path / "model", rows_path, rows, model)
    longshot("convert", "--model", tmp_path / "model", "--output", tmp_path / "again")
    assert_same_tensors(tensors_of(tmp_path / "again"), tensors_of(tmp_path / "model"))
    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path / "again", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and type(loaded) is type(model)
    with torch.no_grad():
        tokens = torch.tensor([rows[0]])
        assert torch.equal(loaded.eval()(tokens).logits, model(tokens).logits)
    some = rows[:3]
    gradient, worst = gradient_difference(longshot_bin, tmp_path, tmp_path / "again", write_rows(tmp_path / "some.jsonl", some), some,
                                          model)
    with capsys.disabled():
        print(f"\n{name}: log-probability {value:.2e}, gradient {gradient:.2e} relative ({worst})")
    assert value < 1e-4
    assert gradient < 1e-4


@pytest.mark.parametrize("name", ["olmo2", "granite", "smollm3_window", "phi3_window", "glm4", "gemma2_low_caps", "gemma3_scaled",
                                  "qwen3_moe_dense_layer", "mixtral"])
def test_samples_over_the_cache_carry_transformers_log_probabilities(name, tmp_path, longshot, capsys):
    model = random_model(MODELS[name])
    model.save_pretrained(tmp_path / "model")
    write_character_tokenizer(tmp_path / "model")
    rows = "".join(json.dumps({"prompt": p}) + "\n" for p in ("abc", "the_quick_brown_fox", "x"))
    done = longshot("generate", "--model", tmp_path / "model", "--raw", "--max-tokens", 40, "--n", 2, "--temperature", 1, "--seed", 3,
                    "--threads", 2, "--input", "-", input=rows)
    encoded = longshot("tokenize", "--model", tmp_path / "model", input=rows.replace('"prompt"', '"text"')).stdout.splitlines()
    worst, longest = 0.0, 0
    for line, prompt in zip(done.stdout.splitlines(), encoded, strict=True):
        for completion in json.loads(line)["completions"]:
            whole = json.loads(prompt)["tokens"] + completion["tokens"]
            with torch.no_grad():
                expected = reference_logprobs(model, whole)[-len(completion["tokens"]):]
            worst = max(worst, (torch.tensor(completion["logprobs"]) - expected).abs().max().item())
            longest = max(longest, len(whole))
    with capsys.disabled():
        print(f"\n{name}: samples of up to {longest} tokens, largest difference {worst:.1e}")
    assert longest > 30
    assert worst < 1e-4


def old_layout(config):
    """transformers 4: the rope's settings at the top level."""
    rope = dict(config.pop("rope_parameters"))
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config.pop("layer_types", None)
    return config


def older_phi3(config):
    config = old_layout(config)
    config["rope_scaling"] = {"type": "su", **{k: config["rope_scaling"][k] for k in ("short_factor", "long_factor")}}
    return config


@pytest.mark.parametrize("name, layout", [("phi3_longrope", old_layout), ("phi3_longrope", older_phi3), ("glm4", old_layout),
                                          ("smollm3", old_layout), ("gemma2", old_layout)])
def test_older_layouts_of_the_configuration_are_read(name, layout, tiny_rows, tmp_path, longshot):
    rows, rows_path = tiny_rows
    model = random_model(MODELS[name])
    model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps(layout(json.loads(path.read_text()))))
    assert difference(longshot, tmp_path / "model", rows_path, rows, model) < 1e-4


def test_gemma3_of_transformers_4_is_read(tiny_rows, tmp_path, longshot):
    rows, rows_path = tiny_rows
    model = random_model(MODELS["gemma3"])
    model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    config = old_layout(json.loads(path.read_text()))
    path.write_text(json.dumps({**config, "sliding_window_pattern": 3}))
    assert difference(longshot, tmp_path / "model", rows_path, rows, model) < 1e-4


def write_expert_tensor(writer, name, array, split):
    """split: as in older files, in which each expert has tensors of its own."""
    block, parts = f"blk.{name.split('.')[2]}", {"ffn_down": array}
    if name.endswith("gate.weight"):
        return writer.add_tensor(f"{block}.ffn_gate_inp.weight", np.ascontiguousarray(array))
    if name.endswith("gate_up_proj"):
        parts = dict(zip(("ffn_gate", "ffn_up"), np.split(array, 2, axis=1)))
    for part, experts in parts.items():
        for e, expert in enumerate(experts if split else []):
            writer.add_tensor(f"{block}.{part}.{e}.weight", np.ascontiguousarray(expert))
        if not split:
            writer.add_tensor(f"{block}.{part}_exps.weight", np.ascontiguousarray(experts))


def write_gguf(path, model, split_experts=False):
    """As llama.cpp's convert_hf_to_gguf.py, with the names of its gguf package."""
    config = model.config
    kind = config.model_type
    kind_of_file = {"qwen3_moe": "qwen3moe", "mixtral": "llama", "gemma3_text": "gemma3"}.get(kind, kind)
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == kind_of_file)
    writer = gguf.GGUFWriter(path, kind_of_file)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    writer.add_rope_freq_base(rope["rope_theta"])
    if not kind.startswith("gemma"):
        writer.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 1.0)))
    elif rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    if getattr(config, "final_logit_softcapping", None):
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if "sliding_attention" in getattr(config, "layer_types", []) and kind.startswith("gemma"):
        writer.add_sliding_window(config.sliding_window)
    writer.add_eos_token_id(2)
    if kind == "granite":
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if hasattr(config, "num_experts_per_tok"):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if kind == "qwen3_moe":
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if kind == "phi3":
        writer.add_sliding_window(config.sliding_window or 0)
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
    if rope["rope_type"] == "longrope":
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(config.max_position_embeddings / config.original_max_position_embeddings)
                                                       / math.log(config.original_max_position_embeddings)))
        for length in ("long", "short"):
            writer.add_tensor(f"rope_factors_{length}.weight", np.array(rope[f"{length}_factor"], np.float32))
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for hf, weight in model.state_dict().items():
        if config.tie_word_embeddings and hf == "lm_head.weight":
            continue
        array = weight.numpy()
        if kind in ("granite", "smollm3", "mixtral") and is_rotary(hf):
            array = permute(array, config.num_attention_heads if ".q_proj." in hf else config.num_key_value_heads)
        if kind.startswith("gemma") and hf.endswith("norm.weight"):
            array = array + 1
        if ".experts." in hf or hf.endswith("mlp.gate.weight"):
            write_expert_tensor(writer, hf, array, split_experts)
            continue
        writer.add_tensor(names.get_name(hf, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


GGUF_MODELS = {**{n: MODELS[n] for n in ("olmo2_bias_tied", "granite_bias_tied", "phi3_window", "phi3_longrope", "glm4", "mixtral")},
               "qwen3_moe_gguf": (QWEN3_MOE, dict(EXPERTS, norm_topk_prob=True, head_dim=16)),
               "smollm3_gguf": (SMOLLM3, dict(num_hidden_layers=5, attention_bias=True, mlp_bias=True)),
               "gemma2_gguf": (GEMMA2, dict(head_dim=16, sliding_window=9, query_pre_attn_scalar=16, attn_logit_softcapping=1.5,
                                            final_logit_softcapping=2.0)),
               "gemma2_27b_gguf": (GEMMA2, dict(head_dim=16, sliding_window=9, num_hidden_layers=46, query_pre_attn_scalar=12)),
               "gemma3_gguf": (GEMMA3, dict(head_dim=16, sliding_window=9, num_hidden_layers=7, query_pre_attn_scalar=16,
                                            rope_parameters={"full_attention": dict(rope_type="linear", factor=4.0, rope_theta=900.0),
                                                             "sliding_attention": dict(rope_type="default", rope_theta=1e4)})),
               "gemma3_27b_gguf": (GEMMA3, dict(head_dim=16, sliding_window=9, num_hidden_layers=62, query_pre_attn_scalar=12)),
               "gemma3_no_window_gguf": (GEMMA3, dict(head_dim=16, query_pre_attn_scalar=16, layer_types=["full_attention"] * 3)),
               "phi3_partial": (PHI3, dict(rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.67)))}


@pytest.mark.parametrize("name", GGUF_MODELS)
def test_gguf_files_give_the_same_model(name, tiny_rows, tmp_path, longshot, monkeypatch):
    monkeypatch.setitem(MODELS, name, GGUF_MODELS[name])
    rows, rows_path = tiny_rows
    model = random_model(MODELS[name])
    write_gguf(tmp_path / "m.gguf", model)
    model.save_pretrained(tmp_path / "model")
    assert difference(longshot, tmp_path / "m.gguf", rows_path, rows, model) < 1e-4
    longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "again")
    read, written = tensors_of(tmp_path / "again"), tensors_of(tmp_path / "model")
    for norm in [n for n in written if name.startswith("gemma") and n.endswith("norm.weight")]:  # one more and one less is rounded
        assert (read[norm] - written[norm]).abs().max() < 1e-6
        read[norm] = written[norm]
    assert_same_tensors(read, written)


def test_older_gguf_files_have_a_tensor_for_each_expert(tmp_path, longshot):
    model = random_model(MODELS["mixtral"])
    write_gguf(tmp_path / "m.gguf", model, split_experts=True)
    model.save_pretrained(tmp_path / "model")
    longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "again")
    assert_same_tensors(tensors_of(tmp_path / "again"), tensors_of(tmp_path / "model"))


def test_a_gguf_file_of_another_architecture_is_refused_by_name(tmp_path, longshot):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "gemma3n")
    writer.add_tensor("token_embd.weight", np.zeros((8, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    done = longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "out", check=False)
    assert done.returncode == 2 and "general.architecture" in done.stderr and "gemma3n" in done.stderr, done.stderr


@pytest.mark.parametrize("name, changes, words", [
    ("olmo2", dict(hidden_act="gelu"), ["hidden_act", "gelu", "silu"]),
    ("granite", dict(num_local_experts=4), ["num_local_experts", "experts"]),
    ("granite", dict(model_type="granitemoe"), ["model_type", "granitemoe"]),
    ("granite", dict(residual_multiplier=0), ["residual_multiplier"]),
    ("smollm3", dict(no_rope_layers=[1, 0]), ["no_rope_layers", "3 layers"]),
    ("phi3", dict(rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=1e4)), ["rope_type", "linear", "longrope"]),
    ("phi3", dict(rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.3)), ["partial_rotary_factor", "0.3"]),
    ("phi3_longrope", dict(rope_parameters=dict(LONGROPE, partial_rotary_factor=1.0)), ["short_factor", "6"]),
    ("qwen3_moe", dict(num_experts_per_tok=8), ["num_experts_per_tok", "7 experts"]),
    ("qwen3_moe", dict(mlp_only_layers=[0, 1, 2]), ["mlp_only_layers", "none has experts"]),
    ("qwen3_moe", dict(mlp_only_layers="all"), ["mlp_only_layers", "all"]),
    ("mixtral", dict(num_local_experts=0), ["num_local_experts", "0"]),
    ("gemma2", dict(hidden_activation="gelu"), ["hidden_activation", "gelu_pytorch_tanh"]),
    ("gemma2", dict(use_bidirectional_attention=True), ["use_bidirectional_attention"]),
    ("gemma3", dict(attn_logit_softcapping=50.0), ["attn_logit_softcapping"]),
    ("gemma3", dict(model_type="gemma3"), ["gemma3", "gemma3_text"]),
    ("gemma3", dict(rope_parameters={"full_attention": dict(rope_type="default", rope_theta=1e6),
                                     "sliding_attention": dict(rope_type="linear", factor=2.0, rope_theta=1e4)}),
     ["sliding_attention", "rope_type"]),
])
def test_what_is_not_computed_is_refused_by_name(name, changes, words, tiny_rows, tmp_path, longshot):
    random_model(MODELS[name]).save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    done = longshot("logprobs", "--model", tmp_path / "model", "--input", tiny_rows[1], check=False)
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr
