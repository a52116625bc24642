"""Training can continue from peft's adapters; unsupported ones are refused by the name of the setting."""

import json

import pytest
from peft import PeftModel
from safetensors.torch import load_file

from characters import write_character_tokenizer
from test_adapter import difference, rows
from test_adapter_kinds import KINDS, bases, load_base, write_adapter  # noqa: F401, a fixture

TRAINABLE = {"ranks_and_alphas", "rslora_ranks", "one_layer", "layers_pattern", "regular_expression", "excluded",
             "excluded_names", "fan_in_fan_out", "gaussian", "orthogonal", "eva"}


def train(longshot, base, adapter, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"prompt": "ab", "response": "cd"}) + "\n")
    config = tmp_path / "sft.toml"
    config.write_text(f"""
[model]
path = "{base}"
lora_adapter_path = "{adapter}"
[data]
train_files = ["{data}"]
[trainer]
total_steps = 1
test_freq = 0
default_local_dir = "{tmp_path}/run"
""")
    return longshot("sft", config, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_training_continues_what_it_can_and_names_what_it_cannot(kind, bases, tmp_path, longshot):
    base_kind, settings = KINDS[kind]
    write_adapter(bases / base_kind, tmp_path / "adapter", settings)
    (tmp_path / "base").mkdir()
    for path in (bases / base_kind).iterdir():
        (tmp_path / "base" / path.name).symlink_to(path)
    write_character_tokenizer(tmp_path / "base")
    done = train(longshot, tmp_path / "base", tmp_path / "adapter", tmp_path)
    if kind not in TRAINABLE:
        assert done.returncode == 2
        assert any(key in done.stderr for key in [*settings, "embed_tokens", "lm_head"]), done.stderr
        return
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run/adapter/adapter_config.json").read_text())
    ours, theirs = (load_file(d / "adapter_model.safetensors") for d in (tmp_path / "run/adapter", tmp_path / "adapter"))
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}
    sequences = rows(tmp_path / "rows.jsonl")
    model = PeftModel.from_pretrained(load_base(bases / base_kind), tmp_path / "run/adapter").eval()
    exact = difference(longshot, tmp_path / "run/adapter", tmp_path / "rows.jsonl", model.double(), sequences)
    # The larger scale of rslora makes this model so sensitive that float32 differs from float64 by about 1e-4.
    assert exact < (2e-4 if "use_rslora" in settings else 1e-4), config
