"""data.filter = "greso" and algorithm.filter_groups: what they leave out, exact continuation after kill -9, and refusals."""
import json
import random

import pytest

from resume_support import killed_runs, metrics, refused, train_config
from support import longshot, tiny_model

ITERATIONS = 16
KILLS = 4
FILTERS = ('[algorithm]', '[algorithm]\nfilter_groups = {enable = true, max_num_gen_batches = 4}')
GRESO = ("[data]", '[data]\nfilter = "greso"')
FEW_PROMPTS = ("/train.jsonl", "/few.jsonl")

# Each arm: changes of the configuration, which has prioritized prompts, a token budget and a length reward.
ARMS = {
    "budget": [GRESO, FILTERS, FEW_PROMPTS],
    "buffer": [GRESO, FILTERS, FEW_PROMPTS, ("token_budget = 300\n", ""), ('order = "prioritized"\n', ""),
               ("[reward]\nlength_weight = 0.1\nlength_warmup_iterations = 4", ""),
               ("[trainer]", '[replay]\nmax_groups = 12\nselector = "uniform"\n[trainer]')],
    "segments": [FILTERS, ("token_budget = 300", "segment_tokens = 6")],
    "greso": [GRESO, FEW_PROMPTS],
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("filters")
    model, data = tiny_model(root)
    # So few prompts that streaks form within the run.
    (data / "few.jsonl").write_text("".join(open(data / "train.jsonl").readlines()[:40]))
    return root, model, data


def write_config(setting, name, changes):
    root, model, data = setting
    text = train_config(root / name, model, data, ITERATIONS)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (root / f"{name}.toml").write_text(text)
    return root / f"{name}.toml", root / name


def iterations(run):
    """Metrics without those of the evaluation before training."""
    return [row for row in metrics(run) if row["step"] > 0]


def state(run, iteration=ITERATIONS):
    return json.loads((run / f"global_step_{iteration}/state.json").read_text())


def weights(run, iteration=ITERATIONS):
    return (run / f"global_step_{iteration}/huggingface/model.safetensors").read_bytes()


@pytest.mark.parametrize("arm", ARMS)
def test_a_killed_run_continues_exactly(setting, arm):
    file, whole = write_config(setting, arm, ARMS[arm])
    longshot("train", file)
    for run in killed_runs(lambda name: write_config(setting, f"{arm}_{name}", ARMS[arm]), KILLS, random.Random(arm)):
        assert metrics(run) == metrics(whole)
        assert weights(run) == weights(whole)
        assert state(run)["prompts"] == state(whole)["prompts"]


def test_dropped_groups_are_replaced_by_others(setting):
    rows = iterations(setting[0] / "buffer")
    assert max(row["train/num_gen_batches"] for row in rows) > 1
    assert sum(row["train/groups_dropped"] for row in rows) > 0
    for row in rows:
        assert row.get("critic/groups_without_variance", 0) == 0
        assert row["replay/groups_taken"] + row["train/groups_missing"] == 8
        assert row["train/groups_missing"] == 0 or row["train/num_gen_batches"] == 4


def test_all_rounds_of_an_iteration_share_its_token_budget(setting):
    rows = iterations(setting[0] / "budget")
    assert all(row["rollout/generated_tokens"] <= 300 for row in rows)
    assert any(row["rollout/partial_share"] > 0 for row in rows)


def test_prompts_with_streaks_are_skipped(setting):
    rows = iterations(setting[0] / "greso")
    assert sum(row["prompts/skipped"] for row in rows) > 0
    # 40 prompts in batches of 8: the probabilities move from the fifth iteration on, by 0.01 at a time.
    assert [row["prompts/p_hard"] for row in rows[:4]] == [0.5] * 4
    assert abs(rows[-1]["prompts/p_hard"] - 0.5) > 0.005
    assert "train/num_gen_batches" not in rows[0]


def test_an_iteration_without_any_informative_group_changes_nothing(setting):
    root = setting[0]
    (root / "same.py").write_text("def compute_score(*_, **__):\n    return 1.0\n")
    changes = [FILTERS, ("[reward]\nlength_weight = 0.1\nlength_warmup_iterations = 4",
                         f"[reward]\nfunctions = [{{type = 'python', path = '{root}/same.py'}}]"),
               ("token_budget = 300\n", ""), (f"total_iterations = {ITERATIONS}", "total_iterations = 4")]
    file, run = write_config(setting, "same", changes)
    longshot("train", file)
    for row in iterations(run):
        assert row["train/num_gen_batches"] == 4 and row["train/zero_variance_share"] == 1
        assert row["train/groups_missing"] == 8 and row["replay/groups_taken"] == 0
    assert weights(run, 2) == weights(run, 4)


def test_a_run_without_a_filter_continues_with_one(setting):
    file, run = write_config(setting, "later", [FEW_PROMPTS])
    longshot("train", file, "trainer.total_iterations=6")
    assert "filter" not in state(run, 6)["prompts"]
    assert not any(name.startswith(("prompts/", "train/")) for row in metrics(run) for name in row)
    longshot("train", file, "data.filter=greso", "algorithm.filter_groups.enable=true", "trainer.total_iterations=10")
    assert len(state(run, 10)["prompts"]["filter"]["streaks"]) == len(state(run, 10)["prompts"]["visited"])
    assert metrics(run)[-1]["prompts/p_easy"] == 0.5


def test_what_makes_no_sense_is_refused(setting):
    file, run = write_config(setting, "refused", [])
    for override, named in (("data.filter=greso", "data.filter"),
                            ("algorithm.filter_groups.enable=true", "algorithm.filter_groups.enable")):
        for algorithm in ("rest", "reinforce"):
            assert named in refused(run, file, override, f"algorithm.name={algorithm}")
    assert "max_num_gen_batches" in refused(run, file, "algorithm.filter_groups.max_num_gen_batches=0")
    assert "seq_reward" in refused(run, file, "algorithm.filter_groups.metric=acc")
    assert "greso" in refused(run, file, "data.filter=easy")
    assert not run.exists()
