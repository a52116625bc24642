"""experiments/: the commands of every claim run, none is repeated, and its statistics have hand-worked values."""
import importlib
import json
import re
import subprocess
import sys
import threading

import pytest

from support import LONGSHOT, ROOT, longshot

sys.path.insert(0, str(ROOT / "experiments"))
import efficiency  # noqa: E402
import harness  # noqa: E402
import paired  # noqa: E402

CLAIMS = ["ablations", "figure10", "figure5", "figure7", "figure8", "figure9", "hackable", "length_penalty",
          "partial_reserve", "partial_rollouts", "rechecks", "reward_models"]


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
    rising = [line(s, "kimi", [0.3, 0.4 + s / 100, 0.5], [50, 60, 70 + s], gain_least_growth=0, gain_most_growth=0.1 + s / 100,
                   tokens_right=40, tokens_wrong=50 + s)
              for s in (1, 2, 3)]
    assert [holds for _, _, holds in figure5.judge(rising)] == [True, True, True, True, None]
    assert figure5.judge(rising)[-1][1][0] == pytest.approx(12)
    falling = [dict(x, length=x["length"][::-1]) for x in rising]
    assert [holds for _, _, holds in figure5.judge(falling)] == [True, False, False, True, None]
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
    assert figure5.tokens_by_outcome(tmp_path / "s.jsonl") == [4.5, 8]
    before = {str(i): (0.0, 10.0) for i in range(8)}
    after = {str(i): (i / 8, 10.0 + i) for i in range(8)}
    assert figure5.gain_by_growth(before, after) == pytest.approx((1 / 16, 13 / 16))


def test_paired_differences():
    lines = [line(s, arm, [0.1, 0.2, 0.3 + (arm == "b") * s / 10], [50, 60, 70]) for s in (1, 2, 3) for arm in "ab"]
    assert paired.between(lines[0], 10, 20) == pytest.approx(0.25)
    assert paired.gap(lines, "b", "a", lambda x: x["accuracy"][-1]) == pytest.approx(paired.interval([0.1, 0.2, 0.3]))


def test_token_efficiency():
    samples = [(True, 10), (True, 30), (False, 20), (True, 40)]
    assert efficiency.cut(samples, 30) == [(True, 10), (True, 30), (False, 20), (False, 30)]
    assert efficiency.curve(samples, [0, 10]) == [(0, 0), (10, 0.25)]
    assert efficiency.under_budgets(samples, [10, 40]) == (0.25 + 0.75) / 2
    assert efficiency.accuracy_at(samples, 25) == 0.75 == efficiency.accuracy(samples)  # 25 is the whole mean length
    assert efficiency.accuracy_at(samples, 99) == 0.75
    assert efficiency.accuracy_at(samples, 10) == 0.25  # at budget 10 all have 10 tokens
    assert efficiency.accuracy_at(samples, 22.25) == pytest.approx(0.375)  # budgets 29 and 30 have 22 and 22.5 tokens
    assert efficiency.excess(samples, samples) == 0
    assert efficiency.excess([(True, 10), (False, 10)], samples) == 0.25


def verdicts(name, lines):
    return [holds for _, _, holds in importlib.import_module(f"claims.{name}").judge(lines)]


def test_criterion_of_long2short():
    def arms(efficiencies, rl_length):
        return [{"seed": s, "arm": arm, "accuracy": 0.5, "efficiency": value + s / 1000,
                 "length": rl_length if arm == "rl" else 100}
                for s in (1, 2, 3) for arm, value in efficiencies.items()]

    report = {"long": 0, "short": 0.05, "merge": 0.1, "merge_rs": 0.15, "rs": 0.16, "dpo": 0.2, "rl": 0.3}
    assert verdicts("figure7", arms(report, 60)) == [True, True, True, None, None, True, True, True] + [None] * 6
    other = dict(report, dpo=0.4, merge_rs=0.08)
    assert verdicts("figure7", arms(other, 110)) == [False, True, True, None, None, True, False, False] + [None] * 6


def test_criterion_of_size_and_length():
    def arms(small, budgets):
        return [line(s, arm, [0.2, 0.3, end + s / 1000], [50, 60, length], under_budgets=under)
                for s in (1, 2, 3)
                for arm, end, length, under in [("small", small, 120, 0.2), ("large", 0.6, 120, budgets),
                                                ("large_short", 0.35, 30, 0.3)]]

    assert verdicts("figure8", arms(0.34, 0.3)) == [True, True, True, None]
    assert verdicts("figure8", arms(0.32, 0.2)) == [False, True, False, None]


def curves(ends, **more):
    """Arm -> its accuracy from half of the 60 iterations on; all begin at 0.2."""
    return [{"seed": s, "arm": arm, "iterations": [0, 20, 30, 60], "accuracy": [0.2, 0.2, end, end + s / 1000],
             "length": [50, 60, 70, 80], "sources": {kind: [0.2, 0.2, end, end] for kind in ("easy", "hard")},
             **more.get(arm, {})}
            for s in (1, 2, 3) for arm, end in ends.items()]


def test_criterion_of_the_curriculum():
    for curriculum, holds in ((0.6, True), (0.5, False)):
        lines = curves({"uniform": 0.5, "curriculum": curriculum, "prioritized": 0.7})
        assert verdicts("figure9", lines) == [holds, None, None, None]


def test_criterion_of_guessed_problems():
    good, bad = ({"filtered": {"removed_easy": easy, "removed_hard": 0.4}} for easy in (0.9, 0.5))
    assert verdicts("hackable", curves({"all": 0.5, "filtered": 0.6}, **good)) == [True, True, None]
    assert verdicts("hackable", curves({"all": 0.5, "filtered": 0.5}, **bad)) == [False, False, None]


