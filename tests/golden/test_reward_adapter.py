"""Adapters of reward models compared with the peft package, both ways: same scores, and a training step like torch autograd's."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from test_reward_model import (ARCHITECTURES, LABELLED, TINY, all_chats, ids_of, our_scores, small_language_model, their_scores,
                               tokenizer, widen, write_config, write_rows)


def classifier(tokenizer, directory):
    """Loads a model's directory as a user does before the adapter is loaded."""
    return AutoModelForSequenceClassification.from_pretrained(
        directory, num_labels=1, dtype=torch.float32, pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"))


def reward_model(name, tokenizer, directory):
    model_class, config_class, changes = ARCHITECTURES[name]
    torch.manual_seed(7)
    widen(model_class(config_class(**TINY, **changes, vocab_size=len(tokenizer), num_labels=1,
                                   pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>")))).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")


@pytest.fixture(scope="module")
def bases(tokenizer, tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    return {"language model": small_language_model(tokenizer, root / "lm"),
            "reward model": reward_model("qwen3", tokenizer, root / "rm")}


def trained(longshot, base, rows, root, *changes, steps=3):
    config = write_config(root / "rm.toml", base, rows, root / "run", steps)
    done = longshot("rm", config, "optim.lr=1e-2", *changes)
    assert done.stdout.strip() == str(root / "run/adapter")
    return root / "run/adapter"


@pytest.mark.parametrize("kind", ["language model", "reward model"])
def test_what_longshot_trains(kind, bases, rows, tokenizer, tmp_path, longshot, capsys):
    base = bases[kind]
    adapter = trained(longshot, base, rows, tmp_path, "model.lora_rank=4", "model.lora_alpha=8")
    assert sorted(p.name for p in adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    plain = classifier(tokenizer, base)
    started_from = plain.score.weight.clone()
    model = PeftModel.from_pretrained(plain, adapter).eval()
    assert not torch.equal(model.base_model.model.score.weight, started_from)
    theirs = their_scores(model, tokenizer, all_chats(), 4)
    direct = our_scores(longshot, adapter, rows, tmp_path / "direct.jsonl")
    longshot("convert", "--model", base, "--adapter", adapter, "--output", tmp_path / "merged")
    merged = our_scores(longshot, tmp_path / "merged", rows, tmp_path / "merged.jsonl")
    whole, loading = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", dtype=torch.float32,
                                                                        output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    figures = {"adapter directory": direct, "merged by convert": merged,
               "merged, read by transformers": their_scores(whole.eval(), tokenizer, all_chats(), 4)}
    with model.disable_adapter():
        without = (their_scores(model, tokenizer, all_chats(), 4) - theirs).abs().max().item()
    with capsys.disabled():
        print(f"\n{kind}: against peft " + ", ".join(f"{name} {(scores - theirs).abs().max().item():.1e}"
                                                     for name, scores in figures.items()) + f"; without it {without:.1e}")
    for name, scores in figures.items():
        assert (scores - theirs).abs().max().item() < 1e-4, name
    assert without > 1e-2


@pytest.mark.parametrize("kind", ["language model", "reward model"])
@pytest.mark.parametrize("targets, rslora", [("all-linear", False), (["q_proj", "down_proj"], True)])
def test_what_peft_writes(kind, targets, rslora, bases, rows, tokenizer, tmp_path, longshot, capsys):
    torch.manual_seed(11)
    model = get_peft_model(classifier(tokenizer, bases[kind]),
                           LoraConfig(r=5, lora_alpha=11, target_modules=targets, use_rslora=rslora, init_lora_weights=False,
                                      task_type="SEQ_CLS")).eval()
    with torch.no_grad():
        model.base_model.model.score.weight.normal_()
    model.save_pretrained(tmp_path / "adapter")
    theirs = their_scores(model, tokenizer, all_chats(), 3)
    difference = (our_scores(longshot, tmp_path / "adapter", rows, tmp_path / "out.jsonl") - theirs).abs().max().item()
    with capsys.disabled():
        print(f"\n{kind}, {targets}: {difference:.1e} of scores up to {theirs.abs().max():.2f}")
    assert difference < 1e-4 * theirs.abs().max().item()
    assert theirs.std() > 1e-2


def test_what_peft_reads_and_writes_again(bases, rows, tokenizer, tmp_path, longshot):
    adapter = trained(longshot, bases["language model"], rows, tmp_path, "model.lora_rank=2", "model.lora_targets=['v_proj']")
    PeftModel.from_pretrained(classifier(tokenizer, bases["language model"]), adapter).save_pretrained(tmp_path / "again")
    ours, again = (load_file(directory / "adapter_model.safetensors") for directory in (adapter, tmp_path / "again"))
    assert ours.keys() == again.keys() and all(torch.equal(ours[name], again[name]) for name in ours)
    config, written = (json.loads((directory / "adapter_config.json").read_text()) for directory in (adapter, tmp_path / "again"))
    assert config["task_type"] == written["task_type"] == "SEQ_CLS"
    assert set(config["modules_to_save"]) == set(written["modules_to_save"])
    assert torch.equal(our_scores(longshot, adapter, rows, tmp_path / "a.jsonl"),
                       our_scores(longshot, tmp_path / "again", rows, tmp_path / "b.jsonl"))


def test_a_training_step_equals_torch_autograd(bases, rows, tokenizer, tmp_path, longshot, capsys):
    """The first step of an adapter whose training continues: its loss and gradient norm."""
    base = bases["language model"]
    (tmp_path / "first").mkdir()
    adapter = trained(longshot, base, rows, tmp_path / "first", "model.lora_rank=3")
    trained(longshot, base, rows, tmp_path, f"model.lora_adapter_path={adapter}", steps=1)
    ours = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[0])
    model = PeftModel.from_pretrained(classifier(tokenizer, base), adapter, is_trainable=True).double().eval()
    score = [model(torch.tensor([ids_of(tokenizer, chat)])).logits[0, 0] for chat in all_chats()]
    labels = torch.tensor([label for *_, label in LABELLED], dtype=torch.double)
    single, paired = torch.stack(score[:len(LABELLED)]), torch.stack(score[len(LABELLED):]).view(-1, 2)
    loss = torch.cat([torch.nn.functional.binary_cross_entropy_with_logits(single, labels, reduction="none"),
                      -torch.nn.functional.logsigmoid(paired[:, 0] - paired[:, 1])]).mean()
    loss.backward()
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sum("score" in name for name in learned) == 1 and len(learned) == 1 + 2 * 7 * TINY["num_hidden_layers"]
    norm = torch.sqrt(sum((p.grad ** 2).sum() for p in learned.values())).item()
    with capsys.disabled():
        print(f"\nloss {ours['train/loss']:.6f} and {loss.item():.6f}, gradient norm {ours['train/grad_norm']:.6f} and {norm:.6f}")
    assert abs(ours["train/loss"] - loss.item()) < 1e-5
    assert abs(ours["train/grad_norm"] - norm) < 1e-4 * norm


def test_a_score_is_refused_where_none_belongs(bases, rows, tmp_path, longshot):
    adapter = trained(longshot, bases["language model"], rows, tmp_path, "model.lora_rank=2", steps=1)
    done = longshot("logprobs", "--model", adapter, "--input", rows, check=False)
    assert done.returncode == 2 and "is a reward model" in done.stderr
    config = write_config(tmp_path / "sft.toml", bases["language model"], rows, tmp_path / "sft", 1)
    config.write_text(config.read_text().replace("[rm]", "[sft]"))
    done = longshot("sft", config, f"model.lora_adapter_path={adapter}", check=False)
    assert done.returncode == 2 and "the adapter of a reward model" in done.stderr
