"""A mixture of experts through the whole chain: supervised training, RL with exact resume, adapters, rounded rollouts."""
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import longshot, tiny_model, write_rl
from transformers import AutoModelForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    """Returns (a model with experts in its first layer and an MLP in its second, partly trained; the data; a reward)."""
    root = tmp_path_factory.mktemp("experts")
    plain, data = tiny_model(root, steps=1)
    torch.manual_seed(3)
    vocabulary = json.loads((plain / "config.json").read_text())["vocab_size"]
    model = Qwen3MoeForCausalLM(Qwen3MoeConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, moe_intermediate_size=24, num_hidden_layers=2, num_experts=6,
        num_experts_per_tok=2, norm_topk_prob=True, mlp_only_layers=[1], num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        max_position_embeddings=128))
    model.save_pretrained(root / "random")
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(plain / file, root / "random")
    (root / "sft.toml").write_text(f"""
[model]
path = "{root}/random"
[data]
train_files = ["{data}/sft.jsonl"]
max_length = 96
[sft]
batch_tokens = 2048
[optim]
lr = 1e-2
[trainer]
total_steps = 150
test_freq = 0
default_local_dir = "{root}/sft_experts"
""")
    longshot("sft", root / "sft.toml")
    reward = root / "reward.py"
    reward.write_text("def compute_score(data_source, solution_str, ground_truth, extra_info):\n"
                      "    return solution_str.count('1') % 2\n")
    losses = [json.loads(line)["train/loss"] for line in (root / "sft_experts/metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.6 * losses[0], (losses[0], losses[-1])
    return root / "sft_experts/huggingface", data, reward


def train(experts, folder, *overrides):
    """Runs RL; returns its metrics and the newest checkpoint's weights."""
    model, data, reward = experts
    config = folder.with_suffix(".toml")
    write_rl(config, model, data,
             {"data.train_batch_size": 4, "data.max_prompt_length": 16, "data.max_response_length": 16,
              "reward.functions": [{"type": "python", "path": reward}], "algorithm.mini_batches": 2, "optim.lr": 1e-3,
              "trainer.threads": 2, "trainer.total_iterations": 3, "trainer.save_freq": 1})
    longshot("train", config, *overrides)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    newest = folder / f"global_step_{(folder / 'latest_checkpointed_iteration.txt').read_text().strip()}"
    return [row for row in rows if row["step"] > 0], newest


def same(a, b):
    a, b = (load_file(path / "huggingface/model.safetensors") for path in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_rl_is_exact_for_any_threads_and_after_a_resume(experts, tmp_path, capsys):
    rows, straight = train(experts, tmp_path / "straight")
    gap = max(row["training/rollout_probs_diff_max"] for row in rows)
    with capsys.disabled():
        print(f"\nlargest gap between rollout and trainer: {gap:.1e}")
    assert gap < 1e-5
    assert all(row["actor/grad_norm"] > 0 for row in rows)
    _, one = train(experts, tmp_path / "one", "trainer.threads=1")
    train(experts, tmp_path / "parts", "trainer.total_iterations=1")
    _, parts = train(experts, tmp_path / "parts")
    assert same(one, straight) and same(parts, straight)
    before, after = (load_file(path / "model.safetensors") for path in (experts[0], straight / "huggingface"))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert "model.layers.0.mlp.gate.weight" in changed and any(".experts.5." in name for name in changed)


def test_the_result_is_a_model_of_transformers(experts, tmp_path):
    _, newest = train(experts, tmp_path / "run", "trainer.total_iterations=1")
    loaded, info = AutoModelForCausalLM.from_pretrained(newest / "huggingface", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    tokens = list(range(3, 13))
    row = tmp_path / "row.jsonl"
    row.write_text(json.dumps({"tokens": tokens}) + "\n")
    ours = json.loads(longshot("logprobs", "--model", newest / "huggingface", "--input", row).stdout)["logprobs"]
    with torch.no_grad():
        expected = torch.log_softmax(loaded.float()(torch.tensor([tokens])).logits[0], -1)
    expected = expected[:-1].gather(-1, torch.tensor(tokens[1:])[:, None])[:, 0]
    assert (torch.tensor(ours) - expected).abs().max() < 1e-5


def test_a_frozen_router_stays(experts, tmp_path):
    _, newest = train(experts, tmp_path / "run", "trainer.total_iterations=1", "model.freeze=['*.mlp.gate.*']")
    before, after = (load_file(path / "model.safetensors") for path in (experts[0], newest / "huggingface"))
    assert torch.equal(before["model.layers.0.mlp.gate.weight"], after["model.layers.0.mlp.gate.weight"])
    assert not torch.equal(before["model.layers.0.mlp.experts.0.up_proj.weight"],
                           after["model.layers.0.mlp.experts.0.up_proj.weight"])


def test_an_adapter_leaves_the_experts_alone(experts, tmp_path):
    rows, newest = train(experts, tmp_path / "run", "trainer.total_iterations=2", "model.lora_rank=2")
    assert rows[-1]["training/rollout_probs_diff_max"] < 1e-5
    names = load_file(next(newest.rglob("adapter_model.safetensors")))
    assert any("self_attn.q_proj" in name for name in names) and any("layers.1.mlp.up_proj" in name for name in names)
    assert not any("experts" in name or "layers.0.mlp" in name for name in names)
    model, _, _ = experts
    done = longshot("train", tmp_path / "run.toml", f"trainer.default_local_dir={tmp_path}/other", "model.lora_rank=2",
                    "model.lora_targets=['experts.0.up_proj']", code=2)
    assert "experts.0.up_proj" in done.stderr and "q_proj" in done.stderr


def test_an_adapter_of_peft_on_experts_is_merged_but_not_trained(experts, tmp_path):
    """As peft writes it for transformers 4, in which each expert is a module."""
    model, _, _ = experts
    module, torch_rng = "model.layers.0.mlp.experts.2.down_proj", torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 24, generator=torch_rng), torch.randn(32, 2, generator=torch_rng)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_file({f"base_model.model.{module}.lora_{name}.weight": matrix for name, matrix in (("A", a), ("B", b))},
              adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": r".*experts\.2\.down_proj",
        "base_model_name_or_path": str(model)}))
    longshot("convert", "--model", model, "--adapter", adapter, "--output", tmp_path / "merged")
    before, after = (load_file(path / "model.safetensors") for path in (model, tmp_path / "merged"))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [f"{module}.weight"]
    assert torch.allclose(after[changed[0]], before[changed[0]] + 2 * b @ a, atol=1e-6)
    train(experts, tmp_path / "run", "trainer.total_iterations=1")
    done = longshot("train", tmp_path / "run.toml", f"trainer.default_local_dir={tmp_path}/other", f"model.lora_adapter_path={adapter}",
                    code=2)
    assert module in done.stderr and "adapter" in done.stderr, done.stderr


@pytest.mark.parametrize("number_format", ["bfloat16", "int8"])
def test_rounded_rollouts_say_how_far_they_are(experts, tmp_path, number_format, capsys):
    rows, _ = train(experts, tmp_path / "run", "trainer.total_iterations=2", f"rollout.dtype={number_format}")
    gaps = [row["training/rollout_probs_diff_mean"] for row in rows]
    with capsys.disabled():
        print(f"\n{number_format}: mean gap {max(gaps):.1e}")
    assert all(1e-6 < gap < 0.2 for gap in gaps)


def test_the_same_training_through_libtorch(experts, tmp_path, capsys):
    weights = []
    for kernels in ("auto", "libtorch"):
        _, newest = train(experts, tmp_path / kernels, "trainer.total_iterations=1", f"trainer.kernels={kernels}")
        weights.append(load_file(newest / "huggingface/model.safetensors"))
    largest = max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0])
    with capsys.disabled():
        print(f"\nlargest difference of a weight: {largest:.1e}")
    assert largest < 1e-4
