"""longshot curate: planted problems of every kind are found, and a killed run continues to the same bytes."""
import json
import random
import signal
import subprocess
import time

import pytest

from support import LONGSHOT, ROOT, longshot, tiny_model


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def read_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def problem(rng, count=40):
    return "Given " + " ".join(f"w{rng.randrange(100000)}" for _ in range(count)) + ", find x."


def judged(row_id, correct, count):
    samples = [{"index": i, "response": "r", "tokens": 1, "finish": "stop", "score": float(i < correct), "correct": i < correct,
                "answer": "", "components": {}} for i in range(count)]
    return {"id": row_id, "data_source": "", "prompt": "p", "ground_truth": "1", "extra_info": {}, "samples": samples}


def planted(folder, count=400):
    """Returns (arguments, {reason: ids}): rows in two files and three shapes, with problems of each kind planted."""
    rng = random.Random(1)
    rows, reasons, hack, difficulty, evaluation = [], {}, [], [], []

    def add(kind, text, reason=None):
        row_id = f"{kind}{len(rows)}"
        column = ["prompt", "question", "problem"][len(rows) % 3]
        rows.append({"id": row_id, column: text, "answer": "7", "subject": rng.choice(["algebra", "geometry"])})
        if reason:
            reasons.setdefault(reason, set()).add(row_id)
        hack.append(judged(row_id, 1 if reason == "guessed" else 0, 8))
        difficulty.append(judged(row_id, 10 if reason == "trivial" else rng.randrange(10), 10))
        return row_id

    for i in range(count):
        text = problem(rng)
        add("plain", text)
        if i % 10 == 0:
            add("exact", text.upper(), "exact_duplicate")
            add("near", text.replace(", find x.", " once more, find x."), "near_duplicate")
            shared = problem(rng)
            evaluation.append({"problem": "An introduction. " + shared, "answer": "7"})
            add("seen", shared, "shared_ngram")
            add("guessed", problem(rng), "guessed")
            add("trivial", problem(rng), "trivial")
            add("proof", f"Prove that {problem(rng)}", None)
            rows[-1]["problem"] = rows[-1].pop("prompt", None) or rows[-1].pop("question", None) or rows[-1].get("problem")
            rows[-1]["problem"] = rows[-1]["problem"].replace(", find x.", ".")
            reasons.setdefault("proof", set()).add(rows[-1]["id"])
            add("choice", f"{problem(rng)} (A) 1 (B) 2 (C) 3", "multiple_choice")
    half = len(rows) // 2
    arguments = [write_rows(folder / "a.jsonl", rows[:half]), write_rows(folder / "b.jsonl", rows[half:]),
                 "--eval-files", write_rows(folder / "eval.jsonl", evaluation),
                 "--hack-samples", write_rows(folder / "hack.jsonl", hack),
                 "--difficulty-samples", write_rows(folder / "difficulty.jsonl", difficulty),
                 "--set", 'tags.columns=["subject"]']
    return arguments, reasons


