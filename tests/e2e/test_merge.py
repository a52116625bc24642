"""longshot merge as a user runs it: results, errors, interruptions, memory."""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time

import pytest

import support


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models with one tokenizer, the second trained further."""
    root = tmp_path_factory.mktemp("merge")
    base, data = support.tiny_model(root, steps=3)
    support.longshot("sft", root / "sft.toml", f"model.path={base}", "model.alphabet_file=", "trainer.total_steps=2",
                     f"trainer.default_local_dir={root}/more", "model.hidden_size=128", "model.num_layers=4",
                     "model.num_heads=4", "model.num_kv_heads=4", "model.intermediate_size=512",
                     "model.max_positions=512")
    return base, root / "more/huggingface"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_result_is_a_model(models, tmp_path):
    base, more = models
    done = support.longshot("merge", "--model", base, "--model", more, "--weight", 3, "--weight", 1, "--output",
                            tmp_path / "out")
    assert "linear of 2 models" in done.stdout
    support.longshot("generate", "--model", tmp_path / "out", "--prompt", "1+1=", "--max-tokens", 2, "--raw")
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'models = [{{model = "{base}", parameters = {{weight = 0.75}}}}, '
                      f'{{model = "{more}", parameters = {{weight = 0.25}}}}]\n')
    support.longshot("merge", "--recipe", recipe, "--output", tmp_path / "again")
    again, out = contents(tmp_path / "again"), contents(tmp_path / "out")
    assert again.pop("merge.json") != out.pop("merge.json")  # the settings are written otherwise
    assert again == out
    # Flags override the recipe. Nothing of the second model is left with t = 0.
    support.longshot("merge", "--recipe", recipe, "--method", "task_arithmetic", "--base-model", base, "--lambda", 0,
                     "--output", tmp_path / "zero")
    assert contents(tmp_path / "zero")["model.safetensors"] == contents(base)["model.safetensors"]


def test_a_dry_run_writes_nothing(models, tmp_path):
    base, more = models
    done = support.longshot("merge", "--method", "ties", "--base-model", base, "--model", more, "--density", 0.5,
                            "--output", tmp_path / "out", "--dry-run")
    assert "the base model" in done.stdout and "MiB in 1 weight files" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_errors_name_what_is_wrong(models, tmp_path):
    base, more = models
    other = tmp_path / "other"
    shutil.copytree(more, other)
    path = other / "tokenizer.json"
    path.write_text(path.read_text().replace('"7"', '"@"'))
    cases = [
        (["--model", base, "--model", other], "the tokenizers differ: token"),
        (["--model", base, "--model", tmp_path / "none"], "there is no model"),
        (["--model", base, "--density", 0.5], "linear does not read it"),
        (["--method", "ties", "--model", more], "needs a base model"),
        (["--method", "tie", "--model", more], "must be one of"),
        (["--model", base, "--model", more, "--weight", 1, "--weight", 2, "--weight", 3], "given 3 times for 2"),
        (["--model", base, "--model", more, "--weight", 1, "--weight", -1], "the sum 0"),
        (["--method", "slerp", "--base-model", base, "--model", more, "--t", 1.5], "from 0 to 1"),
    ]
    for arguments, message in cases:
        done = support.longshot("merge", *arguments, "--output", tmp_path / "out", code=2)
        assert message in done.stderr, (arguments, done.stderr)
        assert not (tmp_path / "out").exists()
        shutil.rmtree(tmp_path / "out.partial", ignore_errors=True)
    recipe = tmp_path / "r.toml"
    recipe.write_text("merge_method = 'ties'\nparameters.densty = 1\n")
    done = support.longshot("merge", "--recipe", recipe, "--output", tmp_path / "out", code=2)
    assert f"{recipe}:2: unknown key 'parameters.densty'" in done.stderr and "did you mean" in done.stderr


def test_killed_at_any_instant_it_continues_to_the_same_bytes(models, tmp_path):
    base, more = models
    command = [support.LONGSHOT, "merge", "--method", "dare_ties", "--base-model", str(base), "--model", str(more),
               "--model", str(base), "--model", str(more), "--density", "0.5", "--max-shard-size", "8KB", "--output"]
    begin = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True, timeout=300)
    seconds = time.monotonic() - begin
    wanted, kills, runs, rng = contents(tmp_path / "whole"), 0, 0, random.Random(5)
    while kills < 20:
        assert runs < 100
        out, runs = tmp_path / f"out{runs}", runs + 1
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * rng.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if process.returncode != 0:
            subprocess.run([*command, str(out)], check=True, capture_output=True, timeout=300)
        assert contents(out) == wanted
        assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("out")) == [out.name]
        shutil.rmtree(out)


def sparse_model(folder, width, intermediate, vocabulary, layers):
    """A Llama whose weights are all 0, as a file without blocks on the disk. Returns the file's size."""
    folder.mkdir()
    shapes = {"model.embed_tokens": [vocabulary, width], "model.norm": [width], "lm_head": [vocabulary, width]}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shapes |= {prefix + name: [width] for name in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {prefix + f"self_attn.{name}_proj": [width, width] for name in "qkvo"}
        shapes |= {prefix + f"mlp.{name}_proj": [intermediate, width] for name in ("gate", "up")}
        shapes[prefix + "mlp.down_proj"] = [width, intermediate]
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name + ".weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": intermediate,
        "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 8, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 512, "hidden_act": "silu", "torch_dtype": "bfloat16",
        "tie_word_embeddings": False}))
    return end


def test_memory_does_not_depend_on_the_size(tmp_path):
    """The address space is limited to a fraction of one of the models; a tensor of one alone would not fit in f32."""
    limit = 512 << 10  # KiB
    for name in "abc":
        size = sparse_model(tmp_path / name, 1024, 2048, 160_000, 1)
        assert size > 1.2 * limit * 1024
    arguments = ["merge", "--method", "ties", "--base-model", "a", "--model", "b", "--model", "c", "--density", "0.5",
                 "--output", "out"]
    script = f'ulimit -v {limit}; exec "$0" "$@"'
    done = subprocess.run(["bash", "-c", script, support.LONGSHOT, *arguments], cwd=tmp_path, capture_output=True,
                          text=True, timeout=300, env={**os.environ, "MALLOC_ARENA_MAX": "1"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/model.safetensors").stat().st_size > size
