"""`longshot doctor --plan` of runs on many machines, and of further rounds of generation."""
import json

import pytest

from support import longshot, tiny_model

# A worker has 4 slots and a step takes 0.01 s, so a group of 4 samples of 100 tokens takes 1 s. Nothing takes time on the
# wire but the weights.
COSTS = """
[costs]
steps = [[1, 0.01]]
update = 8
write = 0.5
load = 0.25
message = 0
"""
HOSTS = """
[trainers]
count = 2
link_gbits = 1e9
[[host]]
count = 2
link_gbits = 1e9
latency_ms = 0
""" + COSTS


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("plan")
    model, data = tiny_model(root, steps=3)
    (root / "rl.toml").write_text(f"""
[model]
path = "{model}"
[data]
train_files = ["{data}/train.jsonl"]
train_batch_size = 16
max_prompt_length = 32
max_response_length = 90
[rollout]
n = 4
max_concurrent = 4
[trainer]
total_iterations = 2
test_freq = 0
threads = 1
lanes = 2
log_samples = -1
default_local_dir = "{root}/run"
""")
    (root / "hosts.toml").write_text(HOSTS)
    longshot("train", root / "rl.toml")
    return root


def plan(root, *arguments):
    return json.loads(longshot("doctor", "--plan", root / "rl.toml", "--json", *arguments).stdout)


def test_given_costs_give_the_closed_form(setting):
    root = setting
    said = plan(root, "--hosts", root / "hosts.toml", "--response-length", 80)
    assert said["workers"] == 2 and said["trainers"] == 2 and said["staleness"] == 0
    rows = {row["workers"]: row for row in said["rows"]}
    assert set(rows) >= {1, 2, 4, 8}
    for count in (1, 2, 4, 8):
        row = rows[count]
        assert row["rollout_seconds"] == pytest.approx(0.8 * 16 / count, rel=1e-4)
        assert row["weights_seconds"] == pytest.approx(0.75, rel=1e-3)
        assert row["update_seconds"] == pytest.approx(4, rel=1e-4)
        assert row["iteration_seconds"] == pytest.approx(4.75 + 12.8 / count, rel=1e-3)
        assert row["trainer_idle"] == pytest.approx(1 - 4 / row["iteration_seconds"], rel=1e-3)
        assert row["worker_idle"] == pytest.approx(1 - 12.8 / count / row["iteration_seconds"], rel=1e-3)
    # Doubling 8 workers saves 0.8 of 6.35 s; a group is given to one worker, so more than 16 save nothing.
    assert said["enough_workers"] == 16
    text = longshot("doctor", "--plan", root / "rl.toml", "--hosts", root / "hosts.toml").stdout
    assert "[costs]" in text and "->       2" in text and "coordinator" in text


def test_staleness_and_memory(setting):
    root = setting
    arguments = ["--hosts", root / "hosts.toml", "--response-length", 80]
    ahead = plan(root, *arguments, "cluster.staleness=1")
    rows = {row["workers"]: row for row in ahead["rows"]}
    assert rows[1]["iteration_seconds"] == pytest.approx(0.5 + 0.25 + 12.8, rel=1e-3)
    assert rows[8]["iteration_seconds"] == pytest.approx(0.5 + 4, rel=1e-3)
    said = plan(root, *arguments)
    memory = said["memory_bytes"]
    assert memory["coordinator"]["moments"] == memory["trainer"]["moments"] == memory["trainer"]["weights"]
    assert memory["worker"]["store"] == memory["coordinator"]["store"] == 2 * said["version_bytes"]
    assert "gradients" not in memory["worker"] and "KV cache" not in memory["coordinator"]
    assert ahead["memory_bytes"]["coordinator"]["samples"] == 2 * memory["coordinator"]["samples"]
    alone = plan(root, "--workers", 1)["memory_bytes"]
    assert not alone["trainer"] and alone["coordinator"]["moments"] == 2 * alone["coordinator"]["weights"]


