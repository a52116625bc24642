"""Commands of the program as functions."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from longshot._program import BadInput, call, watch
from longshot._run import Row, RowReader, Run
from longshot._toml import document, value_text

Path = str | os.PathLike[str]
Config = Path | Mapping[str, Any]
OnMetrics = Callable[[Row], object]
FOLDER_KEY = "trainer.default_local_dir"


@contextlib.contextmanager
def _as_file(config: Config) -> Iterator[Path]:
    if not isinstance(config, Mapping):
        yield config
        return
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "config.toml"
        file.write_text(document(config))
        yield file


def _run_folder(file: Path, overrides: Mapping[str, Any]) -> str:
    if FOLDER_KEY in overrides:
        return str(overrides[FOLDER_KEY])
    try:
        trainer = tomllib.loads(pathlib.Path(file).read_text()).get("trainer", {})
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file}: {error}", 2) from None
    if not trainer.get("default_local_dir"):
        raise BadInput(f"{file}: {FOLDER_KEY} is missing: it names the run folder", 2)
    return str(trainer["default_local_dir"])


def _run(command: str, config: Config, overrides: Mapping[str, Any] | None, on_metrics: OnMetrics | None) -> Run:
    words = [f"{key}={value_text(value)}" for key, value in (overrides or {}).items()]
    with _as_file(config) as file:
        folder = pathlib.Path(_run_folder(file, overrides or {}))
        rows = RowReader(folder / "metrics.jsonl")
        rows.new_rows()  # those of an earlier start

        def poll() -> None:
            for row in rows.new_rows():
                if on_metrics is not None:
                    on_metrics(row)

        with tempfile.TemporaryDirectory() as logs:
            watch([command, file, *words], pathlib.Path(logs) / "log", poll)
    return Run(folder)


def train(config: Config, overrides: Mapping[str, Any] | None = None, on_metrics: OnMetrics | None = None) -> Run:
    """Trains a policy (`longshot train`). `config`: a TOML file, or its content as a mapping. `overrides`: {"optim.lr": 3e-5}.
    `on_metrics` is called with each new row of metrics; what it raises stops the run, with the state saved, and is raised
    again. A run that was stopped continues when the same call is made again."""
    return _run("train", config, overrides, on_metrics)


def sft(config: Config, overrides: Mapping[str, Any] | None = None, on_metrics: OnMetrics | None = None) -> Run:
    """Fine-tunes a model (`longshot sft`). Arguments as for train()."""
    return _run("sft", config, overrides, on_metrics)


def rm(config: Config, overrides: Mapping[str, Any] | None = None, on_metrics: OnMetrics | None = None) -> Run:
    """Trains a reward model (`longshot rm`). Arguments as for train()."""
    return _run("rm", config, overrides, on_metrics)


def dpo(config: Config, overrides: Mapping[str, Any] | None = None, on_metrics: OnMetrics | None = None) -> Run:
    """Trains on pairs of responses (`longshot dpo`). Arguments as for train()."""
    return _run("dpo", config, overrides, on_metrics)


def _flags(options: Mapping[str, Any]) -> list[str]:
    """{"max_tokens": 64, "raw": True, "stop": ["a"]} as flags of the command line."""
    words: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not False and value is not None:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                text = json.dumps(item) if isinstance(item, Mapping) else str(item)
                words.append(f"{flag}={text}")
    return words


def evaluate(model: Path, data: Path | Sequence[Path], **options: Any) -> dict[str, Any]:
    """The figures of `longshot eval`, such as {"accuracy": ...}. `options` are its flags: n=4, temperature=0.7, reward="math"."""
    files = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "figures.json"
        call(["eval", "--model", model, *_flags({"data": [os.fspath(file) for file in files], "output": output, **options})])
        figures: dict[str, Any] = json.loads(output.read_text())
        return figures


def _rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]  # a text may contain other ends of lines


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def generate(model: Path, prompts: Iterable[Any], **options: Any) -> list[list[str]]:
    """The answers to each prompt (a text, or a list of messages), `n` of them: generate(model, ["Hi"], n=2)[0] has two texts.
    `options` are the flags of `longshot generate`."""
    rows = _lines({"prompt": prompt} for prompt in prompts)
    answers = _rows(call(["generate", "--model", model, "--input=-", *_flags(options)], rows))
    return [[completion["text"] for completion in row["completions"]] for row in answers]


def grade(rows: Iterable[Mapping[str, Any]], **options: Any) -> list[dict[str, Any]]:
    """The verdicts of `longshot grade`, in order. Rows: {"completion", "ground_truth", ...}. `options` are its flags:
    reward="math", python="reward.py"."""
    return _rows(call(["grade", *_flags(options)], _lines(rows)))
