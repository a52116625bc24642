"""replay.ratio: a part of each batch was trained on before, and a run that is killed continues with the same groups."""
import random

import pytest

from resume_support import killed_runs, metrics, train_config
from support import longshot, tiny_model

ITERATIONS = 12
RATIO = "\n[replay]\nratio = 0.5\nmax_reuse = 2\nstaleness = 3\n"


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("ratio")
    return root, *tiny_model(root)


def write(setting, name, text=RATIO):
    root, model, data = setting
    run, file = root / name, root / f"{name}.toml"
    file.write_text(train_config(run, model, data, ITERATIONS).replace("token_budget = 300\n", "") + text)
    return file, run


def rows_of(run):
    return [row for row in metrics(run) if row["step"] > 0]


def weights(run):
    return (run / f"global_step_{ITERATIONS}/huggingface/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(setting):
    file, run = write(setting, "whole")
    longshot("train", file)
    return run


def test_half_of_each_batch_was_trained_on_before(setting, whole):
    rows = rows_of(whole)
    assert [row["replay/reused"] for row in rows] == [0] + [4] * (ITERATIONS - 1)
    assert all(row["replay/groups_taken"] == 8 for row in rows)
    file, run = write(setting, "without", "")
    longshot("train", file)
    # New groups are generated for the other half only.
    tokens = [sum(row["rollout/generated_tokens"] for row in rows_of(folder)) for folder in (run, whole)]
    assert tokens[1] < 0.75 * tokens[0], tokens
    assert weights(run) != weights(whole)


def test_a_killed_run_continues_exactly(setting, whole):
    for run in killed_runs(lambda name: write(setting, name), 4, random.Random(3)):
        assert metrics(run) == metrics(whole)
        assert weights(run) == weights(whole)


def test_partial_rollouts_and_dynamic_sampling_go_together_with_it(setting):
    text = RATIO.replace("staleness = 3", "staleness = -1")
    file, run = write(setting, "together", text)
    file.write_text(file.read_text().replace("[rollout]", "[rollout]\nsegment_tokens = 12")
                    .replace("[algorithm]", "[algorithm]\nfilter_groups.enable = true"))
    longshot("train", file)
    rows = rows_of(run)
    assert sum(row["replay/reused"] for row in rows) > 0
    # Groups without variance are not kept.
    assert all(row.get("critic/groups_without_variance", 0) == 0 for row in rows)


def test_what_has_no_meaning_is_refused(setting):
    file, run = write(setting, "refused")
    for overrides, word in ((["replay.ratio=0.1"], "less than a group"), (["replay.ratio=1"], "replay.ratio"),
                            (["replay.staleness=0"], "before replay.ratio"), (["replay.max_reuse=0"], "replay.max_reuse")):
        assert word in longshot("train", file, *overrides, code=2).stderr
    assert not run.exists()
