"""Rollouts of several iterations ahead (cluster.staleness above 1): samples take new weights in the middle, and which worker
generates what, when, and which process is lost, does not change the run."""
import json
import random

import pytest

from cluster_support import (Gate, Workers, assert_same_run, final_weights, finish, kill_coordinators,
                             kill_workers_of_runs, run_on_one_worker, train_on_one_worker, write_run)
from resume_support import metrics, start
from support import longshot

ITERATIONS = 14


def prepare(setting, name, staleness=3, text=""):
    """Samples of up to 48 tokens, cut after 12. Checkpoints and evaluations wait for what is generated, so there are few."""
    file, run, url = write_run(setting, name, ITERATIONS, f"staleness = {staleness}\n{text}")
    file.write_text(file.read_text().replace("save_freq = 2", "save_freq = 4").replace("keep_checkpoints = 2", "keep_checkpoints = 9"))
    return file, run, url


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    with run_on_one_worker(tmp_path_factory.mktemp("ahead"), prepare) as made:
        yield made


def steps(run):
    return [row for row in metrics(run) if row["step"] > 0]


def test_batches_are_full_and_nothing_is_dropped(setting):
    rows = steps(setting[0] / "whole")
    assert len(rows) == ITERATIONS
    assert all(row["replay/groups_taken"] == 8 and row["replay/dropped_stale"] == 0 for row in rows)
    assert any(row["rollout/partial_share"] > 0 for row in rows)


def test_samples_take_new_weights_in_the_middle(setting):
    """A checkpoint has the rounds that no iteration has taken in."""
    state = json.loads((setting[0] / "whole/global_step_4/state.json").read_text())["rounds_ahead"]
    samples = [sample for one in state["rounds"] for sample in one["samples"]]
    assert {one["version"] for one in state["rounds"]} == {3, 4}, state["rounds"]
    assert max(len(sample["segments"]) for sample in samples) > 1
    assert all(len({segment[2] for segment in sample["segments"]}) == len(sample["segments"]) for sample in samples)


def test_it_does_not_depend_on_the_workers(setting):
    root = setting[0]
    file, run, url = prepare(setting, "three")
    with Workers(url, root, 3):
        finish(start(file))
    assert_same_run(run, root / "whole", ITERATIONS)


def test_it_differs_from_smaller_staleness(setting):
    root, weights = setting[0], []
    for staleness in (1, 2):
        run = train_on_one_worker(*prepare(setting, f"staleness{staleness}", staleness))
        weights.append(final_weights(run, ITERATIONS))
    assert len({*weights, final_weights(root / "whole", ITERATIONS)}) == 3


def test_workers_that_are_killed_change_nothing(setting):
    kill_workers_of_runs(lambda name: prepare(setting, name), setting[0] / "whole", ITERATIONS, random.Random(15))


def test_a_coordinator_that_is_killed_continues_exactly(setting):
    kill_coordinators(lambda name: prepare(setting, name), setting[0] / "whole", ITERATIONS, random.Random(16))


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_ctrl_c_finishes_the_samples_that_are_generated(setting, rows):
    root = setting[0]
    file, run, url = prepare(setting, f"stopped{rows}")
    gate = Gate(run, rows)
    with Workers(url, root, 2):
        process = start(file)
        gate.interrupt(process)
        finish(start(file))
    assert_same_run(run, root / "whole", ITERATIONS)


def test_dynamic_sampling_reused_groups_and_phases_are_exact_too(setting):
    def changed(name):
        file, run, url = prepare(setting, name)
        text = file.read_text().replace("[algorithm]", "[algorithm]\nfilter_groups.enable = true")
        file.write_text(text + "[replay]\nratio = 0.25\n[[phase]]\nafter = 6\nrollout.temperature = 0.8\nreward.length_weight = 0.3\n")
        return file, run, url

    run = train_on_one_worker(*changed("filtered"))
    assert sum(row["train/groups_dropped"] for row in steps(run)) > 0
    assert sum(row["replay/reused"] for row in steps(run)) > 0
    kill_coordinators(lambda name: changed(f"filtered_{name}"), run, ITERATIONS, random.Random(18))


def test_a_run_continues_with_more_staleness_but_not_with_less(setting):
    root = setting[0]
    file, run, url = prepare(setting, "changed", 1)
    for overrides in (["trainer.total_iterations=4"], ["trainer.total_iterations=8", "cluster.staleness=3"]):
        with Workers(url, root, 1):
            finish(start(file, *overrides))
    assert [row["step"] for row in steps(run)] == list(range(1, 9))
    _, errors = start(file, "trainer.total_iterations=12").communicate(timeout=60)
    assert "keep cluster.staleness" in errors


def test_what_has_no_meaning_is_refused(setting):
    file, run, _ = prepare(setting, "refused")
    for override, word in (("replay.staleness=5", "replay.staleness = 5"), ("replay.max_groups=15", "two batches"),
                           ("replay.max_groups=40", "too old")):
        assert word in longshot("train", file, override, code=2).stderr
    assert not run.exists()
