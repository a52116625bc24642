"""Model files as written by other tools: tied heads stored in any way, GGUF files without some keys, text outside the
vocabulary, and a consistent count of threads."""

import json
import os
import subprocess

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from characters import write_character_tokenizer
from test_model_files import (GGUF_SIZES, assert_same_tensors, gguf_name, is_rotary, make_model, permute, tensors_of)

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def tied_model(directory, change, **config):
    make_model("llama_tied").save_pretrained(directory)
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata={"format": "pt"})
    if config:
        path = directory / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **config}))


def only_the_head(t):
    t[HEAD] = t.pop(EMBEDDING)


def head_in_another_format(t):
    t[EMBEDDING] = t[EMBEDDING].bfloat16()
    t[HEAD] = t[EMBEDDING].float()


def without_the_prefix(t):
    for name in list(t):
        t[name.removeprefix("model.")] = t.pop(name)


def body_and_head(t):
    without_the_prefix(t)
    t[HEAD] = t["embed_tokens.weight"].clone()


@pytest.mark.parametrize("change", [only_the_head, head_in_another_format, without_the_prefix, body_and_head])
def test_a_tied_matrix_is_found_under_either_name(change, longshot, tmp_path):
    tied_model(tmp_path / "in", change)
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out", "--dtype", "float32")
    expected = {name: t.float() for name, t in tensors_of(tmp_path / "out").items()}
    model = make_model("llama_tied")
    reference = {name: t for name, t in model.state_dict().items() if name != HEAD}
    if change is head_in_another_format:
        reference[EMBEDDING] = reference[EMBEDDING].bfloat16().float()
    assert_same_tensors(expected, reference)


def test_only_the_head_is_what_transformers_makes_of_it(longshot, tmp_path):
    tied_model(tmp_path / "in", only_the_head)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "in", dtype=torch.float32)
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out")
    assert torch.equal(tensors_of(tmp_path / "out")[EMBEDDING], theirs.get_input_embeddings().weight)
    assert torch.equal(tensors_of(tmp_path / "out")[EMBEDDING], theirs.lm_head.weight)


@pytest.mark.parametrize("change, config, words", [
    (lambda t: t.update({HEAD: t[EMBEDDING] + 1}), {}, ["tie_word_embeddings", "differs"]),
    (lambda t: None, dict(tie_word_embeddings=False), [HEAD, "missing", "tie_word_embeddings"]),
    (only_the_head, dict(tie_word_embeddings=False), [EMBEDDING, "missing"]),
    (lambda t: t.update({"_orig_mod." + EMBEDDING: t.pop(EMBEDDING)}), {}, ["_orig_mod"]),
])
def test_what_is_not_one_tied_matrix_is_refused_by_name(change, config, words, longshot, tmp_path):
    tied_model(tmp_path / "in", change, **config)
    done = longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out", check=False)
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr


# ------------------------------------------------------------------------------------------------------- GGUF

TOKENS = ["<|begin|>", *(chr(c) for c in range(33, 127)), "<|im_end|>", "<|end|>"]


