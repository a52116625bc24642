"""Stretched rotary embeddings and sliding windows compared with transformers: log-probabilities and gradients, within the
original length and beyond it, in every layout of config.json that transformers has used."""

import copy
import json

import pytest
import torch
from transformers import (AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

from characters import write_character_tokenizer
from test_model import TINY, gradient_difference, random_rows, reference_logprobs, write_rows

LONG = [1.0 + 0.7 * i for i in range(6)]
SHORT = [1.0 + 0.1 * i for i in range(6)]
LLAMA, QWEN2, QWEN3, MISTRAL = ((LlamaForCausalLM, LlamaConfig), (Qwen2ForCausalLM, Qwen2Config), (Qwen3ForCausalLM, Qwen3Config),
                                (MistralForCausalLM, MistralConfig))
YARN = dict(rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=32)


def rope(**changes):
    return dict(rope_parameters={"rope_theta": 500.0, **changes})


MODELS = {
    "linear": (LLAMA, rope(rope_type="linear", factor=3.0)),
    "linear_by_1": (LLAMA, rope(rope_type="linear", factor=1.0)),
    "dynamic": (LLAMA, dict(max_position_embeddings=64, **rope(rope_type="dynamic", factor=3.0))),
    "dynamic_qwen3": (QWEN3, dict(head_dim=16, max_position_embeddings=64, **rope(rope_type="dynamic", factor=2.0))),
    "yarn": (LLAMA, rope(**YARN)),
    "yarn_qwen2": (QWEN2, dict(max_position_embeddings=128, **rope(**YARN))),
    "yarn_qwen3_tied": (QWEN3, dict(head_dim=16, tie_word_embeddings=True, **rope(**YARN))),
    "yarn_attention_factor": (LLAMA, rope(**YARN, attention_factor=1.7)),
    "yarn_mscale": (LLAMA, rope(**YARN, mscale=0.8, mscale_all_dim=0.4)),
    "yarn_one_mscale": (LLAMA, rope(**YARN, mscale=0.8)),
    "yarn_betas": (LLAMA, rope(**YARN, beta_fast=6.0, beta_slow=0.5)),
    "yarn_no_truncate": (LLAMA, rope(**YARN, truncate=False)),
    "longrope": (LLAMA, dict(max_position_embeddings=128, **rope(rope_type="longrope", short_factor=SHORT, long_factor=LONG,
                                                                 factor=4.0, original_max_position_embeddings=64))),
    "longrope_attention_factor": (MISTRAL, dict(max_position_embeddings=128, sliding_window=None, **rope(
        rope_type="longrope", short_factor=SHORT, long_factor=LONG, attention_factor=1.3, factor=2.0,
        original_max_position_embeddings=64))),
    "llama3": (LLAMA, rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                           original_max_position_embeddings=32)),
    "mistral": (MISTRAL, dict(sliding_window=9)),
    "mistral_without_window": (MISTRAL, dict(sliding_window=None)),
    "mistral_wide_window": (MISTRAL, dict(sliding_window=1000)),
    "window_of_2": (MISTRAL, dict(sliding_window=2)),
    "qwen2_later_layers": (QWEN2, dict(use_sliding_window=True, sliding_window=17, max_window_layers=1)),
    "qwen2_window_switched_off": (QWEN2, dict(use_sliding_window=False, sliding_window=17, max_window_layers=1)),
    "qwen3_layer_types": (QWEN3, dict(head_dim=16, use_sliding_window=True, sliding_window=16, layer_types=[
        "sliding_attention", "full_attention", "sliding_attention"])),
    "qwen2_window_and_yarn": (QWEN2, dict(use_sliding_window=True, sliding_window=24, max_window_layers=0, **rope(**YARN))),
    "dropout": (LLAMA, dict(attention_dropout=0.3)),
}
LENGTHS = (100, 3, 41, 1, 64, 65, 530, 32)


