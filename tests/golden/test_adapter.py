"""Adapters compared with the peft package: each loads the other's adapters, with the same log-probabilities."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

SHAPE = dict(vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def base_model(kind, path):
    torch.manual_seed(3)
    model = (Qwen2ForCausalLM(Qwen2Config(**SHAPE)) if kind == "qwen2" else LlamaForCausalLM(LlamaConfig(**SHAPE)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.float().eval().save_pretrained(path)
    return path


def rows(path):
    generator = torch.Generator().manual_seed(5)
    out = [torch.randint(97, (n,), generator=generator).tolist() for n in (40, 3, 17)]
    path.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in out))
    return out


def difference(longshot, model_path, rows_path, model, sequences):
    done = longshot("logprobs", "--model", model_path, "--input", rows_path, "--threads", 2)
    worst = 0.0
    for line, row in zip(done.stdout.splitlines(), sequences, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([row])).logits[0, :-1]
        expected = torch.log_softmax(logits, -1).gather(1, torch.tensor(row)[1:, None])[:, 0]
        worst = max(worst, (torch.tensor(json.loads(line)["logprobs"]) - expected).abs().max().item())
    return worst


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("targets, rslora", [("all-linear", False), (["q_proj", "down_proj"], True)])
def test_what_peft_writes(kind, targets, rslora, tmp_path, longshot, capsys):
    base = base_model(kind, tmp_path / "base")
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(plain, LoraConfig(r=5, lora_alpha=11, target_modules=targets, use_rslora=rslora,
                                             init_lora_weights=False, task_type="CAUSAL_LM"))
    model.eval().save_pretrained(tmp_path / "adapter")
    sequences = rows(tmp_path / "rows.jsonl")
    direct = difference(longshot, tmp_path / "adapter", tmp_path / "rows.jsonl", model, sequences)
    longshot("convert", "--model", base, "--adapter", tmp_path / "adapter", "--output", tmp_path / "merged")
    merged = difference(longshot, tmp_path / "merged", tmp_path / "rows.jsonl", model, sequences)
    without = difference(longshot, base, tmp_path / "rows.jsonl", model, sequences)
    with capsys.disabled():
        print(f"\n{kind}, {targets}: adapter directory {direct:.2e}, merged by convert {merged:.2e}, without it {without:.2e}")
    assert direct < 1e-4
    assert merged < 1e-4
    assert without > 1e-2


def test_what_longshot_trains(tmp_path, longshot, repo, capsys):
    base, data = tmp_path / "base.toml", tmp_path / "data"
    longshot("data", "make", "--task", "addition", "--levels", "1-2", "--out", data, "--train", 40, "--val", 10,
             "--sft", 300, "--seed", 3)
    base.write_text(f"""
[model]
alphabet_file = "{data}/alphabet.txt"
hidden_size = 32
num_layers = 2
num_heads = 2
num_kv_heads = 1
intermediate_size = 64
max_positions = 128
[data]
train_files = ["{data}/sft.jsonl"]
max_length = 96
[sft]
batch_tokens = 1024
[trainer]
total_steps = 5
test_freq = 0
""")
    longshot("sft", base, f"trainer.default_local_dir={tmp_path}/base")
    model_path = tmp_path / "base/huggingface"
    base.write_text(base.read_text().replace(f'alphabet_file = "{data}/alphabet.txt"', f'path = "{model_path}"'))
    done = longshot("sft", base, f"trainer.default_local_dir={tmp_path}/tuned", "model.lora_rank=4", "optim.lr=1e-2")
    adapter = tmp_path / "tuned/adapter"
    assert done.stdout.strip() == str(adapter)
    assert sorted(p.name for p in adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32), adapter)
    generator = torch.Generator().manual_seed(5)
    sequences = [torch.randint(model.config.vocab_size, (n,), generator=generator).tolist() for n in (40, 17)]
    rows_path = tmp_path / "rows.jsonl"
    rows_path.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in sequences))
    tuned = difference(longshot, adapter, rows_path, model.eval(), sequences)
    before = difference(longshot, model_path, rows_path, model, sequences)
    with capsys.disabled():
        print(f"\ntrained here, loaded by peft: {tuned:.2e}; the base model is {before:.2e} away")
    assert tuned < 1e-4
    assert before > 1e-2
