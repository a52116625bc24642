"""Rollouts of the next iteration while the trainer works (cluster.staleness = 1): which worker generates what, and when a
process is lost, does not change the samples."""
import random
import signal

import pytest

from cluster_support import FAULTS, Etcd, Gate, Workers, assert_same_run, finish, kill_workers, write_run
from resume_support import kill_until_done, metrics, start
from support import longshot, tiny_model

ITERATIONS = 20


def prepare(setting, name, staleness=1):
    return write_run(setting, name, ITERATIONS, f"staleness = {staleness}\n")


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("staleness")
    model, data = tiny_model(root)
    etcd = Etcd(root / "etcd")
    made = root, model, data, etcd
    file, run, url = prepare(made, "whole")
    with Workers(url, root, 1):
        finish(start(file))
    yield made
    etcd.stop()


def test_samples_are_one_version_old_from_the_second_iteration_on(setting):
    run = setting[0] / "whole"
    seen = metrics(run)
    assert [row["step"] for row in seen][-1] == ITERATIONS
    # Only tokens of the current weights are compared with the trainer's; later iterations have none.
    gaps = [row["step"] for row in seen if "training/rollout_probs_diff_mean" in row]
    assert gaps == [1], gaps


def test_it_differs_from_taking_turns(setting):
    root = setting[0]
    file, run, url = prepare(setting, "turns", staleness=0)
    with Workers(url, root, 1):
        finish(start(file))
    weights = [(folder / f"global_step_{ITERATIONS}/huggingface/model.safetensors").read_bytes()
               for folder in (run, root / "whole")]
    assert weights[0] != weights[1]


def test_workers_that_are_killed_change_nothing(setting):
    root = setting[0]
    rng, kills, runs = random.Random(5), 0, 0
    while kills < FAULTS:
        file, run, url = prepare(setting, f"killed{runs}")
        with Workers(url, root, 3) as workers:
            kills += kill_workers(start(file), run, workers, rng)
        assert_same_run(run, root / "whole", ITERATIONS)
        runs += 1
        assert runs < 60


def test_a_coordinator_that_is_killed_continues_exactly(setting):
    root = setting[0]
    rng, kills, runs = random.Random(6), 0, 0
    while kills < FAULTS:
        file, run, url = prepare(setting, f"led{runs}")
        with Workers(url, root, 2):
            kills += kill_until_done(file, lambda: rng.uniform(0.6, 4.6))
        assert_same_run(run, root / "whole", ITERATIONS)
        runs += 1
        assert runs < 60


def test_further_rounds_for_dropped_groups_are_exact_too(setting):
    """The first round of an iteration is generated during the update before, the others when they are needed."""
    root, rng, kills, runs = setting[0], random.Random(8), 0, 0

    def filtered(name):
        file, run, url = prepare(setting, name)
        text = file.read_text().replace("[data]", "[data]\nfilter = 'greso'")
        file.write_text(text.replace("[algorithm]", "[algorithm]\nfilter_groups.enable = true"))
        return file, run, url

    file, run, url = filtered("filtered")
    with Workers(url, root, 1):
        finish(start(file))
    rows = [row for row in metrics(run) if row["step"] > 0]
    assert max(row["train/num_gen_batches"] for row in rows) > 1
    # Samples of later rounds are of the current weights.
    assert any("training/rollout_probs_diff_mean" in row for row in rows[1:])
    while kills < FAULTS:
        file, run, url = filtered(f"filtered{runs}")
        with Workers(url, root, 2):
            kills += kill_until_done(file, lambda: rng.uniform(0.6, 4.6))
        assert_same_run(run, root / "filtered", ITERATIONS)
        runs += 1
        assert runs < 60


def test_ctrl_c_finishes_the_samples_that_are_generated(setting):
    root = setting[0]
    file, run, url = prepare(setting, "stopped")
    gate = Gate(run, 3)
    with Workers(url, root, 2):
        process = start(file)
        gate.wait(process)
        process.send_signal(signal.SIGINT)
        gate.open()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130 and "continues from there" in errors, errors
        finish(start(file))
    assert_same_run(run, root / "whole", ITERATIONS)


def test_reused_groups_are_exact_too(setting):
    """The groups of the next iteration that are not generated are known when its samples are begun."""
    root, rng, kills, runs = setting[0], random.Random(9), 0, 0

    def reusing(name):
        file, run, url = prepare(setting, name)
        file.write_text(file.read_text() + "[replay]\nratio = 0.5\n")
        return file, run, url

    file, run, url = reusing("reusing")
    with Workers(url, root, 1):
        finish(start(file))
    reused = [row["replay/reused"] for row in metrics(run)[1:]]
    assert reused[0] == 0 and max(reused) == 4 and min(reused[1:]) > 0, reused
    while kills < FAULTS:
        file, run, url = reusing(f"reusing{runs}")
        with Workers(url, root, 2):
            kills += kill_until_done(file, lambda: rng.uniform(0.6, 4.6))
        assert_same_run(run, root / "reusing", ITERATIONS)
        runs += 1
        assert runs < 60


def test_a_replay_buffer_that_would_drop_everything_is_refused(setting):
    root = setting[0]
    file, run, _ = prepare(setting, "dropped")
    assert "replay.staleness" in longshot("train", file, "replay.staleness=0", code=2).stderr
    assert "cluster.staleness" in longshot("train", file, "cluster.staleness=-1", code=2).stderr
    assert not run.exists()
