"""experiments/: its configurations run, commands are not repeated, and its statistics have hand-worked values."""
import importlib
import json
import sys

import pytest

from support import LONGSHOT, ROOT, longshot

sys.path.insert(0, str(ROOT / "experiments"))
import harness  # noqa: E402
import paired  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    longshot("data", "make", "--task", "search", "--out", folder, "--train", 64, "--val", 8, "--sft", 200)
    return folder


def test_a_command_runs_once_and_a_failure_ends_the_experiment(tmp_path, data):
    runner = harness.Harness(LONGSHOT, tmp_path)
    run = tmp_path / "search/sft_1"
    command = ["sft", ROOT / "experiments/configs/search_sft.toml", f"model.alphabet_file={data}/alphabet.txt",
               f"data.train_files=['{data}/sft.jsonl']", "trainer.total_steps=3", f"trainer.default_local_dir={run}"]
    assert runner.longshot(run / "huggingface", *command) == run / "huggingface"
    log = tmp_path / "logs/search_sft_1_huggingface.log"
    written = log.read_text()
    runner.longshot(run / "huggingface", *command)
    assert log.read_text() == written
    with pytest.raises(SystemExit, match="exit code 2"):
        runner.longshot(tmp_path / "none", "sft", "missing.toml")
    curve = runner.train("search_rl.toml", tmp_path / "rl", 1, f"model.path={run}/huggingface",
                         f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']",
                         "trainer.total_iterations=1", "trainer.test_freq=1", "trainer.save_freq=1", "trainer.val_n=1",
                         "data.train_batch_size=2", "rollout.n=2", "algorithm.mini_batches=1")
    assert curve["iterations"] == [0, 1] and len(curve["accuracy"]) == len(curve["length"]) == 2 and curve["cores"] > 0


def test_statistics():
    mean, low, high = paired.interval([1, 2, 3])
    assert (mean, low, high) == pytest.approx((2, 2 - 4.303 / 3 ** 0.5, 2 + 4.303 / 3 ** 0.5))
    assert paired.ranks([5, 1, 5, 3]) == [3.5, 1, 3.5, 2]
    assert paired.spearman([1, 2, 3, 4], [10, 20, 15, 40]) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert paired.spearman([1, 1, 1], [1, 2, 3]) == 0
    assert paired.area([0, 10, 30], [0, 1, 1]) == pytest.approx(25 / 30)
    with pytest.raises(ValueError):
        paired.interval([1])


def line(seed, arm, accuracy, length, **more):
    return {"seed": seed, "arm": arm, "iterations": [0, 10, 20], "accuracy": accuracy, "length": length, **more}


def test_criteria_hold_and_fail_as_they_say():
    figure5 = importlib.import_module("claims.figure5")
    rising = [line(s, "kimi", [0.3, 0.4 + s / 100, 0.5], [50, 60, 70 + s], gain_least_growth=0, gain_most_growth=0.1 + s / 100)
              for s in (1, 2, 3)]
    assert all(holds for _, _, holds in figure5.judge(rising))
    falling = [dict(x, length=x["length"][::-1]) for x in rising]
    assert [holds for _, _, holds in figure5.judge(falling)] == [True, False, False, True]
    figure10 = importlib.import_module("claims.figure10")
    lines = [line(s, a, [0.3, 0.5 if a == "kimi" else 0.4, 0.5 + s / 100], [50, 60, 70], rate=rate)
             for s in (1, 2, 3) for a in figure10.ALGORITHMS for rate in figure10.RATES]
    (_, gap, holds), *others = figure10.judge(lines)
    assert gap == pytest.approx((0.05, 0.05, 0.05)) and holds and all(o[2] is None for o in others)


def test_what_a_problem_gained(tmp_path):
    figure5 = importlib.import_module("claims.figure5")
    rows = [{"prompt_id": p, "correct": c, "tokens": t} for p, c, t in [("a", True, 4), ("a", False, 8), ("b", True, 5)]]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert figure5.by_problem(tmp_path / "s.jsonl") == {"a": (0.5, 6), "b": (1, 5)}
    before = {str(i): (0.0, 10.0) for i in range(8)}
    after = {str(i): (i / 8, 10.0 + i) for i in range(8)}
    assert figure5.gain_by_growth(before, after) == pytest.approx((1 / 16, 13 / 16))
