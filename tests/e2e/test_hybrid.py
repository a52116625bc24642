"""Training and rollouts that take turns in one process's memory: the same bits as without, across interruptions too."""
import json
import random

import pytest
from resume_support import killed_runs, metrics, train_config
from support import longshot, tiny_model

ITERATIONS = 8
ALL = "[hybrid]\nfree_cache_engine = true\noptimizer_offload = true\nparam_offload = true\n"


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("hybrid")
    model, data = tiny_model(root)
    prepare(root, "whole", model, data, "")
    longshot("train", root / "whole.toml")
    return root, model, data


def prepare(root, name, model, data, hybrid):
    file = root / f"{name}.toml"
    file.write_text(train_config(root / name, model, data, ITERATIONS) + hybrid)
    return file, root / name


def assert_same(run, whole):
    assert metrics(run) == metrics(whole)
    for part in ("huggingface/model.safetensors", "optimizer.safetensors", "trainer.json"):
        one, other = (folder / f"global_step_{ITERATIONS}" / part for folder in (run, whole))
        assert one.read_bytes() == other.read_bytes(), part


@pytest.mark.parametrize("hybrid", [ALL, "[hybrid]\nfree_cache_engine = true\n", "[hybrid]\noptimizer_offload = true\n",
                                    "[hybrid]\nparam_offload = true\noffload_dir = '{root}/disk'\n"])
def test_the_same_bits_with_every_choice(setting, hybrid):
    root, model, data = setting
    file, run = prepare(root, f"run{abs(hash(hybrid))}", model, data, hybrid.replace("{root}", str(root)))
    longshot("train", file)
    assert_same(run, root / "whole")
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    for name in ("timing_s/release", "timing_s/onload", "timing_s/offload", "memory/peak_rollout_gb",
                 "memory/peak_update_gb"):
        assert row[name] >= 0, name
    assert 0 < row["memory/peak_update_gb"] <= row["perf/max_memory_gb"]
    assert not [path for path in run.iterdir() if "offload" in path.name]


def test_libtorch_runs_are_the_same_too(setting):
    root, model, data = setting
    runs = []
    for name, hybrid in (("torch_whole", ""), ("torch_hybrid", ALL)):
        file, run = prepare(root, name, model, data, hybrid)
        longshot("train", file, "rollout.engine=torch", "trainer.kernels=libtorch", "trainer.threads=1")
        runs.append(run)
    assert_same(runs[1], runs[0])


def test_a_killed_run_continues_with_the_same_bits(setting):
    root, model, data = setting
    for run in killed_runs(lambda name: prepare(root, name, model, data, ALL), 4, random.Random(3)):
        assert_same(run, root / "whole")


def test_what_makes_no_sense_is_refused(setting):
    root, model, data = setting
    file, _ = prepare(root, "refused", model, data, ALL)
    for overrides, text in ((("cluster.url=etcd://127.0.0.1:1/x", "cluster.staleness=1"), "[hybrid]"),
                            (("hybrid.offload_dir=/proc/none",), "/proc/none"),
                            (("trainer.device=cuda",), "hybrid.optimizer_offload")):
        assert text in longshot("train", file, "rollout.token_budget=0", *overrides, code=2).stderr
    warned = longshot("train", file, "hybrid.optimizer_offload=false", "hybrid.param_offload=false",
                      "hybrid.offload_dir=/tmp", "trainer.total_iterations=1")
    assert "hybrid.offload_dir has no effect" in warned.stderr


def test_the_plan_counts_what_is_in_memory_at_once(setting):
    root, model, data = setting
    plans = []
    for name, hybrid in (("plan_whole", ""), ("plan_hybrid", ALL)):
        file, _ = prepare(root, name, model, data, hybrid)
        plan = longshot("doctor", "--plan", file, "--response-length", 8, "--json").stdout
        plans.append({name: value for name, value in json.loads(plan).items() if name.startswith("memory_")})
    whole, turns = (plan["memory_bytes"] for plan in plans)
    left_out = {"rollout weights", "KV cache", "logits", "checkpoint"}
    assert set(whole) - set(turns) == left_out and set(turns) < set(whole)
    # The program itself is measured, and differs by more than the tiny model from one start to the next.
    assert sum(turns.values()) - turns["program"] < sum(whole.values()) - whole["program"]
    for plan in plans:
        assert plan["memory_peak_bytes"] == pytest.approx(sum(plan["memory_bytes"].values()))
