"""`longshot dpo` compared with the loss of TRL 1.16's DPOTrainer (trl/trainer/dpo_trainer.py, _compute_loss), restated here
with torch autograd in double on the token ids of transformers' tokenizer. bench/dpo_vs_trl compares with TRL itself."""

import json

import packages
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

TINY = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=512, bos_token_id=1, eos_token_id=2)
ARCHITECTURES = {
    "llama": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=True)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, dict(head_dim=16, tie_word_embeddings=False)),
}
PAIRS = [("What is 2 + 2?", "It is 4.", "It is 5, I believe."), ("Name a colour.", "Blue", "The number nine " * 9),
         ("What is 17 * 3?", "51", "54"), ("Is 7 a prime number?", "Yes, it is.", "No"), ("Say hello", "", "Hello!"),
         ("Count from one to six.", "One, two, three, four, five, six.", "One, two")]
LOSSES = [("sigmoid", 0.1, 0.0), ("sigmoid", 0.5, 0.1), ("robust", 0.5, 0.1), ("ipo", 0.1, 0.0)]


@pytest.fixture(scope="module")
def tokenizer():
    gguf = packages.smollm2_gguf()
    return AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)


def save_model(name, tokenizer, seed, directory):
    model_class, config_class, changes = ARCHITECTURES[name]
    torch.manual_seed(seed)
    model = model_class(config_class(**TINY, **changes, vocab_size=len(tokenizer)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def row(i, question, chosen, rejected):
    """The same pair in one of the forms that TRL documents, or as `longshot select` writes it."""
    return [{"prompt": [user(question)], "chosen": [assistant(chosen)], "rejected": [assistant(rejected)]},
            {"chosen": [user(question), assistant(chosen)], "rejected": [user(question), assistant(rejected)]},
            {"prompt": [user(question)], "chosen": chosen, "rejected": rejected, "data_source": "x"}][i % 3]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(line) + "\n" for line in rows))
    return path


def chat_ids(tokenizer, question, response):
    """(prompt ids, response ids up to the end of the turn)"""
    prompt = tokenizer.apply_chat_template([user(question)], tokenize=False, add_generation_prompt=True)
    return (tokenizer.encode(prompt, add_special_tokens=False),
            tokenizer.encode(response + "<|im_end|>", add_special_tokens=False))


def text_ids(tokenizer, question, response):
    return (tokenizer.encode(question, add_special_tokens=False),
            tokenizer.encode(response, add_special_tokens=False) + [2])


def sums(model, pairs):
    """[pairs, 2] log-probabilities of the responses."""
    out = []
    for prompt, response in pairs:
        ids = torch.tensor([prompt + response])
        logprobs = torch.log_softmax(model(ids).logits[0, :-1], -1).gather(-1, ids[0, 1:, None])[:, 0]
        out.append(logprobs[len(prompt) - 1:].sum())
    return torch.stack(out).view(-1, 2)


def losses(policy, reference, lengths, loss, beta, smoothing):
    ratios = policy - reference
    delta = ratios[:, 0] - ratios[:, 1]
    if loss == "ipo":
        means = ratios / lengths
        return (means[:, 0] - means[:, 1] - 1 / (2 * beta)) ** 2
    kept, swapped = -logsigmoid(beta * delta), -logsigmoid(-beta * delta)
    if loss == "robust":
        return ((1 - smoothing) * kept - smoothing * swapped) / (1 - 2 * smoothing)
    return (1 - smoothing) * kept + smoothing * swapped


def config(path, model, rows, run, loss, *, steps=1, extra="", optim="lr = 16.0\neps = 16.0", data=""):
    kind, beta, smoothing = loss
    path.write_text(f"""
[model]
path = "{model}"
[data]
train_files = ["{rows}"]
{data}
[dpo]
loss = "{kind}"
beta = {beta}
label_smoothing = {smoothing}
batch_tokens = 100000
{extra}
[optim]
{optim}
clip_grad = 0.0
[trainer]
total_steps = {steps}
test_freq = 0
threads = 2
default_local_dir = "{run}"
""")
    return path


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def gradients(before, after):
    """From one step of AdamW with learning rate 16 and epsilon 16, which changes a weight by 16 g / (|g| + 16)."""
    before, after = load_file(before / "model.safetensors"), load_file(after / "model.safetensors")
    out = {}
    for name, weight in before.items():
        change = weight.double() - after[name].double()
        out[name] = change / (1 - change.abs() / 16)
    return out


