"""[[phase]] tables of train and sft, and the best checkpoint by accuracy and length."""
import collections
import json
import os
import random
import signal
import time

import pytest

from resume_support import contents, killed_runs, metrics, refused, start, train_config
from support import longshot, tiny_model

ITERATIONS = 20
KILLS = 20
PHASES = """
[[phase]]
name = "penalty"
after = 4
reward.length_weight = 0.5
optim = { lr = 1e-4, warmup_steps = 4 }
[[phase]]
when = "val/accuracy >= 0"
times = 2
data = { train_files = ["DATA/other.jsonl"], order = "uniform" }
[[phase]]
name = "short"
after = 14
data.max_response_length = 12
rollout.n = 6
"""


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("phases")
    model, data = tiny_model(root)
    rows = (data / "train.jsonl").read_text().splitlines(keepends=True)
    (data / "other.jsonl").write_text("".join(rows[:100]))
    return root, model, data


def write(root, name, model, data, phases=PHASES):
    file = root / f"{name}.toml"
    text = train_config(root / name, model, data, ITERATIONS) + "keep_best = true\nbest_margin = 0.05\n"
    file.write_text(text.replace('schedule = "cosine"', "") + phases.replace("DATA", str(data)))
    return file, root / name


@pytest.fixture(scope="module")
def whole(setting):
    file, run = write(setting[0], "whole", *setting[1:])
    done = longshot("train", file)
    return file, run, done.stderr


def steps(run):
    return [row for row in metrics(run) if row["step"] > 0]


def longest(rows):
    return max(row["response_length/max"] for row in rows if "response_length/max" in row)


def test_phases_begin_where_their_tables_say(whole):
    _, run, errors = whole
    rows = steps(run)
    # Evaluations are after iterations 5, 10, 15 and 20; the second one after the first phase began is 10.
    assert [row["training/phase"] for row in rows] == [0] * 4 + [1] * 6 + [2] * 4 + [3] * 6
    # Of the second of two optimizer steps; the first iterations have no complete group.
    rates = [(row["training/phase"] > 0, row["actor/lr"]) for row in rows if "actor/lr" in row]
    before, after = ([rate for begun, rate in rates if begun == wanted] for wanted in (False, True))
    assert set(before) == {3e-4}
    assert after == pytest.approx([5e-5] + [1e-4] * (len(after) - 1)) and len(after) > 12
    assert longest(rows[:10]) > 12
    for text in ("phase 1 (penalty) begins after iteration 4", "phase 2 begins after iteration 10",
                 "phase 3 (short) begins after iteration 14"):
        assert text in errors


def test_the_response_cap_and_the_group_size_change(whole):
    rows = steps(whole[1])
    # Samples that were unfinished when the phase began may be longer than its cap.
    assert longest(rows[16:]) <= 12
    assert group_sizes(whole[1], 10) == {4} and group_sizes(whole[1], 20) == {6}


def group_sizes(run, step):
    rows = [json.loads(line) for line in (run / f"samples/samples_{step:06d}.jsonl").read_text().splitlines()]
    return set(collections.Counter(row["prompt_id"] for row in rows).values())


def test_before_the_first_phase_a_run_is_one_without_phases(setting, whole):
    file, run = write(setting[0], "plain", *setting[1:], phases="")
    longshot("train", file, "trainer.total_iterations=4")
    without = [{k: v for k, v in row.items() if k != "training/phase"} for row in steps(whole[1])[:4]]
    assert without == steps(run)


@pytest.mark.parametrize("order, settings", [
    # The new sampler's weights are those of the success rates that it took over.
    ("prioritized", "reward.length_weight = 0.1\ndata.order = 'prioritized'\nalgorithm.tau = 0.02\n"),
    # A phase that is not about the prompts keeps the sampler and its epoch.
    ("uniform", "data.max_response_length = 48\ndata.train_batch_size = 8\nrollout.n = 4\n")])