def random_model(variant):
    """`variant`: ((class of the model, class of its configuration), changes of TINY)."""
    (model_class, config_class), changes = variant
    torch.manual_seed(17)
    model = model_class(config_class(**{**TINY, **changes}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model.float().eval()


def difference(longshot, path, rows_path, rows, model):
    done = longshot("logprobs", "--model", path, "--input", rows_path, "--threads", 2, "--batch-tokens", 256)
    worst = 0.0
    for line, row in zip(done.stdout.splitlines(), rows, strict=True):
        with torch.no_grad():  # a dynamic rope remembers the longest sequence it has seen
            expected = reference_logprobs(copy.deepcopy(model), row)
        worst = max(worst, (torch.tensor(json.loads(line)["logprobs"]) - expected).abs().max().item() if len(row) > 1 else 0)
    return worst


@pytest.fixture
def tiny_rows(tmp_path):
    rows = random_rows(TINY["vocab_size"], LENGTHS)
    return rows, write_rows(tmp_path / "rows.jsonl", rows)


@pytest.mark.parametrize("name", MODELS)
def test_log_probabilities_and_gradients_equal_transformers(name, tiny_rows, tmp_path, longshot, longshot_bin, capsys):
    rows, rows_path = tiny_rows
    model = random_model(MODELS[name])
    model.save_pretrained(tmp_path / "model")
    value = difference(longshot, tmp_path / "model", rows_path, rows, model)
    longshot("convert", "--model", tmp_path / "model", "--output", tmp_path / "again")
    again = difference(longshot, tmp_path / "again", rows_path, rows, AutoModelForCausalLM.from_pretrained(tmp_path / "again").eval())
    one = rows[:1]  # of one length, because the reference of a dynamic rope keeps state
    gradient, worst = gradient_difference(longshot_bin, tmp_path, tmp_path / "model", write_rows(tmp_path / "one.jsonl", one), one,
                                          model)
    with capsys.disabled():
        print(f"\n{name}: log-probability {value:.2e}, written and read again {again:.2e}, gradient {gradient:.2e} relative ({worst})")
    assert value < 1e-4
    assert again < 1e-4
    assert gradient < 1e-4


def old_layout(config):
    """transformers 4: rope_theta and rope_scaling at the top level."""
    parameters = dict(config.pop("rope_parameters"))
    config["rope_theta"] = parameters.pop("rope_theta")
    config["rope_scaling"] = parameters if parameters["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    return config


def older_layout(config):
    """The earliest files have "type" instead of "rope_type"."""
    config = old_layout(config)
    if config["rope_scaling"]:
        config["rope_scaling"]["type"] = config["rope_scaling"].pop("rope_type")
    config.pop("layer_types", None)
    return config


def by_layer_type(config):
    """transformers 5, for models whose layer types may differ; here they are the same."""
    config["rope_parameters"] = {"full_attention": config["rope_parameters"], "sliding_attention": config["rope_parameters"]}
    return config


@pytest.mark.parametrize("layout", [old_layout, older_layout, by_layer_type])
@pytest.mark.parametrize("name", ["dynamic", "longrope", "qwen2_window_and_yarn"])
def test_every_layout_of_the_configuration_is_read(layout, name, tiny_rows, tmp_path, longshot):
    rows, rows_path = tiny_rows
    model = random_model(MODELS[name])
    model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps(layout(json.loads(path.read_text()))))
    assert difference(longshot, tmp_path / "model", rows_path, rows, model) < 1e-4


@pytest.mark.parametrize("changes, words", [
    (rope(rope_type="su2"), ["rope_type", "su2"]),
    (rope(rope_type="default", partial_rotary_factor=0.5), ["partial_rotary_factor"]),
    (rope(rope_type="longrope", short_factor=SHORT, long_factor=LONG[1:], factor=4.0, original_max_position_embeddings=64),
     ["long_factor", "6"]),
    (rope(rope_type="linear"), ["factor", "missing"]),
    (rope(rope_type="yarn", factor="4"), ["factor"]),
    (dict(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                           "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}), ["full_attention", "sliding_attention"]),
    (dict(layer_types=["sliding_attention"] * 3), ["layer_types", "sliding"]),
    (dict(layer_types=["full_attention"] * 2), ["layer_types", "3 layers"]),
    (dict(layer_types=["chunked_attention"] * 3), ["layer_types", "chunked_attention"]),
])
def test_what_is_not_computed_is_refused_by_name(changes, words, tiny_rows, tmp_path, longshot):
    random_model(MODELS["linear"]).save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    done = longshot("logprobs", "--model", tmp_path / "model", "--input", tiny_rows[1], check=False)
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("name", ["dynamic", "longrope"])
def test_a_sample_longer_than_the_steady_length_is_refused(name, tmp_path, longshot):
    random_model(MODELS[name]).save_pretrained(tmp_path / "model")
    write_character_tokenizer(tmp_path / "model")
    command = ["generate", "--model", tmp_path / "model", "--raw", "--prompt", "abcd", "--temperature", 0]
    longshot(*command, "--max-tokens", 60)
    done = longshot(*command, "--max-tokens", 61, check=False)
    assert done.returncode == 2 and name in done.stderr and "64" in done.stderr


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["mistral", "qwen2_window_and_yarn", "yarn_attention_factor"])
def test_samples_carry_the_log_probabilities_of_the_whole_forward(name, dtype, tmp_path, longshot, capsys):
    """Generates over a paged cache, with all prompts in a batch and with each prompt alone; the cache in f32 or 8 bits."""
    random_model(MODELS[name]).save_pretrained(tmp_path / "model")
    write_character_tokenizer(tmp_path / "model")
    prompts = ["abc", "the quick brown fox".replace(" ", "_") * 3, "x"]
    rows = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
    command = ["generate", "--model", tmp_path / "model", "--raw", "--max-tokens", 120, "--n", 4, "--temperature", 1, "--seed", 3,
               "--kv-dtype", dtype]
    done = longshot(*command, "--threads", 2, "--input", "-", input=rows)
    samples = [json.loads(line)["completions"] for line in done.stdout.splitlines()]
    alone = [json.loads(longshot(*command, "--threads", 1, "--input", "-", input=json.dumps({"prompt": p}) + "\n").stdout)["completions"]
             for p in prompts]
    assert samples == alone
    encoded = [json.loads(line)["tokens"] for line in longshot(
        "tokenize", "--model", tmp_path / "model", input="".join(json.dumps({"text": p}) + "\n" for p in prompts)).stdout.splitlines()]
    whole = [(prompt + c["tokens"], c["logprobs"]) for prompt, group in zip(encoded, samples) for c in group]
    scored = longshot("logprobs", "--model", tmp_path / "model", input="".join(json.dumps({"tokens": t}) + "\n" for t, _ in whole))
    worst = max(abs(a - b) for line, (_, recorded) in zip(scored.stdout.splitlines(), whole)
                for a, b in zip(json.loads(line)["logprobs"][-len(recorded):], recorded))
    longest = max(len(tokens) for tokens, _ in whole)
    with capsys.disabled():
        print(f"\n{name}, {dtype} cache: samples of up to {longest} tokens, largest difference {worst:.1e}")
    assert longest > 100
    assert worst < (1e-4 if dtype == "float32" else 1.0)
