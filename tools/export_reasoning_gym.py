#!/usr/bin/env python3
"""Writes rows of a reasoning_gym task in verl's format, as JSONL or parquet (chosen by the file name).

  tools/export_reasoning_gym.py --task countdown --size 2000 --seed 7 --out train.jsonl \\
      --val-size 200 --val-out val.jsonl --config min_numbers=3 --config max_numbers=4

Columns: data_source "reasoning_gym/TASK", prompt (messages), ability, reward_model.ground_truth, and extra_info with
split, index, task, question (in the task's words, for reasoning_gym's own scorer) and metadata (the entry's, converted to
valid JSON). In parquet, a column has the same type in all rows, so metadata is JSON in a string.

No question occurs twice, and no question of the validation file occurs in the training file; their generator seeds are
disjoint.
"""

import argparse
import datetime
import json
import math
import numbers
import os
import pathlib
import sys

import reasoning_gym

# reasoning_gym draws entry i of a data set from seed + i, so validation starts far behind any training entry.
VAL_SEED_OFFSET = 1_000_000_000
# A task counts as exhausted after this many draws without a new question.
PATIENCE = 2000
CHUNK = 256


class ExportError(Exception):
    """Bad input; the message says what to do."""


def json_safe(value):
    """The nearest JSON value: tuples and sets become lists, keys become strings, any other value becomes its text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, float) or (isinstance(value, numbers.Real) and hasattr(value, "dtype")):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((json_safe(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, (list, tuple)):
        return [json_safe(item) for item in value]
    if hasattr(value, "tolist"):  # numpy
        return json_safe(value.tolist())
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def parse_config(assignments):
    config = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ExportError(f"--config {assignment}: expected key=value")
        try:
            config[key] = json.loads(text)
        except json.JSONDecodeError:
            config[key] = text
    return config


def entries(task, seed, config):
    """All entries of the task from `seed` on; an endless generator."""
    while True:
        try:
            data = reasoning_gym.create_dataset(task, size=CHUNK, seed=seed, **config)
        except (AssertionError, TypeError, ValueError) as error:
            raise ExportError(f"task '{task}' with {config}: {error}") from error
        for index in range(CHUNK):
            yield data[index]
        seed += CHUNK


def distinct(task, seed, config, size, seen):
    """Returns `size` entries with new questions and adds the questions to `seen`."""
    found, fruitless = [], 0
    for entry in entries(task, seed, config):
        if len(found) == size:
            return found
        if entry["question"] in seen:
            fruitless += 1
            if fruitless > PATIENCE:
                raise ExportError(f"task '{task}' with {config} has only {len(found)} more different questions, "
                                  f"{size} were asked for; ask for fewer or widen the configuration")
            continue
        fruitless = 0
        seen.add(entry["question"])
        found.append(entry)
    return found


def make_row(entry, task, split, index, system, instruction):
    messages = [{"role": "system", "content": system}] if system else []
    question = entry["question"] + (f"\n\n{instruction}" if instruction else "")
    messages.append({"role": "user", "content": question})
    answer = entry["answer"]
    if answer is None:  # the task's scorer works from metadata
        answer = ""
    return {
        "data_source": f"reasoning_gym/{task}",
        "prompt": messages,
        "ability": "reasoning",
        "reward_model": {"style": "rule", "ground_truth": answer if isinstance(answer, str) else
                         json.dumps(json_safe(answer))},
        "extra_info": {"split": split, "index": index, "task": task, "question": entry["question"],
                       "metadata": json_safe(entry.get("metadata", {}))},
    }


def write_jsonl(rows, path):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def write_parquet(rows, path):
    import pyarrow
    import pyarrow.parquet

    flat = []
    for row in rows:
        extra = dict(row["extra_info"], metadata=json.dumps(row["extra_info"]["metadata"], ensure_ascii=False))
        flat.append(dict(row, extra_info=extra))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), path)


def write(rows, path):
    """Writes atomically: the file appears as a whole or not at all."""
    writers = {".jsonl": write_jsonl, ".parquet": write_parquet}
    writer = writers.get(path.suffix)
    if writer is None:
        raise ExportError(f"{path}: the name must end with .jsonl or .parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".tmp")
    writer(rows, part)
    os.replace(part, path)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, help="name of the reasoning_gym task")
    parser.add_argument("--size", type=int, required=True, help="rows of --out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="training file, .jsonl or .parquet")
    parser.add_argument("--val-size", type=int, default=0, help="rows of --val-out")
    parser.add_argument("--val-out", type=pathlib.Path, help="validation file")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="K=V", help="task parameters")
    parser.add_argument("--system", default="", help="system message before every question")
    parser.add_argument("--instruction", default="", help="text after every question, e.g. how to mark the answer")
    return parser.parse_args(argv)


def export(options):
    if options.size <= 0 or options.val_size < 0:
        raise ExportError("--size must be positive and --val-size must not be negative")
    if (options.val_out is None) != (options.val_size == 0):
        raise ExportError("--val-out and --val-size belong together")
    if options.task not in reasoning_gym.factory.DATASETS:
        raise ExportError(f"unknown task '{options.task}'; known are "
                          + ", ".join(sorted(reasoning_gym.factory.DATASETS)))
    config, seen = parse_config(options.config), set()
    splits = [("val", options.val_out, options.val_size, options.seed + VAL_SEED_OFFSET),
              ("train", options.out, options.size, options.seed)]
    for split, path, size, seed in splits:
        if path is None:
            continue
        found = distinct(options.task, seed, config, size, seen)
        write([make_row(entry, options.task, split, i, options.system, options.instruction)
               for i, entry in enumerate(found)], path)
        print(f"{path}: {size} rows of {options.task}, generator seeds from {seed}")


def main(argv=None):
    try:
        export(parse_arguments(argv))
    except ExportError as error:
        print(f"export_reasoning_gym: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
