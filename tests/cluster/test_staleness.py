"""Rollouts of the next iteration while the trainer works (cluster.staleness = 1): which worker generates what, and when a
process is lost, does not change the samples."""
import random
import signal
import time

import pytest

from cluster_support import FAULTS, Etcd, Gate, Workers, assert_same_run, cluster_config
from resume_support import kill_until_done, lines, metrics, start
from support import longshot, tiny_model


ITERATIONS = 20


def prepare(root, model, data, url, name, staleness=1):
    file = root / f"{name}.toml"
    config = cluster_config(root / name, model, data, ITERATIONS)
    file.write_text(config.replace("[cluster]\n", f"[cluster]\nurl = '{url}/{name}'\nstaleness = {staleness}\n"))
    return file, root / name, f"{url}/{name}"


def finish(process):
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("staleness")
    model, data = tiny_model(root)
    etcd = Etcd(root / "etcd")
    file, run, url = prepare(root, model, data, etcd.url, "whole")
    with Workers(url, root, 1):
        finish(start(file))
    yield root, model, data, etcd.url
    etcd.stop()


def test_samples_are_one_version_old_from_the_second_iteration_on(setting):
    run = setting[0] / "whole"
    seen = metrics(run)
    assert [row["step"] for row in seen][-1] == ITERATIONS
    # Only tokens of the current weights are compared with the trainer's; later iterations have none.
    gaps = [row["step"] for row in seen if "training/rollout_probs_diff_mean" in row]
    assert gaps == [1], gaps


def test_it_differs_from_taking_turns(setting):
    root, model, data, url = setting
    file, run, own = prepare(root, model, data, url, "turns", staleness=0)
    with Workers(own, root, 1):
        finish(start(file))
    weights = [(folder / f"global_step_{ITERATIONS}/huggingface/model.safetensors").read_bytes()
               for folder in (run, root / "whole")]
    assert weights[0] != weights[1]


def test_workers_that_are_killed_change_nothing(setting):
    root, model, data, url = setting
    rng, kills, runs = random.Random(5), 0, 0
    while kills < FAULTS:
        file, run, own = prepare(root, model, data, url, f"killed{runs}")
        with Workers(own, root, 3) as workers:
            process = start(file)
            while process.poll() is None:
                time.sleep(rng.uniform(0.05, 0.4))
                if process.poll() is None and lines(run) > 0:
                    workers.replace(rng.randrange(3))
                    kills += 1
            finish(process)
        assert_same_run(run, root / "whole", ITERATIONS)
        runs += 1
        assert runs < 60


def test_a_coordinator_that_is_killed_continues_exactly(setting):
    root, model, data, url = setting
    rng, kills, runs = random.Random(6), 0, 0
    while kills < FAULTS:
        file, run, own = prepare(root, model, data, url, f"led{runs}")
        with Workers(own, root, 2):
            kills += kill_until_done(file, lambda: rng.uniform(0.6, 4.6))
        assert_same_run(run, root / "whole", ITERATIONS)
        runs += 1
        assert runs < 60


def test_ctrl_c_finishes_the_samples_that_are_generated(setting):
    root, model, data, url = setting
    file, run, own = prepare(root, model, data, url, "stopped")
    gate = Gate(run, 3)
    with Workers(own, root, 2):
        process = start(file)
        gate.wait(process)
        process.send_signal(signal.SIGINT)
        gate.open()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130 and "continues from there" in errors, errors
        finish(start(file))
    assert_same_run(run, root / "whole", ITERATIONS)


def test_a_replay_buffer_that_would_drop_everything_is_refused(setting):
    root, model, data, url = setting
    file, run, _ = prepare(root, model, data, url, "dropped")
    assert "replay.staleness" in longshot("train", file, "replay.staleness=0", code=2).stderr
    assert "0 or 1" in longshot("train", file, "cluster.staleness=2", code=2).stderr
    assert not run.exists()
