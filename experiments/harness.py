"""Runs the commands of an experiment. Each is skipped if its product exists, and longshot's own commands continue
where they were stopped, so an experiment continues after any interruption."""
import contextlib
import fcntl
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The option that sets the number of threads, of the commands that have one; results do not depend on it.
THREADS = {"train": "trainer.threads={}", "sft": "trainer.threads={}", "dpo": "trainer.threads={}",
           "eval": "--threads={}", "sample": "--threads={}"}


class Harness:
    def __init__(self, binary, out, threads=0):
        """`threads` of each command; 0 = all usable cores."""
        self.binary, self.out, self.threads = str(binary), pathlib.Path(out), threads

    def longshot(self, product, *arguments):
        """Runs a longshot command unless the file or folder `product` exists; its output goes to a log. Seeds and
        claims that run side by side share products: the second one waits for the first."""
        product = pathlib.Path(product)
        if product.exists():
            return product
        log = self.out / "logs" / (str(product.relative_to(self.out)).replace("/", "_") + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not product.exists():
                self.call(file, *arguments)
        if not product.exists():
            sys.exit(f"{product} was not written; see {log}")
        return product

    def call(self, log, command, *arguments):
        words = [self.binary, command, *map(str, arguments)]
        if self.threads and command in THREADS:
            words.append(THREADS[command].format(self.threads))
        # One write, so that the lines of two seeds do not mix.
        sys.stdout.write("$ longshot " + " ".join(words[1:]) + "\n")
        sys.stdout.flush()
        done = subprocess.run(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}; see {log.name}")

    @contextlib.contextmanager
    def served(self, model, name, product):
        """Serves a model as `judge` on a free port while the block runs, unless `product`, for which it is needed,
        exists. Its log is NAME.log. Yields the address."""
        if product.exists():
            yield ""
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.out / "logs" / (name.replace("/", "_") + ".log")
        with log.open("a") as file:
            server = subprocess.Popen([self.binary, "serve", "--model", str(model), "--served-model-name", "judge", "--port",
                                       str(port), "--threads", str(self.threads)], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            self.wait_until_healthy(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()

    def wait_until_healthy(self, server, url, log):
        end = time.monotonic() + 60
        while server.poll() is None and time.monotonic() < end:
            try:
                return urllib.request.urlopen(f"{url}/health", timeout=5).close()
            except OSError:
                time.sleep(0.1)
        sys.exit(f"the server did not start; see {log}")

    def write(self, product, text):
        """Writes what the function `text` returns to the file `product` unless it exists."""
        if not product.exists():
            product.parent.mkdir(parents=True, exist_ok=True)
            replace(product, text())
        return product

    def origin(self, run):
        """Commit and processor of the moment at which `run` was begun, for its line of results."""
        path = run.with_name(run.name + ".origin.json")
        return json.loads(self.write(path, lambda: json.dumps(provenance())).read_text())

    def train(self, config, run, last, *overrides):
        """Trains in the folder `run` up to iteration `last`; returns its held-out evaluations and where it ran."""
        origin = self.origin(run)
        self.longshot(run / f"global_step_{last}", "train", ROOT / "experiments/configs" / config, *overrides,
                      f"trainer.default_local_dir={run}")
        return {**validations(metrics(run)), **origin}


def metrics(run):
    """The metrics of a run, a dictionary an iteration."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def validations(metrics):
    """The held-out evaluations of a run: iterations, accuracies, mean lengths, and accuracies by source of data."""
    lines = [line for line in metrics if "val/accuracy" in line]
    sources = {key.removeprefix("val-core/").removesuffix("/acc"): [line[key] for line in lines]
               for key in (lines or [{}])[0] if key.startswith("val-core/") and key.endswith("/acc")}
    return {"iterations": [int(line["step"]) for line in lines], "accuracy": [line["val/accuracy"] for line in lines],
            "length": [line["val/response_length"] for line in lines], "sources": sources}


def provenance():
    """Commit and processor, for a line of results."""
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    # What earlier seeds recorded is no change of the program.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!experiments/results")
    commit = git("describe", "--always", "--exclude", "*") + ("-dirty" if changed else "")
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"commit": commit, "cpu": model[0] if model else platform.processor(), "cores": os.cpu_count()}


def read_results(figure):
    path = ROOT / "experiments/results" / f"{figure}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_results(figure, lines):
    path = ROOT / "experiments/results" / f"{figure}.jsonl"
    path.parent.mkdir(exist_ok=True)
    replace(path, "".join(json.dumps(line) + "\n" for line in lines))


def replace(path, text):
    """Writes a file as a whole, so that an interruption leaves the old one or none."""
    part = path.with_name(f"{path.name}.{threading.get_native_id()}.part")
    part.write_text(text)
    part.replace(path)