def test_a_phase_that_changes_no_value_changes_nothing(setting, order, settings):
    root, model, data = setting
    runs = []
    for name, phases in ((f"same_{order}", f"\n[[phase]]\nafter = 3\n{settings}"), (f"none_{order}", "")):
        file, run = write(root, name, model, data, phases)
        longshot("train", file, "trainer.total_iterations=6", "rollout.token_budget=0", f"data.order={order}")
        runs.append([{k: v for k, v in row.items() if k != "training/phase"} for row in steps(run)])
    assert runs[0] == runs[1]


def test_kill_at_random_instants(setting, whole):
    root, model, data = setting
    for run in killed_runs(lambda name: write(root, name, model, data), KILLS, random.Random(4)):
        assert metrics(run) == metrics(whole[1])
        assert model_of(run / f"global_step_{ITERATIONS}") == model_of(whole[1] / f"global_step_{ITERATIONS}")
        assert os.readlink(run / "best") == os.readlink(whole[1] / "best")


def model_of(folder):
    return (folder / "huggingface/model.safetensors").read_bytes()


def test_the_best_checkpoint_is_kept_and_linked(whole):
    _, run, errors = whole
    evaluated = [(row["step"], row["val/accuracy"], row["val/response_length"]) for row in steps(run) if "val/accuracy" in row]
    highest = max(accuracy for _, accuracy, _ in evaluated)
    best = min((e for e in evaluated if e[1] >= highest - 0.05), key=lambda e: (e[2], e[0]))
    assert os.readlink(run / "best") == f"global_step_{best[0]}"
    assert (run / "best/huggingface/config.json").exists()
    assert f"best checkpoint: {run}/best, that of iteration {best[0]}" in errors
    out = longshot("generate", "--model", run / "best", "--prompt", "1+1=", "--max-tokens", 4)
    assert out.stdout


def test_a_checkpoint_knows_its_phase(setting, whole):
    root, model, data = setting
    file, run = write(root, "stopped", model, data)
    longshot("train", file, "trainer.total_iterations=12")  # a phase after the end is only a warning
    fewer, _ = write(root, "fewer", model, data, PHASES.split("[[phase]]")[0])
    message = refused(run, fewer, f"trainer.default_local_dir={run}")
    assert "was saved in phase 2, but the configuration has 0" in message
    # Without the first table, the others would move up.
    others, _ = write(root, "others", model, data, "\n[[phase]]" + PHASES.split("[[phase]]", 2)[2])
    message = refused(run, others, f"trainer.default_local_dir={run}")
    assert "its first 2 [[phase]] tables must be as they were" in message
    # A phase that has not begun may change.
    text = file.read_text().replace("data.max_response_length = 12", "data.max_response_length = 10")
    file.write_text(text)
    done = longshot("train", file)
    assert "changed since the checkpoint: phase" in done.stderr
    assert longest(steps(run)[17:]) <= 10


def test_mistakes_are_found_before_the_first_iteration(setting):
    root, model, data = setting
    for phases, wanted in (
            ("\n[[phase]]\nafter = 3\ndata.train_files = ['DATA/none.jsonl']\n", "phase 1: "),
            ("\n[[phase]]\nafter = 3\ndata.train_batch_size = 500\n", "more than the 400 prompts"),
            ("\n[[phase]]\nafter = 3\nmodel.lora_rank = 4\n", "a phase cannot change model.lora_rank")):
        file, run = write(root, "mistake", model, data, phases)
        assert wanted in longshot("train", file, code=2).stderr
        assert not run.exists() or not contents(run)


def test_a_metric_that_nothing_reports_is_a_warning(setting):
    root, model, data = setting
    file, _ = write(root, "typo", model, data, "\n[[phase]]\nwhen = 'val/acuracy > 0'\noptim.lr = 1e-5\n")
    errors = longshot("train", file, "trainer.total_iterations=6").stderr
    assert "phase 1 waits for val/acuracy, which this run does not report; did you mean val/accuracy?" in errors
    assert "phase 1 did not begin" in errors


def test_a_dry_run_shows_the_phases(whole):
    done = longshot("train", whole[0], "--dry-run")
    assert 'phase 2 begins when val/accuracy >= 0 2 times in a row: data.order = "uniform"' in done.stderr


