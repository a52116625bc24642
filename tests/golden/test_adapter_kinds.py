"""Every setting of peft's LoraConfig that changes the model is merged to the same log-probabilities, or refused by name."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from test_adapter import SHAPE, difference, rows

BASES = {"llama": (LlamaForCausalLM, LlamaConfig, {}), "llama_tied": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=True)),
         "qwen2": (Qwen2ForCausalLM, Qwen2Config, {})}

KINDS = {
    "ranks_and_alphas": ("llama", dict(target_modules=["q_proj", "v_proj", "down_proj"], alpha_pattern={"v_proj": 5},
                                       rank_pattern={"q_proj": 2, r"layers\.[12]\.self_attn\.v_proj": 3})),
    "rslora_ranks": ("llama", dict(target_modules="all-linear", use_rslora=True, rank_pattern={"mlp.*": 9})),
    "one_layer": ("llama", dict(target_modules=["q_proj", "up_proj"], layers_to_transform=[1])),
    "layers_pattern": ("llama", dict(target_modules=["q_proj"], layers_to_transform=[0, 2], layers_pattern="layers")),
    "regular_expression": ("llama", dict(target_modules=r".*layers\.(0|2)\.(self_attn\.(q|k)_proj|mlp\.down_proj)")),
    "excluded": ("llama", dict(target_modules="all-linear", exclude_modules=r".*\.1\..*")),
    "excluded_names": ("llama", dict(target_modules=["q_proj", "o_proj"], exclude_modules=["layers.0.self_attn.q_proj"])),
    "dora": ("llama", dict(target_modules="all-linear", use_dora=True)),
    "dora_biased": ("qwen2", dict(target_modules=["q_proj", "up_proj"], use_dora=True, use_rslora=True)),
    "dora_embedding": ("llama", dict(target_modules=["q_proj", "embed_tokens"], use_dora=True)),
    "saved_head": ("llama", dict(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "saved_head_tied": ("llama_tied", dict(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "saved_embedding_tied": ("llama_tied", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "saved_embedding_kept_tied": ("llama_tied", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens"],
                                                     ensure_weight_tying=True)),
    "saved_both_tied": ("llama_tied", dict(target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"])),
    "saved_norms": ("llama", dict(target_modules=["q_proj"], modules_to_save=["input_layernorm", "norm"])),
    "saved_projection": ("qwen2", dict(target_modules=["v_proj"], modules_to_save=["k_proj"])),
    "embedding_and_head": ("llama", dict(target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "embedding_tied": ("llama_tied", dict(target_modules=["q_proj", "embed_tokens"])),
    "embedding_kept_tied": ("llama_tied", dict(target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True)),
    "head_tied": ("llama_tied", dict(target_modules=["q_proj", "lm_head"])),
    "all_biases": ("qwen2", dict(target_modules=["q_proj"], bias="all")),
    "own_biases": ("qwen2", dict(target_modules=["q_proj", "down_proj"], bias="lora_only")),
    "bias_of_b": ("qwen2", dict(target_modules=["q_proj", "k_proj"], lora_bias=True)),
    "tokens": ("llama", dict(target_modules=["q_proj"], trainable_token_indices=[3, 90])),
    "tokens_tied": ("llama_tied", dict(target_modules=["q_proj"], trainable_token_indices=[3, 90])),
    "tokens_of_both": ("llama", dict(target_modules=["q_proj"],
                                     trainable_token_indices={"embed_tokens": [3, 5], "lm_head": [7]})),
    "fan_in_fan_out": ("llama", dict(target_modules=["q_proj"], fan_in_fan_out=True)),
    "gaussian": ("llama", dict(target_modules=["q_proj"], init_lora_weights="gaussian")),
    "orthogonal": ("llama", dict(target_modules=["q_proj"], init_lora_weights="orthogonal", r=4)),
    "eva": ("llama", dict(target_modules=["q_proj"], init_lora_weights="eva")),
    "mica": ("llama", dict(target_modules=["q_proj"], init_lora_weights="mica")),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    for kind, (model_class, config_class, changes) in BASES.items():
        torch.manual_seed(3)
        model = model_class(config_class(**SHAPE, **changes))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.15)
        model.float().eval().save_pretrained(root / kind)
    return root


def load_base(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


def write_adapter(base, directory, settings):
    """Writes an adapter in which every tensor differs from its initial value, as after training."""
    settings = {"r": 5, "lora_alpha": 11, "init_lora_weights": False, "task_type": "CAUSAL_LM", **settings}
    model = get_peft_model(load_base(base), LoraConfig(**settings))
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad or "lora_B" in name or "lora_A" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    model.save_pretrained(directory)


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_probabilities_are_those_of_peft(kind, bases, tmp_path, longshot, capsys):
    base_kind, settings = KINDS[kind]
    base = bases / base_kind
    write_adapter(base, tmp_path / "adapter", settings)
    sequences = rows(tmp_path / "rows.jsonl")
    model = PeftModel.from_pretrained(load_base(base), tmp_path / "adapter").eval()
    direct = difference(longshot, tmp_path / "adapter", tmp_path / "rows.jsonl", model, sequences)
    longshot("convert", "--model", base, "--adapter", tmp_path / "adapter", "--output", tmp_path / "merged")
    merged = difference(longshot, tmp_path / "merged", tmp_path / "rows.jsonl", model, sequences)
    plain = load_base(tmp_path / "merged").eval()
    theirs = difference(longshot, tmp_path / "merged", tmp_path / "rows.jsonl", plain, sequences)
    without = difference(longshot, base, tmp_path / "rows.jsonl", model, sequences)
    with capsys.disabled():
        print(f"\n{kind}: adapter directory {direct:.2e}, merged {merged:.2e}, merged in transformers {theirs:.2e}, "
              f"without it {without:.2e}")
    # An adapter on both sides of a tied matrix gives logits of hundreds, which f32 represents to 1e-5.
    with torch.no_grad():
        largest_logit = max(model(torch.tensor([row])).logits.abs().max().item() for row in sequences)
    assert max(direct, merged, theirs) < max(1e-4, 1e-6 * largest_logit)
    assert without > 1e-2


def edit(directory, **changes):
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora", "OLORA", "corda", "loftq", "lora_ga", "something_new"])
def test_starts_that_change_the_base_are_refused_by_name(start, bases, tmp_path, longshot):
    settings = dict(target_modules=["q_proj"])
    if start in ("pissa", "pissa_niter_4", "olora"):  # these initializations need no data
        settings["init_lora_weights"] = start
    write_adapter(bases / "llama", tmp_path / "adapter", settings)
    edit(tmp_path / "adapter", init_lora_weights=start)
    rows(tmp_path / "rows.jsonl")
    for command in (["logprobs", "--model", tmp_path / "adapter", "--input", tmp_path / "rows.jsonl"],
                    ["convert", "--model", bases / "llama", "--adapter", tmp_path / "adapter", "--output", tmp_path / "out"]):
        done = longshot(*command, check=False)
        assert done.returncode == 2 and "init_lora_weights" in done.stderr and start in done.stderr
    assert not (tmp_path / "out").exists()


def test_pissa_saved_as_plain_lora_is_read(bases, tmp_path, longshot, capsys):
    """peft's own conversion: the difference to the start becomes a plain adapter of twice the rank."""
    model = get_peft_model(load_base(bases / "llama"), LoraConfig(r=4, target_modules="all-linear", init_lora_weights="pissa",
                                                                  task_type="CAUSAL_LM"))
    model.peft_config["default"].init_lora_weights = True
    model.save_pretrained(tmp_path / "start")
    model.peft_config["default"].init_lora_weights = "pissa"
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.2)
    model.save_pretrained(tmp_path / "adapter", path_initial_model_for_weight_conversion=str(tmp_path / "start"))
    sequences = rows(tmp_path / "rows.jsonl")
    ours = difference(longshot, tmp_path / "adapter", tmp_path / "rows.jsonl", model.eval(), sequences)
    with capsys.disabled():
        print(f"\npissa saved as plain LoRA: {ours:.2e}")
    assert ours < 1e-4


