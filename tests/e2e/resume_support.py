"""Shared by the tests of interrupted and resumed runs: configurations of tiny runs, and parts that must not differ."""
import json
import os
import signal
import subprocess
import time

from support import LONGSHOT, longshot

# These depend on the clock or on the number of starts of the program, not on the computation.
TIMED = ("timing_s/", "perf/", "memory/", "rollout/seconds", "rollout/tokens_per_second", "reward/seconds")


def train_config(run, model, data, iterations):
    """Configuration of a run in which every part of the state matters: unfinished samples, prioritized prompts, kept moments."""
    return f"""
[model]
path = "{model}"
[data]
train_files = ["{data}/train.jsonl"]
val_files = ["{data}/val.jsonl"]
train_batch_size = 8
max_prompt_length = 24
max_response_length = 48
order = "prioritized"
[rollout]
n = 4
token_budget = 300
max_concurrent = 16
[algorithm]
mini_batches = 2
reset_optimizer = false
[optim]
lr = 3e-4
schedule = "cosine"
[reward]
length_weight = 0.1
length_warmup_iterations = 4
[trainer]
total_iterations = {iterations}
save_freq = 2
test_freq = 5
keep_checkpoints = 2
val_max_prompts = 16
threads = 2
default_local_dir = "{run}"
"""


def start(config_file, *overrides, command="train", **options):
    return subprocess.Popen([LONGSHOT, command, str(config_file), *map(str, overrides)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, **options)


def kill_until_done(file, instant, command="train", limit=240):
    """Starts the run and kills it after instant() seconds, repeatedly until one start finishes. Returns the number of kills."""
    kills, started = 0, time.time()
    while True:
        process = start(file, command=command)
        try:
            _, errors = process.communicate(timeout=instant())
            assert process.returncode == 0, errors
            return kills
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        assert time.time() - started < limit


def killed_runs(prepare, kills, rng, command="train"):
    """Kills runs at random moments, from their start to their last checkpoint, until that many starts were killed.

    Yields the folder of each run when the run has ended. prepare(name) writes a configuration and returns its file and the
    folder of its run. The moments follow the time that a run without kills takes; a run that was never killed measures it
    again, because the speed of a machine changes.
    """
    file, _ = prepare("timed")
    started = time.time()
    longshot(command, file)
    whole_time = time.time() - started
    killed = runs = 0
    while killed < kills:
        assert runs < 3 * kills
        file, run = prepare(f"killed{runs}")
        started = time.time()
        now = kill_until_done(file, lambda: whole_time * rng.uniform(0.15, 1.1), command=command)
        if now == 0:
            whole_time = time.time() - started
        killed += now
        runs += 1
        yield run
    print(f"{killed} kills in {runs} runs; a whole run takes {whole_time:.1f} s")


def without_clock(row):
    return {name: value for name, value in row.items() if not name.startswith(TIMED)}


def metrics(run):
    return [without_clock(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]


def lines(run):
    log = run / "metrics.jsonl"
    return log.read_text().count("\n") if log.exists() else 0


def contents(folder):
    """Everything below the folder: {relative path: bytes of a file, target of a link, None for a folder}."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[key] = os.readlink(path)
            elif os.path.isdir(path):
                found[key] = None
            else:
                with open(path, "rb") as file:
                    found[key] = file.read()
    return found


def checkpoints(run):
    return sorted(int(folder.name.rsplit("_")[-1]) for folder in run.glob("global_step_*"))


def interrupt(file, run, has_come, command="train", number=signal.SIGINT, overrides=()):
    """Starts the run and sends the signal as soon as has_come() is true. Returns the newest checkpoint."""
    at_once = has_come()
    process = start(file, *overrides, command=command)
    deadline = time.time() + 120
    while not has_come():
        assert time.time() < deadline and process.poll() is None, process.communicate()[1]
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    # There is no signal handler until the program's libraries are loaded; before that, the signal itself ends the program.
    before_main = at_once and process.returncode == -number
    assert before_main or (process.returncode == 130 and "stopped" in errors), (process.returncode, errors)
    return run / f"global_step_{checkpoints(run)[-1]}"


def refused(run, file, *overrides, command="train", code=2):
    """Returns the program's error messages; the folder must remain unchanged."""
    before = contents(run)
    done = longshot(command, file, *overrides, code=code)
    assert contents(run) == before
    assert done.stdout == ""
    return done.stderr
