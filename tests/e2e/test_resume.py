"""kill -9 at random instants, then resume: later metrics and final weights equal those of the uninterrupted run bit for bit."""
import json
import random
import signal
import time

import pytest

from resume_support import contents, interrupt, kill_until_done, killed_runs, lines, metrics, start, train_config
from support import longshot, tiny_model

ITERATIONS = 30
KILLS = 24


def final_weights(run):
    return (run / f"global_step_{ITERATIONS}/huggingface/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    model, data = tiny_model(root)
    file, run = write_config(root, "whole", model, data)
    longshot("train", file)
    return root, model, data, run


def write_config(root, name, model, data):
    file = root / f"{name}.toml"
    file.write_text(train_config(root / name, model, data, ITERATIONS))
    return file, root / name


def assert_equal_runs(run, whole):
    expected, seen = metrics(whole), metrics(run)
    assert [row["step"] for row in seen] == [row["step"] for row in expected]
    for a, b in zip(seen, expected):
        assert a == b
    assert final_weights(run) == final_weights(whole)


def test_several_rollout_workers_repeat_and_resume(setting):
    root, model, data, _ = setting
    runs = []
    for name in ("workers", "workers_killed"):
        file, run = write_config(root, name, model, data)
        file.write_text(file.read_text().replace("token_budget = 300", "token_budget = 300\nworkers = 2"))
        runs.append((file, run))
    started = time.time()
    longshot("train", runs[0][0])
    whole_time = time.time() - started
    rng = random.Random(7)
    kill_until_done(runs[1][0], lambda: whole_time * rng.uniform(0.3, 1.1))
    assert metrics(runs[0][1])[5]["rollout/workers"] == 2
    assert_equal_runs(runs[1][1], runs[0][1])


def test_partial_rollouts_really_occur(setting):
    rows = metrics(setting[3])
    assert sum(row.get("rollout/partial_share", 0) > 0 for row in rows) >= 3
    assert any(row.get("replay/partials", 0) > 0 for row in rows)


def test_a_second_run_is_equal(setting):
    root, model, data, whole = setting
    file, run = write_config(root, "again", model, data)
    longshot("train", file)
    assert_equal_runs(run, whole)


def test_kill_at_random_instants(setting):
    root, model, data, whole = setting
    for run in killed_runs(lambda name: write_config(root, name, model, data), KILLS, random.Random(20)):
        assert_equal_runs(run, whole)


def test_kill_in_the_middle_of_writing_a_checkpoint(setting):
    root, model, data, whole = setting
    kills = 0
    for attempt in range(6):
        file, run = write_config(root, f"writing{attempt}", model, data)
        process = start(file)
        seen = 0
        # Polls without pause for the folder in which a checkpoint is prepared, and kills when it appears for the nth
        # time.
        while process.poll() is None and seen <= attempt:
            if (run / "checkpoint.tmp").exists():
                seen += 1
                while seen <= attempt and (run / "checkpoint.tmp").exists() and process.poll() is None:
                    pass
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += (run / "checkpoint.tmp").exists()
        process.communicate()
        longshot("train", file)
        assert_equal_runs(run, whole)
    print(f"{kills} of 6 kills left an unfinished checkpoint")
    assert kills >= 1


def assert_refused_while_in_use(file, run, command):
    """A second run in the folder is refused and writes nothing; after kill -9 of the first run, the folder can be used."""
    first = start(file, command=command)
    try:
        deadline = time.time() + 60
        while not lines(run):
            assert time.time() < deadline and first.poll() is None
        first.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # until all its threads have stopped
        before = contents(run)
        refused = longshot(command, file, code=2)
        assert f"{run} is in use by process {first.pid}: " in refused.stderr
        assert refused.stdout == "" and contents(run) == before
    finally:
        first.kill()
        first.communicate()
    longshot(command, file)


def test_a_second_run_on_one_folder_is_refused(setting):
    root, model, data, whole = setting
    file, run = write_config(root, "in_use", model, data)
    assert_refused_while_in_use(file, run, "train")
    assert_equal_runs(run, whole)


def test_a_second_fine_tuning_on_one_folder_is_refused(setting):
    root = setting[0]
    file, run = root / "sft_in_use.toml", root / "sft_in_use"
    file.write_text((root / "sft.toml").read_text().replace(f'"{root}/sft"', f'"{run}"'))
    assert_refused_while_in_use(file, run, "sft")
    assert metrics(run) == metrics(root / "sft")


def test_ctrl_c_saves_and_the_next_run_is_equal(setting):
    root, model, data, whole = setting
    file, run = write_config(root, "interrupted", model, data)
    for step in (4, 11, 18):
        interrupt(file, run, lambda: lines(run) >= step)
    longshot("train", file)
    assert_equal_runs(run, whole)


def test_ctrl_c_during_an_evaluation_is_made_up_for(setting):
    """The samples of an iteration are written before its evaluation, its metrics after it."""
    root, model, data, whole = setting
    cut = 0
    for attempt in range(20):
        file, run = write_config(root, f"untested{attempt}", model, data)
        # The delays cover the update and the evaluation after the samples of iteration 5.
        samples = run / "samples/samples_000005.jsonl"
        newest = interrupt(file, run, lambda: samples.exists() and not time.sleep(0.004 * attempt))
        cut += newest.name == "global_step_5" and bool(json.loads((newest / "state.json").read_text())["unfinished"])
        # Twice: if the next start is killed early, the checkpoint whose evaluation is missing remains the newest.
        interrupt(file, run, lambda: lines(run) >= 7)
        longshot("train", file)
        assert_equal_runs(run, whole)
        if cut == 2:
            break
    print(f"{cut} evaluations were interrupted in {attempt + 1} runs")
    assert cut >= 1


SLOW_JUDGE = """
import pathlib, time

def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    if (extra_info or {}).get("held_out"):
        pathlib.Path("JUDGING").touch()
        time.sleep(0.5)
    return float(solution_str.strip().endswith(str(ground_truth)))
"""


def test_ctrl_c_while_an_evaluation_is_judged_is_made_up_for(setting):
    """Judgements that a stop interrupts are neither wrong answers nor errors of the evaluation."""
    root, model, data, _ = setting
    judging, runs = root / "judging", []
    (root / "slow.py").write_text(SLOW_JUDGE.replace("JUDGING", str(judging)))
    rows = [json.loads(line) for line in (data / "val.jsonl").read_text().splitlines()]
    held_out = root / "held_out.jsonl"
    held_out.write_text("".join(json.dumps({**row, "extra_info": {"held_out": True}}) + "\n" for row in rows))
    for name in ("judged", "judged_stopped"):
        file, run = write_config(root, name, model, data)
        file.write_text(file.read_text().replace(f"{data}/val.jsonl", str(held_out))
                        .replace("total_iterations = 30", "total_iterations = 5")
                        .replace("val_max_prompts = 16", "val_max_prompts = 4\nval_before_train = false")
                        .replace("[reward]", f"[reward]\nfunctions = [{{type = 'python', path = '{root}/slow.py'}}]"))
        runs.append((file, run))
    longshot("train", runs[0][0])
    judging.unlink()
    newest = interrupt(*runs[1], judging.exists)
    assert newest.name == "global_step_5"
    longshot("train", runs[1][0])
    assert metrics(runs[1][1]) == metrics(runs[0][1])
    assert metrics(runs[1][1])[-1]["val/errors"] == 0


def test_an_adapter_with_moments_in_8_bits_resumes(setting):
    root, model, data, _ = setting
    runs = []
    for name in ("lora", "lora_killed"):
        file, run = write_config(root, name, model, data)
        file.write_text(file.read_text().replace("[data]", "lora_rank = 4\nfreeze = ['*.k_proj.*']\n[data]")
                        .replace("[optim]", "[optim]\nmoments = 'int8'"))
        runs.append((file, run))
    started = time.time()
    done = longshot("train", runs[0][0])
    whole_time = time.time() - started
    rng = random.Random(9)
    kill_until_done(runs[1][0], lambda: whole_time * rng.uniform(0.3, 1.1))
    adapters = [run / f"global_step_{ITERATIONS}/adapter" for _, run in runs]
    assert done.stdout.strip() == str(adapters[0])
    assert metrics(runs[1][1]) == metrics(runs[0][1])
    assert not (adapters[0].parent / "huggingface").exists()
    names = [(a / "adapter_model.safetensors").read_bytes() for a in adapters]
    assert names[0] == names[1]
    longshot("eval", "--model", adapters[0], "--data", f"{data}/val.jsonl", "--max-tokens", 48)