def test_criterion_of_the_length_penalty():
    short = {arm: {"length": [50, 60, 60, 40]} for arm in ("late", "from_start")}
    lines = curves({"none": 0.6, "from_start": 0.5, "late": 0.6}, **short)
    assert verdicts("length_penalty", lines) == [True, True, True, None]
    lines = curves({"none": 0.6, "from_start": 0.5, "late": 0.4})
    assert verdicts("length_penalty", lines) == [False, False, False, None]


def test_criterion_of_the_reward_models():
    rewards = {arm: {"verdicts": 0.5} for arm in ("classic", "cot")}
    lines = curves({"exact": 0.6, "classic": 0.2, "cot": 0.5}, **rewards)
    assert verdicts("reward_models", lines) == [True, True] + [None] * 5
    lines = curves({"exact": 0.6, "classic": 0.2, "cot": 0.1}, **rewards)
    assert verdicts("reward_models", lines) == [False, False] + [None] * 5


def test_criterion_of_partial_rollouts():
    rows = [{"step": 0, "val/accuracy": 0.1}] + [
        {"step": i, "rollout/generated_tokens": 2e6, "rollout/decode_steps": 10 * i} for i in (1, 2, 3)]
    partial = importlib.import_module("claims.partial_rollouts")
    assert partial.rollouts(rows, [0, 2, 3]) == {"generated": [0, 4, 6], "passes_mean": 20, "passes_max": 30}
    assert partial.at({"generated": [0, 4, 6], "accuracy": [0.1, 0.3, 0.4]}, 5) == pytest.approx(0.35)

    def arms(passes, end):
        return [line(s, arm, [0.2, 0.3, accuracy + s / 1000], [50, 60, 70], generated=[0, 1, 2], passes_mean=n,
                     passes_max=n)
                for s in (1, 2, 3) for arm, n, accuracy in [("whole", 250, 0.5), ("partial", passes, end)]]

    assert verdicts("partial_rollouts", arms(100, 0.49)) == [True, True, True, None]
    assert verdicts("partial_rollouts", arms(190, 0.45)) == [False, True, False, None]
    assert verdicts("partial_reserve", arms(190, 0.45)) == [False, True, False, None]


class Small(harness.Harness):
    """Runs the same commands at a size of seconds: fewer rows, a smaller model, and 2 iterations in place of `last`."""

    FLAGS = {"--train": 24, "--val": 20, "--sft": 600, "--max-problems": 24, "--n": 4}
    OVERRIDES = {"sft": ["model.hidden_size=32", "model.num_layers=2", "model.num_heads=2", "model.num_kv_heads=2",
                         "model.intermediate_size=64", "optim.lr=1e-2", "trainer.total_steps=150",
                         "sft.batch_tokens=2048"],
                 "rm": ["model.hidden_size=32", "model.num_layers=2", "model.num_heads=2", "model.num_kv_heads=2",
                        "model.intermediate_size=64", "trainer.total_steps=20"],
                 "train": ["trainer.total_iterations=2", "trainer.test_freq=1", "trainer.save_freq=2",
                           "trainer.val_n=1", "data.train_batch_size=4", "rollout.n=2", "algorithm.mini_batches=1"]}

    def longshot(self, product, *arguments):
        words = ["rollout.token_budget=200" if str(word).startswith("rollout.token_budget") else word
                 for word in arguments]
        for flag, value in self.FLAGS.items():
            if flag in words:
                words[words.index(flag) + 1] = value
        if any(str(word).startswith("model.path=") for word in words) and words[0] == "sft":
            words.append("trainer.total_steps=4")
        else:
            words += self.OVERRIDES.get(words[0], [])
        if words[0] == "train" and not product.exists():
            super().longshot(product.with_name("global_step_2"), *words)
            product.symlink_to("global_step_2")
        return super().longshot(product, *words)

    def train(self, config, run, last, *overrides):
        return {**super().train(config, run, last, *overrides), "iterations": [0, last // 2, last]}


@pytest.mark.parametrize("name", CLAIMS)
def test_the_commands_of_a_claim_run(name, tmp_path_factory):
    """All claims share a folder, as in real runs. Every arm is in the results, the criterion has a verdict, and a
    second run repeats no command."""
    runner = Small(LONGSHOT, tmp_path_factory.getbasetemp() / "claims", threads=1)
    claim = importlib.import_module(f"claims.{name}")
    lines = claim.run(runner, 1)
    assert {line["arm"] for line in lines} == set(getattr(claim, "ARMS", None) or claim.ALGORITHMS)
    verdicts = claim.judge([{"seed": seed, **line} for seed in (1, 2) for line in lines])
    assert any(holds is not None for _, _, holds in verdicts)
    logs = {path: path.read_text() for path in (runner.out / "logs").iterdir()}
    assert claim.run(runner, 1) == lines
    assert {path: path.read_text() for path in (runner.out / "logs").iterdir()} == logs


def test_seeds_side_by_side(tmp_path):
    """Two threads ask for the same product: the command runs once, with the number of threads that it was given."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nsleep 0.2\necho $* >> {tmp_path}/calls\ntouch {tmp_path}/product\n")
    program.chmod(0o755)
    runner = harness.Harness(program, tmp_path, threads=3)
    pool = [threading.Thread(target=runner.longshot, args=(tmp_path / "product", "eval", "--n", 1)) for _ in range(2)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    assert (tmp_path / "calls").read_text() == "eval --n 1 --threads=3\n"


def test_the_runner_lists_every_claim():
    done = subprocess.run([sys.executable, ROOT / "experiments/run", "--help"], capture_output=True, text=True,
                          check=True)
    assert re.search(r"\{(.*?)\}", done.stdout)[1].split(",") == CLAIMS
