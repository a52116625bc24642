"""Rollouts of the next iteration while the trainer works (cluster.staleness = 1): which worker generates what, and when a
process is lost, does not change the samples."""
import random

import pytest

from cluster_support import (Gate, Workers, assert_same_run, final_weights, finish, kill_coordinators,
                             kill_workers_of_runs, run_on_one_worker, train_on_one_worker, write_run)
from resume_support import metrics, start
from support import longshot

ITERATIONS = 20


def prepare(setting, name, staleness=1):
    return write_run(setting, name, ITERATIONS, f"staleness = {staleness}\n")


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    with run_on_one_worker(tmp_path_factory.mktemp("staleness"), prepare) as made:
        yield made


def test_samples_are_one_version_old_from_the_second_iteration_on(setting):
    run = setting[0] / "whole"
    seen = metrics(run)
    assert [row["step"] for row in seen][-1] == ITERATIONS
    # Only tokens of the current weights are compared with the trainer's; later iterations have none.
    gaps = [row["step"] for row in seen if "training/rollout_probs_diff_mean" in row]
    assert gaps == [1], gaps


def test_it_differs_from_taking_turns(setting):
    root = setting[0]
    run = train_on_one_worker(*prepare(setting, "turns", staleness=0))
    assert final_weights(run, ITERATIONS) != final_weights(root / "whole", ITERATIONS)


def test_workers_that_are_killed_change_nothing(setting):
    kill_workers_of_runs(lambda name: prepare(setting, name), setting[0] / "whole", ITERATIONS, random.Random(5))


def test_a_coordinator_that_is_killed_continues_exactly(setting):
    kill_coordinators(lambda name: prepare(setting, name), setting[0] / "whole", ITERATIONS, random.Random(6))


def test_further_rounds_for_dropped_groups_are_exact_too(setting):
    """The first round of an iteration is generated during the update before, the others when they are needed."""
    def filtered(name):
        file, run, url = prepare(setting, name)
        text = file.read_text().replace("[data]", "[data]\nfilter = 'greso'")
        file.write_text(text.replace("[algorithm]", "[algorithm]\nfilter_groups.enable = true"))
        return file, run, url

    run = train_on_one_worker(*filtered("filtered"))
    rows = [row for row in metrics(run) if row["step"] > 0]
    assert max(row["train/num_gen_batches"] for row in rows) > 1
    # Samples of later rounds are of the current weights.
    assert any("training/rollout_probs_diff_mean" in row for row in rows[1:])
    kill_coordinators(lambda name: filtered(f"filtered_{name}"), run, ITERATIONS, random.Random(8))


def test_ctrl_c_finishes_the_samples_that_are_generated(setting):
    root = setting[0]
    file, run, url = prepare(setting, "stopped")
    gate = Gate(run, 3)
    with Workers(url, root, 2):
        process = start(file)
        gate.interrupt(process)
        finish(start(file))
    assert_same_run(run, root / "whole", ITERATIONS)


def test_reused_groups_are_exact_too(setting):
    """The groups of the next iteration that are not generated are known when its samples are begun."""
    def reusing(name):
        file, run, url = prepare(setting, name)
        file.write_text(file.read_text() + "[replay]\nratio = 0.5\n")
        return file, run, url

    run = train_on_one_worker(*reusing("reusing"))
    reused = [row["replay/reused"] for row in metrics(run)[1:]]
    assert reused[0] == 0 and max(reused) == 4 and min(reused[1:]) > 0, reused
    kill_coordinators(lambda name: reusing(f"reusing_{name}"), run, ITERATIONS, random.Random(9))


def test_a_replay_buffer_that_would_drop_everything_is_refused(setting):
    file, run, _ = prepare(setting, "dropped")
    assert "replay.staleness" in longshot("train", file, "replay.staleness=0", code=2).stderr
    assert "cluster.staleness" in longshot("train", file, "cluster.staleness=-1", code=2).stderr
    assert not run.exists()