def results(out):
    return {name: (out / name).read_bytes() for name in ["prompts.jsonl", "dropped.jsonl", "report.json", "report.html"]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curate")
    arguments, reasons = planted(folder)
    longshot("curate", *arguments, "--out", folder / "whole")
    return folder, arguments, reasons


def test_everything_planted_is_found(whole):
    folder, _, reasons = whole
    found = {}
    for row in read_rows(folder / "whole/dropped.jsonl"):
        found.setdefault(row["reason"], set()).add(row["id"])
    assert found == reasons
    kept = read_rows(folder / "whole/prompts.jsonl")
    assert all(row["id"].startswith("plain") for row in kept)
    for row in kept:
        extra = row["extra_info"]
        assert 0 < extra["difficulty"] <= 1 and extra["tags"] == ["subject:" + extra["subject"]]
        assert extra.get("never_solved", False) == (extra["difficulty"] == 1)
    seen = next(row for row in read_rows(folder / "whole/dropped.jsonl") if row["reason"] == "shared_ngram")
    assert "eval.jsonl:" in seen["details"]["evaluation"]


def test_the_prompts_are_read_by_the_other_commands(whole):
    folder, _, _ = whole
    shown = json.loads(longshot("data", "inspect", folder / "whole/prompts.jsonl", "--json").stdout)
    assert shown["schema"] == {"verl": len(read_rows(folder / "whole/prompts.jsonl"))}
    assert 0 < shown["prompts"]["difficulty"]["mean"] < 1


def test_a_killed_run_continues_to_the_same_bytes(whole):
    """Twenty instants spread over a run; the next command continues what the one before left."""
    folder, arguments, _ = whole
    before = time.monotonic()
    longshot("curate", *arguments, "--out", folder / "timed")
    duration = time.monotonic() - before
    for instant in range(20):
        if instant % 4 == 0:
            out = folder / f"killed{instant}"
        run = subprocess.Popen([LONGSHOT, "curate", *map(str, arguments), "--out", str(out)], cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        time.sleep(duration * (instant + 0.5) / 20)
        run.kill()
        run.wait()
        if instant % 4 == 3:
            longshot("curate", *arguments, "--out", out)
            assert results(out) == results(folder / "whole")
            assert sorted(p.name for p in (out / "state").iterdir()) == sorted(p.name for p in (folder / "whole/state").iterdir())


def test_threads_and_ctrl_c_change_nothing(whole):
    folder, arguments, _ = whole
    out = folder / "one"
    run = subprocess.Popen([LONGSHOT, "curate", *map(str, arguments), "--out", str(out)], cwd=ROOT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    while run.poll() is None and not (out / "lock").exists():  # from then on, signals are handled
        time.sleep(0.001)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) in (0, 130)
    longshot("curate", *arguments, "--out", out, "--threads", 1)
    assert results(out) == results(folder / "whole")


def test_a_model_measures_the_difficulty(tmp_path):
    """The difficulties are the pass rates of `longshot sample` with the same seed, also after kills between its answers."""
    model, data = tiny_model(tmp_path)
    arguments = ["curate", data / "val.jsonl", "--model", model, "--max-tokens", 48, "--seed", 5,
                 "--set", "hackable.enabled=false", "--set", "duplicates.enabled=false"]
    plan = longshot(*arguments, "--out", tmp_path / "out", "--dry-run").stdout
    assert "at most 600 answers of the model, of at most 48 tokens each" in plan and not (tmp_path / "out").exists()
    before = time.monotonic()
    longshot(*arguments, "--out", tmp_path / "whole")
    duration = time.monotonic() - before
    out = tmp_path / "out"
    for instant in range(4):
        run = subprocess.Popen([LONGSHOT, *map(str, arguments), "--out", str(out)], cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        time.sleep(duration * (instant + 1) / 6)
        run.kill()
        run.wait()
    longshot(*arguments, "--out", out)
    assert results(out) == results(tmp_path / "whole")
    (samples,) = (out / "state/difficulty").glob("*/samples.jsonl")
    rates = {row["id"]: sum(s["correct"] for s in row["samples"]) / 10 for row in read_rows(samples)}
    kept = {f"{row['data_source']}/{row['id']}": row["extra_info"]["difficulty"] for row in read_rows(out / "prompts.jsonl")}
    assert len(rates) == 60 and kept == {row: pytest.approx(1 - rate) for row, rate in rates.items() if rate < 1}
    assert 0 < sum(rates.values()) / 60 < 1
    refused = longshot("curate", data / "val.jsonl", "--out", out, "--max-tokens", 48, code=2).stderr
    assert "--model" in refused


def test_bad_input_is_named(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "answer": "1"}])
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "a", "answer": "1"}\n{"prompt"\n')
    out = tmp_path / "out"

    def refused(*arguments):
        return longshot("curate", *arguments, "--out", out, code=2).stderr

    assert "bad.jsonl:2" in refused(bad)
    assert "missing.jsonl" in refused(tmp_path / "missing.jsonl")
    assert "duplicates.treshold" in refused(rows, "--set", "duplicates.treshold=1")
    assert "balance needs tags" in refused(rows, "--set", "balance.cap=3")
    assert "tags.rules[0]" in refused(rows, "--set", 'tags.rules=[{tag = "a", pattern = "("}]')
    assert "bad.jsonl:2" in refused(rows, "--eval-files", bad)
    assert "bad.jsonl" in refused(rows, "--difficulty-samples", bad)
    assert "at least one file" in refused()
    config = tmp_path / "c.toml"
    config.write_text("[duplicates]\nthreshold = 'x'\n")
    assert "c.toml" in refused(rows, "--config", config)
    assert not (out / "prompts.jsonl").exists()


def test_the_plan_changes_nothing(whole, tmp_path):
    folder, arguments, _ = whole
    plan = longshot("curate", *arguments, "--out", tmp_path / "new", "--dry-run").stdout
    assert "stage difficulty: to do" in plan and "MiB of memory" in plan
    assert not (tmp_path / "new").exists()
    assert "stage difficulty: done" in longshot("curate", *arguments, "--out", folder / "whole", "--dry-run").stdout


@pytest.mark.parametrize("words", [
    ("select", "{0}/prompts.jsonl", "--out", "{0}/prompts.jsonl"),
    ("curate", "{0}/prompts.jsonl", "--out", "{0}"),
    ("sample", "{0}/samples.jsonl", "--url", "http://127.0.0.1:1/v1", "--out", "{0}"),
    ("eval", "--model", "none", "--data", "{0}/prompts.jsonl", "--samples", "{0}/prompts.jsonl"),
    ("rm-eval", "--model", "none", "--data", "{0}/prompts.jsonl", "--judgements", "{0}/prompts.jsonl"),
])
def test_an_input_is_not_replaced(tmp_path, words):
    row = '{"prompt": "1+1", "answer": "2"}\n'
    names = ("prompts.jsonl", "samples.jsonl")
    for name in names:
        (tmp_path / name).write_text(row)
    done = longshot(*[word.format(tmp_path) for word in words], code=2)
    assert "cannot be both input and output" in done.stderr
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {name: row for name in names}