def write_gguf(path, pre="llama-bpe", bos=0, eos=95, add_bos=None, add_eos=None, tied=False, **keys):
    """Writes a llama of 97 tokens. `keys`: further metadata; the architecture's prefix is added to keys that begin with a dot."""
    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(**GGUF_SIZES, tie_word_embeddings=tied)).float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    writer = gguf.GGUFWriter(path, "llama")
    uniform = keys.pop("uniform_arrays", False)
    heads = (lambda n: [n]) if uniform else (lambda n: n)
    writer.add_context_length(256)
    writer.add_embedding_length(256)
    writer.add_block_count(1)
    writer.add_feed_forward_length(heads(512))
    writer.add_head_count(heads(4))
    writer.add_head_count_kv(heads(2))
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] + [1] * 94 + [3, 3])
    writer.add_token_merges(["a b"] if "ab" in TOKENS else [])
    for value, add in [(bos, writer.add_bos_token_id), (eos, writer.add_eos_token_id),
                       (add_bos, writer.add_add_bos_token), (add_eos, writer.add_add_eos_token)]:
        if value is not None:
            add(value)
    for key, value in keys.items():
        key = "llama" + key if key.startswith(".") else key
        {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32, bool: writer.add_bool}[type(value)](key, value)
    for name, weight in model.state_dict().items():
        if not (tied and name == HEAD):
            array = weight.numpy()
            array = permute(array, 4 if ".q_proj." in name else 2) if is_rotary(name) else array
            writer.add_tensor(gguf_name(name), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model.eval()


def first_tokens(longshot, path):
    done = longshot("logprobs", "--model", path, input=json.dumps({"text": "ab"}) + "\n")
    return json.loads(done.stdout)["tokens"], done.stderr


@pytest.mark.parametrize("pre, add_bos, begins", [
    # llama.cpp's default for the pre-tokenizer if the key is missing (llama-vocab.cpp).
    ("llama-bpe", None, True), ("llama3", None, True), ("pixtral", None, True), ("dbrx", None, False), ("smaug-bpe", None, False),
    ("qwen2", None, False), ("gpt-2", None, False), ("smollm", None, False), ("default", None, False), (None, None, False),
    ("llama-bpe", False, False), ("qwen2", True, True), ("gpt-2", True, True)])
def test_whether_texts_begin_with_bos(pre, add_bos, begins, longshot, tmp_path):
    write_gguf(tmp_path / "m.gguf", pre=pre, add_bos=add_bos)
    tokens, warnings = first_tokens(longshot, tmp_path / "m.gguf")
    assert tokens == ([0] if begins else []) + [TOKENS.index("a"), TOKENS.index("b")]
    assert ("tokenizer.ggml.pre" in warnings) == (pre is None)
    longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "out")
    assert first_tokens(longshot, tmp_path / "out")[0] == tokens
    assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["add_bos_token"] == begins


@pytest.mark.parametrize("keys, words", [
    (dict(bos=None), ["bos_token_id", "llama-bpe"]),
    (dict(pre="qwen2", bos=None, add_bos=True), ["bos_token_id", "add_bos_token"]),
    (dict(add_eos=True), ["add_eos_token"]),
    ({"tokenizer.ggml.add_bos_token": "yes"}, ["add_bos_token", "yes"]),
    (dict(pre="elvish"), ["tokenizer.ggml.pre", "elvish"]),
    ({".rope.scaling.type": "longrope"}, ["rope.scaling.type", "longrope"]),
    ({".rope.scaling.type": "yarn"}, ["rope.scaling.type", "yarn"]),
    ({".attention.sliding_window": 100}, ["attention.sliding_window", "100"]),
    ({".expert_count": 8}, ["expert_used_count"]), ({".expert_gating_func": 2}, ["expert_gating_func", "2"]),
    ({".logit_scale": 0.5}, ["logit_scale"]),
    ({"general.type": "adapter"}, ["general.type", "adapter"]), ({"split.count": 3}, ["split.count", "--merge"]),
])
def test_what_a_gguf_file_asks_for_and_is_not_computed_is_named(keys, words, longshot, tmp_path):
    write_gguf(tmp_path / "m.gguf", **keys)
    done = longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "out", check=False)
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("eos, keys, ends", [
    (95, {}, 95), (None, {}, [95, 96]), (1, {"tokenizer.ggml.eot_token_id": 95, "tokenizer.ggml.eom_token_id": 96}, [1, 95, 96]),
    (None, {"tokenizer.ggml.eot_token_id": 2}, 2)])
def test_the_ends_of_an_answer(eos, keys, ends, longshot, tmp_path):
    write_gguf(tmp_path / "m.gguf", eos=eos, **keys)
    longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "out")
    assert json.loads((tmp_path / "out/config.json").read_text())["eos_token_id"] == ends


