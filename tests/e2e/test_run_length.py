"""trainer.total_epochs, trainer.val_only, and --dry-run --show-tokens."""

import json
import re

import pytest

from resume_support import metrics
from support import longshot, tiny_model, write_rl


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A run of 2 epochs over 400 prompts in batches of 150: 4 iterations, a checkpoint and an evaluation after each second."""
    root = tmp_path_factory.mktemp("length")
    model, data = tiny_model(root)
    file = write_rl(root / "run.toml", model, data,
                    {"data.train_batch_size": 150, "data.max_response_length": 8, "rollout.n": 2, "optim.lr": 1e-3,
                     "optim.schedule": "linear", "trainer.total_epochs": 2, "trainer.test_freq": 2, "trainer.save_freq": 2})
    return root, file, longshot("train", file)


def test_epochs_are_whole_batches(setting):
    root, file, done = setting
    assert "iterations 1 to 4" in done.stderr
    rows = metrics(root / "run")
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    rates = [row["actor/lr"] for row in rows[1:] if "actor/lr" in row]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.3 * rates[0]
    assert "4 iterations" in longshot("train", file, f"trainer.default_local_dir={root}/dry", "--dry-run").stderr


def test_epochs_train_as_their_iterations_do_and_continue_exactly(setting):
    root, file, _ = setting
    longshot("train", file, f"trainer.default_local_dir={root}/counted", "trainer.total_epochs=0",
             "trainer.total_iterations=4")
    assert metrics(root / "counted") == metrics(root / "run")
    # Constant, because the linear schedule of one epoch is another one than that of two.
    same = ["optim.schedule=constant"]
    longshot("train", file, *same, f"trainer.default_local_dir={root}/whole")
    for epochs in (1, 2):
        done = longshot("train", file, *same, f"trainer.default_local_dir={root}/parts", f"trainer.total_epochs={epochs}")
    assert "continuing after iteration 2" in done.stderr
    assert metrics(root / "parts") == metrics(root / "whole")


def test_the_plan_counts_the_iterations(setting):
    root, file, _ = setting
    plan = json.loads(longshot("doctor", "--plan", file, f"trainer.default_local_dir={root}/plan", "--json").stdout)
    assert plan["iterations"] == 4
    assert plan["run_seconds"] == pytest.approx(4 * plan["iteration_seconds"])
    assert "for all 4" in longshot("doctor", "--plan", file, f"trainer.default_local_dir={root}/plan").stdout


@pytest.mark.parametrize("override, words", [
    ("trainer.total_iterations=7", ["trainer.total_epochs = 2", "trainer.total_iterations = 7"]),
    ("phase=[{after=1,data.train_batch_size=8}]", ["trainer.total_epochs", "phase 1 changes data.train_batch_size"]),
    ("trainer.total_epochs=-1", ["trainer.total_epochs"]),
    ("trainer.total_epochs=0.5", ["trainer.total_epochs"]),
])
def test_what_contradicts_epochs_is_refused(setting, override, words):
    root, file, _ = setting
    refused = longshot("train", file, f"trainer.default_local_dir={root}/refused", override, code=2).stderr
    assert all(word in refused for word in words), refused


def held_out(folder, step):
    return (folder / f"samples/held_out_{step:06d}.jsonl").read_text()


def test_val_only_evaluates_the_model_and_then_the_run_begins(setting, tmp_path):
    root, file, _ = setting
    here = f"trainer.default_local_dir={tmp_path}/run"
    done = longshot("train", file, here, "trainer.val_only=true")
    assert done.stdout == "" and re.search(r"held-out 0\.\d+ \(95 % interval", done.stderr)
    log = tmp_path / "run/val_only"
    assert metrics(log) == metrics(root / "run")[:1]
    assert held_out(log, 0) == held_out(root / "run", 0)
    assert not list((tmp_path / "run").glob("global_step_*")) and not (tmp_path / "run/metrics.jsonl").exists()
    longshot("train", file, here)
    assert metrics(tmp_path / "run") == metrics(root / "run")


def test_val_only_evaluates_a_checkpoint_and_leaves_the_run_alone(setting):
    root, file, _ = setting
    run = root / "run"

    def content():
        return {path.relative_to(run): path.read_bytes() for path in sorted(run.rglob("*"))
                if path.is_file() and "val_only" not in path.parts}

    before = content()
    done = longshot("train", file, "trainer.val_only=true", f"trainer.resume_mode={run}/global_step_2")
    assert "after iteration 2" in done.stderr and "trainer.val_only" not in done.stderr
    assert "only an evaluation of" in done.stderr and "iterations 3" not in done.stderr
    longshot("train", file, "trainer.val_only=true")
    assert content() == before
    figures = [{name: value for name, value in row.items() if name == "step" or name.startswith("val")}
               for row in metrics(run) if row["step"] in (2, 4)]
    assert metrics(run / "val_only") == figures
    for step in (2, 4):
        assert held_out(run / "val_only", step) == held_out(run, step)


def test_val_only_without_anything_to_evaluate_is_refused(setting, tmp_path):
    _, file, _ = setting
    here = f"trainer.default_local_dir={tmp_path}/run"
    for override, word in (("data.val_files=[]", "data.val_files"), ("trainer.val_before_train=false", "trainer.val_before_train")):
        refused = longshot("train", file, here, "trainer.val_only=true", "trainer.test_freq=0", override, code=2)
        assert word in refused.stderr and "val_only" in refused.stderr
    (tmp_path / "broken.py").write_text("def compute_score(solution_str):\n    raise ValueError('seven')\n")
    broken = f'reward.functions=[{{type="python",path="{tmp_path}/broken.py"}}]'
    failed = longshot("train", file, here, "trainer.val_only=true", broken, code=2)
    assert "could be judged" in failed.stderr and "seven" in failed.stderr


def token_rows(text):
    return [(int(number), logprob, json.loads(piece), rest.strip()) for number, logprob, piece, rest in
            re.findall(r'^ *(\d+) +(-?[\d.]+|) *("(?:[^"\\]|\\.)*")(.*)$', text, re.M)]


def test_dry_run_shows_the_tokens_of_the_first_answer(setting, tmp_path):
    root, file, _ = setting
    log = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", "--dry-run", "--show-tokens").stderr
    prompt, answer = (token_rows(part) for part in log.split("tokens of the prompt:")[1].split("tokens of an answer"))
    first = json.loads((root / "run/samples/samples_000001.jsonl").read_text().splitlines()[0])
    assert "".join(piece for _, _, piece, _ in prompt) == first["prompt"]
    assert all(logprob == "" for _, logprob, _, _ in prompt)
    # It is the first sample of the run, bit for bit.
    ended = first["finish"] == "stop"
    pieces = [piece for _, _, piece, _ in answer]
    assert "".join(pieces[:-1] if ended else pieces) == first["response"] and len(answer) == first["tokens"]
    assert all(float(logprob) <= 0 for _, logprob, _, _ in answer)
    assert [rest for *_, rest in answer] == [""] * (len(answer) - 1) + ["end token" if ended else ""]
    refused = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", "--show-tokens", code=2)
    assert "--dry-run" in refused.stderr


def test_the_last_line_has_the_interval_and_what_to_do_next(setting):
    root, _, done = setting
    last = done.stderr.strip().splitlines()[-1]
    rows = metrics(root / "run")
    accuracies = {row["step"]: row["val/accuracy"] for row in rows if "val/accuracy" in row}
    best = max(accuracies, key=accuracies.get)
    assert (f"held-out {accuracies[0]:.3f} -> {accuracies[4]:.3f} (95 % interval {rows[4]['val/accuracy_low']:.3f} to "
            f"{rows[4]['val/accuracy_high']:.3f}), best {accuracies[best]:.3f} at iteration {best}") in last
    commands = re.findall(r"`longshot ([^`]*)`", last)
    assert commands == [f"report {root}/run", f"eval --model {root}/run --data FILE --max-tokens 8"]
    figures = longshot(*commands[1].replace("FILE", str(root / "data/val.jsonl")).split()).stdout
    assert "pass@1" in figures
