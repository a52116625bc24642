"""Reward models that are adapters: training, interruption, judging and merging."""
import json

import pytest

from resume_support import interrupt, metrics
from support import longshot
from test_reward_models import evaluate, reasoner, rm_config, setting


def adapter_config(root, data, base, run, steps=40):
    file = rm_config(root, data, run, steps)
    text = file.read_text()
    file.write_text(f'[model]\npath = "{base}"\nlora_rank = 4\n' + text[text.index("[data]"):])
    return file


@pytest.fixture(scope="module")
def adapter(setting, reasoner):
    """A reward model that is an adapter of a language model."""
    root, data = setting
    done = longshot("rm", adapter_config(root, data, reasoner, root / "adapted"))
    assert done.stdout.strip() == str(root / "adapted/adapter")
    return root / "adapted/adapter"


def test_an_interrupted_adapter_goes_on_bit_for_bit(setting, reasoner, adapter):
    root, data = setting
    run = root / "adapter_interrupted"
    file = adapter_config(root, data, reasoner, run)
    lines = lambda: (run / "metrics.jsonl").read_text().count("\n") if (run / "metrics.jsonl").exists() else 0
    newest = interrupt(file, run, lambda: lines() >= 9, command="rm")
    assert not (newest / "huggingface").exists()
    longshot("rm", file)
    assert metrics(run) == metrics(adapter.parent)
    name = "adapter_model.safetensors"
    assert (run / "adapter" / name).read_bytes() == (adapter / name).read_bytes()


def test_an_adapter_is_a_reward_model_for_every_command(setting, reasoner, adapter, tmp_path):
    _, data = setting
    longshot("convert", "--model", reasoner, "--adapter", adapter, "--output", tmp_path / "merged")
    longshot("convert", "--model", adapter, "--output", tmp_path / "again")
    scores = []
    for model in (adapter, tmp_path / "merged", tmp_path / "again"):
        figures, lines = evaluate(tmp_path, "--model", model, "--data", data / "rm_val.jsonl")
        assert figures["kind"] == "classic" and figures["failed"] == 0
        scores.append([line["score"] for line in lines])
    assert scores[0] == scores[1] == scores[2]
    row = json.loads((data / "rm_val.jsonl").read_text().splitlines()[0])
    graded = longshot("grade", "--reward", json.dumps({"type": "rm", "path": str(adapter), "reference": False}),
                      text_in=json.dumps({"prompt": row["prompt"], "completion": row["completion"], "ground_truth": ""}) + "\n")
    probability = json.loads((tmp_path / "judgements.jsonl").read_text().splitlines()[0])["probability"]
    assert json.loads(graded.stdout)["score"] == pytest.approx(probability)


@pytest.mark.parametrize("overrides, message", [
    (["model.lora_alpha=32"], "model.lora_rank"),
    (["model.lora_targets=['q_proj']"], "model.lora_rank"),
    (["model.lora_rank=2", "model.path="], "model.path"),
    (["model.lora_rank=2", "model.lora_targets=['score']"], "'score' is not a linear layer"),
    (["model.lora_rank=2", "model.lora_adapter_path={adapter}"], "a rank of its own"),
    (["model.lora_rank=2", "model.path={adapter}"], "is an adapter"),
    (["model.lora_rank=2", "model.freeze=['model.embed_tokens.*']"], "already freezes"),
    (["model.lora_adapter_path={adapter}", "model.freeze=['*lora*', 'score.*']"], "nothing can be trained"),
])
def test_options_of_adapters_that_do_nothing_are_refused(setting, reasoner, adapter, tmp_path, overrides, message):
    root, data = setting
    file = adapter_config(root, data, reasoner, tmp_path / "run", steps=1)
    file.write_text(file.read_text().replace("lora_rank = 4\n", ""))
    done = longshot("rm", file, *(override.format(adapter=adapter) for override in overrides), code=2)
    assert message in done.stderr
    assert not (tmp_path / "run/adapter").exists() and not (tmp_path / "run/huggingface").exists()