SFT_PHASES = """
[[phase]]
name = "long"
data.max_length = 96
optim = { lr = 5e-3, schedule = "linear", min_lr_ratio = 0.1, warmup_steps = 3 }
trainer.total_steps = 10
[[phase]]
trainer.total_epochs = 1.0
data.train_files = ["DATA/few.jsonl"]
"""


def write_sft(root, name, data, phases=SFT_PHASES):
    file = root / f"{name}.toml"
    file.write_text((root / "sft.toml").read_text().replace("total_steps = 300", "total_steps = 12\nsave_freq = 3")
                    .replace(f'"{root}/sft"', f'"{root}/{name}"').replace("max_length = 96", "max_length = 24")
                    .replace("lr = 1e-2", 'lr = 1e-2\nschedule = "linear"') + phases.replace("DATA", str(data)))
    return file, root / name


@pytest.fixture(scope="module")
def sft(setting):
    root, _, data = setting
    rows = (data / "sft.jsonl").read_text().splitlines(keepends=True)
    (data / "few.jsonl").write_text("".join(rows[:1000]))
    file, run = write_sft(root, "sft_whole", data)
    return file, run, longshot("sft", file).stderr


def test_sft_phases_follow_one_another(sft):
    _, run, errors = sft
    rates = [row["train/lr"] for row in metrics(run)]
    assert rates[0] == pytest.approx(1e-2) and rates[11] == pytest.approx(1e-3)
    # The second schedule begins with its own warm-up, and so does the third.
    assert rates[12:15] == pytest.approx([5e-3 / 3, 5e-3 * 2 / 3, 5e-3])
    assert rates[21] == pytest.approx(5e-4)
    assert rates[22] == pytest.approx(5e-3 / 3) and rates[-1] == pytest.approx(5e-4)
    assert len(rates) > 28
    assert "phase 1 (long) begins after step 12" in errors and "phase 2 begins after step 22" in errors


def test_the_first_part_of_sft_is_a_run_without_phases(setting, sft):
    file, run = write_sft(setting[0], "sft_plain", setting[2], phases="")
    longshot("sft", file)
    assert metrics(run) == metrics(sft[1])[:12]


def test_sft_continues_in_its_phase(setting, sft):
    root, _, data = setting
    for run in killed_runs(lambda name: write_sft(root, f"sft_{name}", data), KILLS, random.Random(5), command="sft"):
        assert metrics(run) == metrics(sft[1])
        assert model_of(run) == model_of(sft[1])


def kill_at(run, checkpoint, process):
    while not (run / checkpoint).exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_phase_of_sft_that_has_begun_is_fixed(setting, sft):
    root, _, data = setting
    file, run = write_sft(root, "sft_fixed", data)
    kill_at(run, "global_step_15", start(file, command="sft"))
    other, _ = write_sft(root, "sft_other", data, SFT_PHASES.replace("data.max_length = 96", "data.max_length = 64"))
    message = refused(run, other, f"trainer.default_local_dir={run}", command="sft")
    assert "was saved in phase" in message and "[[phase]] tables must be as they were" in message


def test_a_phase_may_be_added_to_sft(setting, sft):
    root, _, data = setting
    first = SFT_PHASES.split("[[phase]]")[0]
    file, run = write_sft(root, "sft_added", data, first)
    kill_at(run, "global_step_3", start(file, command="sft"))
    more, _ = write_sft(root, "sft_more", data, first + "\n[[phase]]\noptim.lr = 1e-5\n")
    longshot("sft", more, f"trainer.default_local_dir={run}")
    assert [row["step"] for row in metrics(run)][-1] == 24


def test_mistakes_in_a_later_phase_of_sft_come_first(setting):
    root, _, data = setting
    for phases, wanted in (("\n[[phase]]\ndata.train_files = ['DATA/none.jsonl']\n", "phase 1: "),
                           ("\n[[phase]]\nafter = 3\noptim.lr = 1e-5\n", "a phase of this command begins where"),
                           ("\n[[phase]]\ntrainer.seed = 4\n", "a phase cannot change trainer.seed")):
        file, run = write_sft(root, "sft_mistake", data, phases)
        assert wanted in longshot("sft", file, code=2).stderr
        assert not run.exists() or not contents(run)
