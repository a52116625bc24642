"""Reward models with a scalar head compared with transformers' AutoModelForSequenceClassification, both ways, and a training
step compared with torch autograd."""

import json

import packages
import pytest
import torch
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, LlamaConfig, LlamaForCausalLM,
                          LlamaForSequenceClassification, Qwen2Config, Qwen2ForSequenceClassification, Qwen3Config,
                          Qwen3ForSequenceClassification)

TINY = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=512, bos_token_id=1, eos_token_id=2)
ARCHITECTURES = {
    "llama": (LlamaForSequenceClassification, LlamaConfig, dict(tie_word_embeddings=False)),
    "llama_tied": (LlamaForSequenceClassification, LlamaConfig, dict(tie_word_embeddings=True)),
    "qwen2": (Qwen2ForSequenceClassification, Qwen2Config, dict(tie_word_embeddings=False)),
    "qwen3": (Qwen3ForSequenceClassification, Qwen3Config, dict(head_dim=16, tie_word_embeddings=True)),
}
LABELLED = [("What is 2 + 2?", "", "It is 4.", 1), ("What is 17 * 3?", "51", "The answer is 54.", 0),
            ("Name a colour.", "", "Blue", 1), ("Say nothing", "", "", 0),
            ("Write an essay about numbers, please.", "", "One, two, three. " * 30, 1)]
PAIRS = [("What is 2 + 2?", "It is 4.", "It is 5, I believe."), ("Name a colour.", "Blue", "The number nine " * 9),
         ("What is 17 * 3?", "51", "54"), ("Is 7 a prime number?", "Yes, it is.", "No")]


def messages(question, response, reference=""):
    if reference:
        question += f"\n\nReference answer: {reference}"
    return [{"role": "user", "content": question}, {"role": "assistant", "content": response}]


def write_rows(path):
    lines = [{"prompt": [{"role": "user", "content": q}], "completion": a, "label": label,
              **({"answer": reference} if reference else {})} for q, reference, a, label in LABELLED]
    lines += [{"prompt": [{"role": "user", "content": q}], "chosen": [{"role": "assistant", "content": chosen}],
               "rejected": [{"role": "assistant", "content": rejected}]} for q, chosen, rejected in PAIRS]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def all_chats():
    chats = [messages(q, a, reference) for q, reference, a, _ in LABELLED]
    for question, chosen, rejected in PAIRS:
        chats += [messages(question, chosen), messages(question, rejected)]
    return chats


@pytest.fixture(scope="module")
def tokenizer():
    gguf = packages.smollm2_gguf()
    return AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)


def ids_of(tokenizer, chat):
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=False)
    return tokenizer.encode(text, add_special_tokens=False)


def their_scores(model, tokenizer, chats, batch):
    """Scores right-padded batches, as is usual."""
    rows, scores = [ids_of(tokenizer, chat) for chat in chats], []
    for begin in range(0, len(rows), batch):
        part = rows[begin:begin + batch]
        width = max(map(len, part))
        pad = model.config.pad_token_id if model.config.pad_token_id is not None else 0
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in part])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in part])
        with torch.no_grad():
            scores += model(ids, attention_mask=mask).logits[:, 0].tolist()
    return torch.tensor(scores)


def our_scores(longshot, model, rows, out):
    longshot("rm-eval", "--model", model, "--data", rows, "--judgements", out, "--threads", 2)
    return torch.tensor([json.loads(line)["score"] for line in out.read_text().splitlines()])


