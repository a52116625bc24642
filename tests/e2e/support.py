"""What the end-to-end tests share: the binary, and a tiny model that has seen a little of its task."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
LONGSHOT = os.environ.get("LONGSHOT_BIN", str(ROOT / "build/release/bin/longshot"))


def longshot(*arguments, code=0, timeout=300, text_in=None):
    """Runs the program; fails unless it ends with `code`."""
    done = subprocess.run([LONGSHOT, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          input=text_in, cwd=ROOT)
    assert done.returncode == code, f"longshot {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done


def tiny_model(root, steps=300):
    """(model directory, data directory) below `root`: two layers, one-digit and two-digit additions, a quarter of them right at temperature 1."""
    data = root / "data"
    longshot("data", "make", "--task", "addition", "--levels", "1-2", "--out", data, "--train", 400, "--val", 60,
             "--sft", 2000, "--seed", 3)
    (root / "sft.toml").write_text(f"""
[model]
alphabet_file = "{data}/alphabet.txt"
hidden_size = 32
num_layers = 2
num_heads = 2
num_kv_heads = 1
intermediate_size = 64
max_positions = 128
[data]
train_files = ["{data}/sft.jsonl"]
max_length = 96
[sft]
batch_tokens = 2048
[optim]
lr = 1e-2
[trainer]
total_steps = {steps}
test_freq = 0
default_local_dir = "{root}/sft"
""")
    longshot("sft", root / "sft.toml")
    return root / "sft/huggingface", data
