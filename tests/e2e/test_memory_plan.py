"""The peak of memory that `longshot doctor --plan` predicts is that of the run, saving included, and saving needs no second
copy of the state."""
import json
import os
import subprocess

import pytest

from support import LONGSHOT, ROOT, longshot

ITERATIONS = 2


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A random model of 28 million parameters, so that the program itself is the smaller part."""
    root = tmp_path_factory.mktemp("memory")
    longshot("data", "make", "--task", "addition", "--levels", "1-2", "--out", root / "data", "--train", 100, "--val", 10,
             "--sft", 100, "--seed", 3)
    (root / "sft.toml").write_text(f"""
model = {{alphabet_file = "{root}/data/alphabet.txt", hidden_size = 512, num_layers = 10, num_heads = 8, num_kv_heads = 2,
         intermediate_size = 1408, max_positions = 256}}
data = {{train_files = ["{root}/data/sft.jsonl"], max_length = 64}}
sft = {{batch_tokens = 64}}
trainer = {{total_steps = 1, test_freq = 0, default_local_dir = "{root}/sft"}}
""")
    longshot("sft", root / "sft.toml")
    return root


def configuration(root, name, save_freq, more=""):
    file = root / f"{name}.toml"
    file.write_text(f"""
model = {{path = "{root}/sft/huggingface"}}
data = {{train_files = ["{root}/data/train.jsonl"], train_batch_size = 4, max_prompt_length = 32,
        max_response_length = 96}}
rollout = {{n = 4, max_concurrent = 16}}
algorithm = {{mini_batches = 2, reset_optimizer = false}}
trainer = {{total_iterations = {ITERATIONS}, save_freq = {save_freq}, test_freq = 0, threads = 2, log_samples = 0,
           default_local_dir = "{root}/{name}"}}
{more}
""")
    return file


def peak_of(file):
    """Bytes that the run had in memory at most."""
    process = subprocess.Popen([LONGSHOT, "train", str(file)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


def plan_of(file, run):
    """The plan for responses as long as those of the run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    length = max(row["response_length/mean"] for row in rows if row["step"] > 0)
    return json.loads(longshot("doctor", "--plan", file, "--response-length", length, "--json").stdout)


@pytest.mark.parametrize("name, more", [("plain", ""), ("hybrid", "hybrid = {optimizer_offload = true, param_offload = true}"),
                                        ("lora", "model.lora_rank = 8")])
def test_the_plan_is_within_15_percent_of_the_measured_peak(setting, name, more):
    file = configuration(setting, name, 1, more)
    peak = peak_of(file)
    plan = plan_of(file, setting / name)
    print(f"{name}: planned {plan['memory_peak_bytes'] / 2**20:.0f} MiB, measured {peak / 2**20:.0f}",
          {key: round(value / 2**20) for key, value in plan["memory_bytes"].items()})
    assert plan["memory_peak_bytes"] == pytest.approx(peak, rel=0.15)


def test_saving_needs_no_second_copy_of_the_state(setting):
    saved, unsaved = configuration(setting, "saved", 1), configuration(setting, "unsaved", 0)
    moments = plan_of(saved, setting / "plain")["memory_bytes"]["moments"]
    with_saves, without = peak_of(saved), peak_of(unsaved)
    print(f"peak with saves {with_saves / 2**20:.0f} MiB, without {without / 2**20:.0f}, moments {moments / 2**20:.0f}")
    assert with_saves - without < 0.25 * moments
