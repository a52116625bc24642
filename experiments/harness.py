"""Runs the commands of an experiment. Each is skipped if its product exists, and longshot's own commands continue
where they were stopped, so an experiment continues after any interruption."""
import json
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Harness:
    def __init__(self, binary, out):
        self.binary, self.out = str(binary), pathlib.Path(out)

    def longshot(self, product, *arguments):
        """Runs a longshot command unless the file or folder `product` exists; its output goes to a log beside it."""
        product = pathlib.Path(product)
        if product.exists():
            return product
        words = [self.binary, *map(str, arguments)]
        print("$ longshot " + " ".join(words[1:]), flush=True)
        log = self.out / "logs" / (str(product.relative_to(self.out)).replace("/", "_") + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            done = subprocess.run(words, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}; see {log}")
        if not product.exists():
            sys.exit(f"{product} was not written; see {log}")
        return product

    def train(self, config, run, last, *overrides):
        """Trains in the folder `run` up to iteration `last`; returns its held-out evaluations and where it ran."""
        origin = run.with_name(run.name + ".origin.json")
        if not origin.exists():
            origin.parent.mkdir(parents=True, exist_ok=True)
            origin.write_text(json.dumps(provenance()))
        self.longshot(run / f"global_step_{last}", "train", ROOT / "experiments/configs" / config, *overrides,
                      f"trainer.default_local_dir={run}")
        metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return {**validations(metrics), **json.loads(origin.read_text())}


def validations(metrics):
    """The held-out evaluations of a run: iterations, accuracies and mean lengths."""
    lines = [line for line in metrics if "val/accuracy" in line]
    return {"iterations": [int(line["step"]) for line in lines], "accuracy": [line["val/accuracy"] for line in lines],
            "length": [line["val/response_length"] for line in lines]}


def provenance():
    """Commit and processor, for a line of results."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude", "*"], cwd=ROOT, capture_output=True,
                            text=True).stdout.strip()
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"commit": commit, "cpu": model[0] if model else platform.processor(), "cores": os.cpu_count()}


def read_results(figure):
    path = ROOT / "experiments/results" / f"{figure}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_results(figure, lines):
    """Replaces the file as a whole, so that an interruption leaves the old one."""
    path = ROOT / "experiments/results" / f"{figure}.jsonl"
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(line) + "\n" for line in lines))
    part.replace(path)