@pytest.mark.parametrize("key, value", [
    ("layer_replication", [[0, 2], [1, 3]]), ("use_qalora", True), ("alora_invocation_tokens", [5, 6]),
    ("target_parameters", ["mlp.experts"]), ("use_bdlora", {"nblocks": 2}), ("kasa_config", {"beta": 0.1}),
    ("arrow_config", {"top_k": 3}), ("velora_config", {"scale": 1.0}), ("monteclora_config", {"buffer_size": 3}),
    ("a_setting_of_tomorrow", "x"), ("target_modules", ["k_proj"]), ("layers_to_transform", [0]),
    ("exclude_modules", ["layers.1.self_attn.q_proj"]), ("use_dora", True), ("peft_type", "IA3"), ("r", 6)])
def test_settings_that_do_not_fit_are_refused_by_name(key, value, bases, tmp_path, longshot):
    write_adapter(bases / "llama", tmp_path / "adapter", dict(target_modules=["q_proj"]))
    edit(tmp_path / "adapter", **{key: value})
    rows(tmp_path / "rows.jsonl")
    done = longshot("logprobs", "--model", tmp_path / "adapter", "--input", tmp_path / "rows.jsonl", check=False)
    assert done.returncode == 2 and done.stdout == ""
    names = {"layers_to_transform": "target_modules", "exclude_modules": "target_modules", "use_dora": "magnitude",
             "r": "adapter_config.json"}
    assert names.get(key, key) in done.stderr, done.stderr


def test_a_pickle_and_tensors_of_other_modules_are_refused_by_name(bases, tmp_path, longshot):
    write_adapter(bases / "llama", tmp_path / "adapter", dict(target_modules=["q_proj"]))
    rows(tmp_path / "rows.jsonl")
    command = ["logprobs", "--model", tmp_path / "adapter", "--input", tmp_path / "rows.jsonl"]
    path = tmp_path / "adapter/adapter_model.safetensors"
    tensors = load_file(path)
    for name in ("base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight", "base_model.model.visual.weight", "x"):
        save_file({**tensors, name: torch.zeros(5, 48)}, path)
        done = longshot(*command, check=False)
        assert done.returncode == 2 and name.removesuffix(".lora_A.weight").removesuffix(".weight") in done.stderr
    path.rename(tmp_path / "adapter/adapter_model.bin")
    done = longshot(*command, check=False)
    assert done.returncode == 2 and "adapter_model.bin" in done.stderr and "safe_serialization" in done.stderr