def widen(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model.float().eval()


@pytest.mark.parametrize("padding", ["<|endoftext|>", "<|im_end|>"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_their_model_gives_our_scores(name, padding, tokenizer, tmp_path, longshot, capsys):
    model_class, config_class, changes = ARCHITECTURES[name]
    torch.manual_seed(3)
    model = widen(model_class(config_class(**TINY, **changes, vocab_size=len(tokenizer), num_labels=1,
                                           pad_token_id=tokenizer.convert_tokens_to_ids(padding))))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    ours = our_scores(longshot, tmp_path / "model", write_rows(tmp_path / "rows.jsonl"), tmp_path / "out.jsonl")
    theirs = their_scores(model, tokenizer, all_chats(), 3)
    difference = (ours - theirs).abs().max().item()
    with capsys.disabled():
        print(f"\n{name}, padding {padding}: largest difference {difference:.1e} of scores up to {theirs.abs().max():.2f}")
    assert difference < 1e-4
    assert theirs.std() > 1e-2


def small_language_model(tokenizer, directory):
    torch.manual_seed(5)
    model = widen(LlamaForCausalLM(LlamaConfig(**TINY, vocab_size=len(tokenizer), tie_word_embeddings=True)))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def write_config(path, model, rows, run, steps):
    path.write_text(f"""
[model]
path = "{model}"
[data]
train_files = ["{rows}"]
[rm]
batch_tokens = 100000
[optim]
lr = 1e-3
clip_grad = 0.0
[trainer]
total_steps = {steps}
test_freq = 0
threads = 2
default_local_dir = "{run}"
""")
    return path


@pytest.fixture(scope="module")
def trained(tokenizer, tmp_path_factory, longshot_bin):
    """Returns (run folder, rows) of three steps of `longshot rm` from a language model."""
    import subprocess

    root = tmp_path_factory.mktemp("rm")
    model = small_language_model(tokenizer, root / "lm")
    rows = write_rows(root / "rows.jsonl")
    config = write_config(root / "rm.toml", model, rows, root / "run", 3)
    done = subprocess.run([longshot_bin, "rm", config], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(root / "run/huggingface")
    return root, rows


def test_our_model_gives_their_scores(trained, tokenizer, tmp_path, longshot, capsys):
    root, rows = trained
    directory = root / "run/huggingface"
    config = json.loads((directory / "config.json").read_text())
    assert config["architectures"] == ["LlamaForSequenceClassification"]
    assert config["pad_token_id"] == tokenizer.convert_tokens_to_ids("<|endoftext|>")
    model, loading = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32,
                                                                        output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"]
    assert model.score.weight.shape == (1, TINY["hidden_size"])
    theirs = their_scores(model.eval(), AutoTokenizer.from_pretrained(directory), all_chats(), 4)
    ours = our_scores(longshot, directory, rows, tmp_path / "out.jsonl")
    difference = (ours - theirs).abs().max().item()
    with capsys.disabled():
        print(f"\nours read by transformers: largest difference {difference:.1e}")
    assert difference < 1e-4


def test_a_training_step_equals_torch_autograd(trained, tokenizer, longshot, tmp_path, capsys):
    """The first step's loss and gradient norm, from a reward model that both can read. A run needs at least one step, so the
    model is the one trained above, and one further step is compared."""
    root, rows = trained
    config = write_config(tmp_path / "more.toml", root / "run/huggingface", rows, tmp_path / "more", 1)
    longshot("rm", config)
    ours = json.loads((tmp_path / "more/metrics.jsonl").read_text().splitlines()[0])
    model = AutoModelForSequenceClassification.from_pretrained(root / "run/huggingface", dtype=torch.float32).double()
    score = [model(torch.tensor([ids_of(tokenizer, chat)])).logits[0, 0] for chat in all_chats()]
    labels = torch.tensor([label for *_, label in LABELLED], dtype=torch.double)
    single, paired = torch.stack(score[:len(LABELLED)]), torch.stack(score[len(LABELLED):]).view(-1, 2)
    losses = torch.cat([torch.nn.functional.binary_cross_entropy_with_logits(single, labels, reduction="none"),
                        -torch.nn.functional.logsigmoid(paired[:, 0] - paired[:, 1])])
    losses.mean().backward()
    norm = torch.sqrt(sum((p.grad ** 2).sum() for p in model.parameters() if p.grad is not None)).item()
    with capsys.disabled():
        print(f"\nloss {ours['train/loss']:.6f} and {losses.mean().item():.6f}, "
              f"gradient norm {ours['train/grad_norm']:.6f} and {norm:.6f}")
    assert abs(ours["train/loss"] - losses.mean().item()) < 1e-5
    assert abs(ours["train/grad_norm"] - norm) < 1e-4 * norm
    margins = torch.cat([single * (2 * labels - 1), paired[:, 0] - paired[:, 1]])
    assert abs(ours["train/accuracy"] - (margins > 0).double().mean().item()) < 1e-9
    assert abs(ours["train/margin"] - margins.mean().item()) < 1e-4


def test_what_is_no_reward_model_is_named(trained, tokenizer, tmp_path, longshot):
    root, rows = trained
    done = longshot("rm-eval", "--model", root / "run/huggingface", "--data", rows, "--votes", 3, "--temperature", 1,
                    check=False)
    assert done.returncode == 2 and "--votes" in done.stderr
    two_labels = LlamaForSequenceClassification(LlamaConfig(**TINY, vocab_size=len(tokenizer)))
    two_labels.save_pretrained(tmp_path / "two")
    tokenizer.save_pretrained(tmp_path / "two")
    done = longshot("rm-eval", "--model", tmp_path / "two", "--data", rows, check=False)
    assert done.returncode == 2 and "2 labels" in done.stderr
    for command in (["generate", "--prompt", "x"], ["logprobs", "--input", str(rows)], ["eval", "--data", str(rows)]):
        done = longshot(command[0], "--model", root / "run/huggingface", *command[1:], check=False)
        assert done.returncode == 2 and "is a reward model" in done.stderr, command