@pytest.mark.parametrize("name, loss", [("llama", loss) for loss in LOSSES] + [("qwen3", LOSSES[1])])
def test_loss_rewards_and_every_gradient_are_trls(name, loss, tokenizer, longshot, tmp_path, capsys):
    policy = save_model(name, tokenizer, 3, tmp_path / "policy")
    other = save_model(name, tokenizer, 3, tmp_path / "reference")
    reference = AutoModelForCausalLM.from_pretrained(other, dtype=torch.float32)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.mul_(1.02)
    reference.save_pretrained(other)
    rows = write_rows(tmp_path / "rows.jsonl", [row(i, *pair) for i, pair in enumerate(PAIRS)])
    file = config(tmp_path / "dpo.toml", policy, rows, tmp_path / "run", loss, extra=f'reference_model = "{other}"')
    longshot("dpo", file)
    (ours,) = metrics(tmp_path / "run")

    sides = [chat_ids(tokenizer, question, side) for question, *both in PAIRS for side in both]
    lengths = torch.tensor([len(response) for _, response in sides], dtype=torch.double).view(-1, 2)
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).double()
    with torch.no_grad():
        fixed = sums(reference.double(), sides)
    logprobs = sums(model, sides)
    loss_value = losses(logprobs, fixed, lengths, *loss).mean()
    loss_value.backward()
    rewards = loss[1] * (logprobs - fixed).detach()
    expected = {"train/loss": loss_value.item(), "rewards/chosen": rewards[:, 0].mean().item(),
                "rewards/rejected": rewards[:, 1].mean().item(),
                "rewards/margins": (rewards[:, 0] - rewards[:, 1]).mean().item(),
                "rewards/accuracies": (rewards[:, 0] > rewards[:, 1]).double().mean().item(),
                "logps/chosen": logprobs[:, 0].mean().item(), "logps/rejected": logprobs[:, 1].mean().item()}
    worst = max(abs(ours[key] - value) / max(1, abs(value)) for key, value in expected.items())
    found = gradients(policy, tmp_path / "run/huggingface")
    named = dict(model.named_parameters())
    largest = max(p.grad.abs().max().item() for p in named.values())
    difference = max((found[key] - named[key].grad).abs().max().item() for key in found)
    with capsys.disabled():
        print(f"\n{name} {loss}: metrics differ by {worst:.1e}, gradients up to {largest:.2f} by {difference:.1e}")
    assert worst < 1e-5 and found.keys() <= named.keys()
    assert difference < 1e-5 * max(1, largest) and largest > 1e-3
    assert abs(expected["rewards/margins"]) > 1e-3


def test_texts_without_a_template_and_steps_from_the_start(tokenizer, longshot, tmp_path):
    """Three steps of AdamW, with the model before training as the reference."""
    model = save_model("llama", tokenizer, 5, tmp_path / "policy")
    texts = [{"prompt": question + "\n", "chosen": chosen, "rejected": rejected} for question, chosen, rejected in PAIRS]
    rows = write_rows(tmp_path / "rows.jsonl", texts)
    file = config(tmp_path / "dpo.toml", model, rows, tmp_path / "run", LOSSES[0], steps=3,
                  optim="lr = 1e-2\neps = 1e-3", data="apply_chat_template = false")
    longshot("dpo", file)
    ours = metrics(tmp_path / "run")
    sides = [text_ids(tokenizer, t["prompt"], t[side]) for t in texts for side in ("chosen", "rejected")]
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).double()
    with torch.no_grad():
        fixed = sums(policy, sides)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2, betas=(0.9, 0.95), eps=1e-3, weight_decay=0)
    for step in ours:
        logprobs = sums(policy, sides)
        loss = losses(logprobs, fixed, None, *LOSSES[0]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert abs(step["train/loss"] - loss.item()) < 1e-5
        margin = 0.1 * ((logprobs - fixed)[:, 0] - (logprobs - fixed)[:, 1]).mean().item()
        assert abs(step["rewards/margins"] - margin) < 1e-5 * max(1, abs(margin))
    assert ours[0]["train/loss"] == pytest.approx(0.693147, abs=1e-5) and ours[2]["train/loss"] < 0.6


def test_an_adapter_is_compared_with_its_base(tokenizer, longshot, tmp_path):
    from peft import PeftModel

    model = save_model("llama", tokenizer, 7, tmp_path / "policy")
    rows = write_rows(tmp_path / "rows.jsonl", [row(i, *pair) for i, pair in enumerate(PAIRS)])
    file = config(tmp_path / "dpo.toml", model, rows, tmp_path / "run", LOSSES[0], steps=20, optim="lr = 1e-2")
    longshot("dpo", file, "model.lora_rank=4")
    first, *_, last = metrics(tmp_path / "run")
    assert abs(first["rewards/margins"]) < 1e-5 and last["rewards/margins"] > 0.2
    # A second run continues the adapter and compares it with the base, which needs no second copy.
    more = tmp_path / "more"
    longshot("dpo", file, f"model.lora_adapter_path={tmp_path}/run/adapter", f"dpo.reference_model={model}",
             "trainer.total_steps=1", f"trainer.default_local_dir={more}")
    (step,) = metrics(more)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    sides = [chat_ids(tokenizer, question, side) for question, *both in PAIRS for side in both]
    with torch.no_grad():
        fixed = sums(base, sides)
        ratios = sums(PeftModel.from_pretrained(base, tmp_path / "run/adapter"), sides) - fixed
    assert step["rewards/margins"] == pytest.approx(0.1 * (ratios[:, 0] - ratios[:, 1]).mean().item(), abs=1e-4)
    # Streamed rows are compared batch by batch.
    for run, margin, *changes in [
            (tmp_path / "streamed", step["rewards/margins"], f"model.lora_adapter_path={tmp_path}/run/adapter",
             f"dpo.reference_model={model}"),
            (tmp_path / "from_its_start", 0, f"model.lora_adapter_path={tmp_path}/run/adapter"),
            (tmp_path / "copied", 0, f"dpo.reference_model={model}")]:
        longshot("dpo", file, *changes, "trainer.total_steps=1", "data.streaming=true", f"trainer.default_local_dir={run}")
        assert metrics(run)[0]["rewards/margins"] == pytest.approx(margin, abs=1e-5)