ROPES = {
    "none": ({".rope.scaling.type": "none", ".rope.scaling.factor": 4.0}, None),
    "linear": ({".rope.scaling.type": "linear", ".rope.scaling.factor": 4.0}, dict(rope_type="linear", factor=4.0)),
    "a factor alone": ({".rope.scaling.factor": 3.0}, dict(rope_type="linear", factor=3.0)),
    "the old key": ({".rope.scale_linear": 2.0}, dict(rope_type="linear", factor=2.0)),
    "linear by 1": ({".rope.scaling.type": "linear", ".rope.scaling.factor": 1.0}, None),
    "yarn": ({".rope.scaling.type": "yarn", ".rope.scaling.factor": 4.0, ".rope.scaling.original_context_length": 32},
             dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)),
    "yarn in full": ({".rope.scaling.type": "yarn", ".rope.scaling.factor": 4.0, ".rope.scaling.original_context_length": 32,
                      ".rope.scaling.yarn_beta_fast": 8.0, ".rope.scaling.yarn_beta_slow": 2.0, ".rope.scaling.attn_factor": 1.5},
                     dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=8.0, beta_slow=2.0,
                          attention_factor=1.5 * (1 + 0.1 * np.log(4.0)))),
    "a window wider than the context": ({".attention.sliding_window": 4096}, None),
    "arrays of equal values": ({"uniform_arrays": True}, None),
}


@pytest.mark.parametrize("name", ROPES)
@pytest.mark.parametrize("tied", [False, True])
def test_metadata_that_change_the_model(name, tied, longshot, tmp_path):
    keys, rope = ROPES[name]
    model = write_gguf(tmp_path / "m.gguf", tied=tied, **keys)
    if rope:
        config = LlamaConfig(**GGUF_SIZES, tie_word_embeddings=tied, rope_parameters=dict(rope_theta=10000.0, **rope))
        state = model.state_dict()
        model = LlamaForCausalLM(config).eval()
        model.load_state_dict(state)
    row = torch.randint(97, (90,), generator=torch.Generator().manual_seed(2)).tolist()
    done = longshot("logprobs", "--model", tmp_path / "m.gguf", input=json.dumps({"tokens": row}) + "\n")
    with torch.no_grad():
        logits = model(torch.tensor([row])).logits[0, :-1]
    expected = torch.log_softmax(logits, -1).gather(1, torch.tensor(row)[1:, None])[:, 0]
    assert (torch.tensor(json.loads(done.stdout)["logprobs"]) - expected).abs().max().item() < 1e-4


# ------------------------------------------------------------------------------------------- text and threads

@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    """A model of 94 characters, without a chat template."""
    directory = tmp_path_factory.mktemp("characters")
    make_model("llama").save_pretrained(directory)
    write_character_tokenizer(directory)
    return directory


def test_a_character_without_a_token_is_an_error_everywhere(characters, longshot, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "abc", "text": "abc", "answer": "a"}) + "\n" +
                    json.dumps({"prompt": "aéc", "text": "aéc", "answer": "a"}) + "\n")
    commands = {
        "generate raw": ["generate", "--model", characters, "--input", rows, "--raw", "--max-tokens", 2],
        "generate": ["generate", "--model", characters, "--input", rows, "--max-tokens", 2],
        "generate with a system message": ["generate", "--model", characters, "--prompt", "a", "--system", "é", "--max-tokens", 2],
        "logprobs": ["logprobs", "--model", characters, "--input", rows],
        "eval": ["eval", "--model", characters, "--data", rows, "--max-tokens", 2],
    }
    for name, command in commands.items():
        done = longshot(*command, check=False)
        assert done.returncode == 2 and "no token for 'é'" in done.stderr, (name, done.stderr)
        assert done.stdout == "", name
    done = longshot("chat", "--model", characters, "--max-tokens", 2, input="aéc\nabc\n/exit\n")
    assert "no token for 'é'" in done.stdout


def test_threads_are_counted_by_the_cores_that_may_be_used(characters, longshot_bin, repo):
    """On one core, a command starts as many threads as if it were told to use one. A control group's quota applies too, which
    the standard library's count ignores: only base/os/machine.h is used."""
    core = min(os.sched_getaffinity(0))

    def threads(*options):
        process = subprocess.Popen(["taskset", "-c", str(core), longshot_bin, "chat", "--model", characters, *options], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout.readline().startswith("/clear")  # the engine is ready
        count = len(os.listdir(f"/proc/{process.pid}/task"))
        process.communicate("/exit\n", timeout=60)
        return count

    one = threads("--threads", "1")
    assert threads() == one
    assert threads("--threads", "3") > one
    asking = [str(path.relative_to(repo)) for path in sorted((repo / "src").rglob("*.cc"))
              if "hardware_concurrency" in path.read_text() and not path.name.endswith("_test.cc")]
    assert asking == []
