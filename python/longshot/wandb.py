"""Copies a run's settings, metrics and held-out samples to Weights & Biases, with its own package (`pip install wandb`):

  python -m longshot.wandb RUN --project PROJECT            # what a run has logged
  python -m longshot.wandb RUN --project PROJECT --follow   # as the run goes on, until Ctrl-C
  WANDB_MODE=offline python -m longshot.wandb RUN ...       # files for `wandb sync`

RUN/wandb.json notes what was sent: a later call continues the same run there and sends nothing twice.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import pathlib
import sys
import time
import tomllib
from collections.abc import Sequence
from typing import Any

from longshot._run import Row, RowReader

COLUMNS = ("prompt", "response", "ground_truth", "answer", "score", "correct", "finish", "tokens")


def flattened(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"optim": {"lr": 3e-5}} as {"optim.lr": 3e-5}."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def numbers(row: Row) -> dict[str, float]:
    """The metrics of a row; "NaN", "Infinity" and "-Infinity" are the numbers that JSON cannot hold."""
    return {name: float(value) for name, value in row.items() if name != "step"}


class Copy:
    """One run at Weights & Biases."""

    def __init__(self, folder: pathlib.Path, project: str, name: str | None):
        wandb: Any = importlib.import_module("wandb")
        self.wandb, self.folder, self.note_file = wandb, folder, folder / "wandb.json"
        self.note: dict[str, Any] = {"id": None, "last_step": -1}
        if self.note_file.exists():
            self.note = json.loads(self.note_file.read_text())
        config = folder / "config.toml"
        self.run = wandb.init(project=project, name=name or folder.resolve().name, id=self.note["id"], resume="allow",
                              dir=str(folder), config=flattened(tomllib.loads(config.read_text())) if config.exists() else {})
        self.note["id"] = self.run.id
        self.rows = RowReader(folder / "metrics.jsonl")
        self.rows.last = self.note["last_step"]
        self.waiting: list[Row] = []  # rows that were read and not sent

    def send_new(self) -> int:
        """Sends what is new and what an interrupted call has left; returns the number of rows."""
        self.waiting += self.rows.new_rows()
        sent = 0
        while self.waiting:
            row = self.waiting[0]
            self.run.log({**numbers(row), **self.table(row["step"])}, step=row["step"])
            self.waiting.pop(0)
            self.note["last_step"] = row["step"]
            sent += 1
        new = self.note_file.with_suffix(".new")
        new.write_text(json.dumps(self.note) + "\n")
        new.replace(self.note_file)
        return sent

    def table(self, step: int) -> dict[str, Any]:
        """The held-out samples of a step, if it was evaluated."""
        file = self.folder / f"samples/held_out_{step:06d}.jsonl"
        if not file.exists():
            return {}
        lines = file.read_text(encoding="utf-8").split("\n")  # a text may contain other ends of lines
        samples = [json.loads(line) for line in lines if line]
        return {"held_out": self.wandb.Table(columns=list(COLUMNS), data=[[sample.get(name) for name in COLUMNS] for sample in samples])}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m longshot.wandb", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="run folder")
    parser.add_argument("--project", default="longshot")
    parser.add_argument("--name", help="name of the run; default: the folder's")
    parser.add_argument("--follow", action="store_true", help="continue until Ctrl-C")
    parser.add_argument("--every", type=float, default=2, help="seconds between two looks at the folder")
    options = parser.parse_args(arguments)
    if not (options.run / "metrics.jsonl").exists() and not (options.run / "config.toml").exists():
        sys.exit(f"longshot: {options.run} is not a run folder: it has neither config.toml nor metrics.jsonl")
    if not math.isfinite(options.every) or options.every <= 0:
        sys.exit("longshot: --every needs a positive number of seconds")
    try:
        copy = Copy(options.run, options.project, options.name)
    except ModuleNotFoundError:
        sys.exit("longshot: the package wandb is not installed here: pip install wandb")
    try:
        copy.send_new()
        while options.follow:
            time.sleep(options.every)
            copy.send_new()
    except KeyboardInterrupt:
        copy.send_new()
    copy.run.finish()
    print(f"{options.run}: sent up to step {copy.note['last_step']} as run {copy.note['id']}")


if __name__ == "__main__":
    main()
