"""tools/export_reasoning_gym.py: rows that longshot reads and that reasoning_gym itself scores as right."""

import datetime
import fractions
import importlib.util
import json
import subprocess
import sys

import numpy
import pytest
import reasoning_gym

TASKS = ["basic_arithmetic", "countdown", "knights_knaves", "gcd", "word_ladder", "mini_sudoku"]


@pytest.fixture(scope="module")
def tool(repo):
    spec = importlib.util.spec_from_file_location("export_reasoning_gym", repo / "tools/export_reasoning_gym.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def export(tool, *arguments):
    assert tool.main([str(a) for a in arguments]) == 0


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def inspect(longshot, path):
    facts = json.loads(longshot("data", "inspect", "--json", "--rows", 10_000, path).stdout)
    return [row["row"] for row in facts["first"]]


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_scored_as_right(tool, longshot, tmp_path, task):
    export(tool, "--task", task, "--size", 20, "--val-size", 5, "--seed", 11, "--out", tmp_path / "t.jsonl",
           "--val-out", tmp_path / "v.jsonl", "--instruction", "Put the answer in \\boxed{}.", "--system", "Think.")
    train, val = read_jsonl(tmp_path / "t.jsonl"), read_jsonl(tmp_path / "v.jsonl")
    assert (len(train), len(val)) == (20, 5)
    score = reasoning_gym.get_score_answer_fn(task)
    for split, rows in (("train", train), ("val", val)):
        for index, row in enumerate(rows):
            assert row["data_source"] == f"reasoning_gym/{task}"
            assert [m["role"] for m in row["prompt"]] == ["system", "user"]
            extra, answer = row["extra_info"], row["reward_model"]["ground_truth"]
            assert (extra["split"], extra["index"], extra["task"]) == (split, index, task)
            assert row["prompt"][1]["content"] == extra["question"] + "\n\nPut the answer in \\boxed{}."
            entry = {"question": extra["question"], "answer": answer, "metadata": extra["metadata"]}
            assert score(answer, entry) == 1.0
    questions = [row["extra_info"]["question"] for row in train + val]
    assert len(set(questions)) == 25
    assert inspect(longshot, tmp_path / "t.jsonl") == train


@pytest.mark.parametrize("task", TASKS)
def test_parquet_holds_the_same_rows(tool, longshot, tmp_path, task):
    for name in ("a.jsonl", "a.parquet"):
        export(tool, "--task", task, "--size", 12, "--seed", 5, "--out", tmp_path / name)
    rows = inspect(longshot, tmp_path / "a.parquet")
    for row in rows:
        row["extra_info"]["metadata"] = json.loads(row["extra_info"]["metadata"])
    assert rows == read_jsonl(tmp_path / "a.jsonl")


def test_configuration_and_seed_choose_the_rows(tool, tmp_path):
    def rows(*arguments):
        export(tool, "--task", "countdown", "--size", 8, "--out", tmp_path / "x.jsonl", *arguments)
        return read_jsonl(tmp_path / "x.jsonl")

    three = rows("--config", "min_numbers=3", "max_numbers=3", "--seed", 1)
    assert all(len(row["extra_info"]["metadata"]["numbers"]) == 3 for row in three)
    assert rows("--config", "min_numbers=3", "--config", "max_numbers=3", "--seed", 1) == three
    assert rows("--config", "min_numbers=3", "max_numbers=3", "--seed", 2) != three


def test_works_as_a_program_and_errors_say_what_to_do(repo, tmp_path):
    def run(*arguments):
        return subprocess.run([sys.executable, str(repo / "tools/export_reasoning_gym.py"), *map(str, arguments)],
                              capture_output=True, text=True, timeout=120)

    out = tmp_path / "a.jsonl"
    done = run("--task", "gcd", "--size", 3, "--out", out)
    assert done.returncode == 0 and "3 rows of gcd" in done.stdout
    cases = [
        (["--task", "gdc", "--size", 3, "--out", out], "unknown task 'gdc'; known are"),
        (["--task", "gcd", "--size", 3, "--out", tmp_path / "a.csv"], "must end with .jsonl or .parquet"),
        (["--task", "gcd", "--size", 3, "--out", out, "--config", "no_such=1"], "no_such"),
        (["--task", "gcd", "--size", 3, "--out", out, "--config", "no_such"], "expected key=value"),
        (["--task", "gcd", "--size", 0, "--out", out], "--size must be positive"),
        (["--task", "gcd", "--size", 3, "--out", out, "--val-size", 2], "belong together"),
        (["--task", "gcd", "--size", 500, "--out", out, "--config", "min_value=1", "max_value=3"],
         "more different questions, 500 were asked for"),
    ]
    for arguments, message in cases:
        done = run(*arguments)
        assert done.returncode == 2 and message in done.stderr, (arguments, done.stderr)
    assert len(read_jsonl(out)) == 3


def test_json_safe(tool):
    value = {1: (numpy.int64(3), numpy.float32(0.5)), "s": {"b", "a"}, "d": datetime.date(2025, 1, 22),
             "f": fractions.Fraction(1, 3), "a": numpy.arange(3), "n": float("nan"), "b": numpy.bool_(True)}
    assert json.loads(json.dumps(tool.json_safe(value), allow_nan=False)) == {
        "1": [3, 0.5], "s": ["a", "b"], "d": "2025-01-22", "f": "1/3", "a": [0, 1, 2], "n": "nan", "b": True}