def test_further_rounds_are_counted(setting):
    root = setting
    filters = ["algorithm.filter_groups.enable=true", "algorithm.filter_groups.max_num_gen_batches=2"]
    given = ["--hosts", root / "hosts.toml", "--response-length", 80, "--flat-groups", 1]
    # All groups are dropped, so both rounds generate all of them.
    rows = plan(root, *given, *filters)["rows"]
    assert rows[0]["rollout_seconds"] == pytest.approx(2 * 12.8, rel=1e-4)
    assert plan(root, *given)["rows"][0]["rollout_seconds"] == pytest.approx(12.8, rel=1e-4)
    one = plan(root, "--response-length", 20, "--flat-groups", 0.5, *filters)
    assert one["seconds"]["further rounds"] > 0
    assert one["iteration_seconds"] == pytest.approx(sum(one["seconds"].values()))
    assert "further rounds" not in plan(root, "--response-length", 20, *filters)["seconds"]
    assert "further rounds" not in plan(root, "--response-length", 20, "--flat-groups", 0.5)["seconds"]


def test_times_of_an_iteration_are_counted_once(setting):
    for line in (setting / "run/metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        parts = sum(row[f"timing_s/{name}"] for name in ("gen", "reward", "update_actor", "update_weights"))
        assert 0 < parts <= row["timing_s/step"]


def test_a_measured_run_gives_lengths_and_seconds(setting):
    root = setting
    rows = [json.loads(line) for line in (root / "run/metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if "timing_s/gen" in row][-1]
    said = plan(root, "--workers", 2, "--measured", root / "run")
    assert said["costs"]["update"] == pytest.approx(last["timing_s/update_actor"])
    assert said["costs"]["load"] == pytest.approx(last["timing_s/update_weights"])
    steps = said["costs"]["steps"]
    assert [point[0] for point in steps] == [1, 4] and 0 < steps[0][1] <= steps[1][1]
    assert str(root / "run") in said["costs_from"]
    tokens = [json.loads(line)["tokens"] for file in sorted((root / "run/samples").glob("samples_*.jsonl"))
              for line in file.read_text().splitlines()]
    assert said["response_length"] == round(sum(tokens) / len(tokens))


@pytest.mark.parametrize("arguments, named", [
    (["--workers", 2, "--hosts", "HOSTS"], "--workers"),
    (["--trainers", 4], "trainer.lanes"),
    (["--trainers", 3], "power of two"),
    (["--measured", "RUN"], "--hosts"),
    (["--response-spread", 3], "--hosts"),
    (["--workers", 2, "--measured", "RUN", "--flat-groups", 0.5], "--flat-groups"),
    (["--workers", 2, "--measured", "RUN", "rollout.n=2"], "rollout.n"),
    (["--workers", 2, "--measured", "nowhere"], "nowhere"),
    (["--hosts", "HOSTS", "--measured", "RUN"], "[costs]"),
    (["--hosts", "nowhere.toml"], "nowhere.toml"),
    (["--workers", 0], "--workers"),
    (["--workers", 2, "hybrid.free_cache_engine=true"], "[hybrid]"),
    (["--workers", 2, "rollout.token_budget=100"], "rollout.segment_tokens"),
    (["--hosts", "SHARED", "cluster.staleness=1"], "with_coordinator"),
    (["--workers", 2, "--cluster", "etcd://127.0.0.1:1/x"], "--cluster"),
])
def test_what_makes_no_sense_is_refused(setting, arguments, named):
    root = setting
    (root / "shared.toml").write_text("[[host]]\nwith_coordinator = true\n")
    places = {"HOSTS": root / "hosts.toml", "RUN": root / "run", "SHARED": root / "shared.toml"}
    done = longshot("doctor", "--plan", root / "rl.toml", *[places.get(a, a) for a in arguments], code=2)
    assert named in done.stderr


def test_flags_of_a_plan_need_one(setting):
    for arguments in (["--workers", 2], ["--trainers", 2], ["--hosts", "x"], ["--measured", "x"]):
        assert "--plan" in longshot("doctor", *arguments, code=2).stderr
