"""The policy update as a user configures it: dry runs that find later failures, keys without effect, equal rewards, partial
rollouts, a waiting replay buffer, truncated distributions, GRPO with a fixed reference model, and the metrics of each term."""
import json
import shutil
import statistics

import pytest

from support import longshot, tiny_model, write_rl


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("policy")
    model, data = tiny_model(root)
    file = write_rl(root / "rl.toml", model, data,
                    {"data.val_files": None, "algorithm.mini_batches": 2, "trainer.total_iterations": 4})
    return root, model, data, file


def train(setting, name, *overrides):
    """Returns (metrics of each iteration, stderr)."""
    root, _, _, file = setting
    done = longshot("train", file, f"trainer.default_local_dir={root}/{name}", *overrides)
    rows = [json.loads(line) for line in (root / name / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["step"] > 0], done.stderr


def warnings(setting, name):
    return [json.loads(line) for line in (setting[0] / name / "warnings.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("overrides, wanted", [
    (["algorithm.baseline=logz", "algorithm.normalize=std"], "algorithm.normalize"),
    (["optim.beta1=1"], "optim.beta1"),
    (["rollout.n=1"], "rollout.n"),
    (["data.train_batch_size=999999"], "data.train_batch_size"),
    (["data.order=curriculum", "data.curriculum_iterations=[0, 3]", "data.curriculum_min_difficulty=[0, 99]",
      "data.curriculum_max_difficulty=[99, 99]"], "curriculum"),
    (["reward.functions=['math:nan']"], "math"),
    (["reward.functions=[{type='exact', weight=inf}]"], "exact"),
    (["rollout.stop=['']"], "stop string"),
    (["replay.max_groups=7"], "replay.max_groups"),
    (["rollout.kv_blocks=1"], "rollout.kv_blocks"),
    (["trainer.resume_mode=newest"], "newest"),
    (["algorithm.name=grpo", "algorithm.kl_coef=0.1", "algorithm.kl_reference=nowhere"], "algorithm.kl_reference"),
    (["data.max_response_length=4096"], "positions"),
])
def test_a_dry_run_finds_what_would_fail_later(setting, overrides, wanted):
    root, _, _, file = setting
    for command in ([*overrides, "--dry-run"], overrides):
        done = longshot("train", file, f"trainer.default_local_dir={root}/never", *command, code=2)
        assert wanted in done.stderr, done.stderr
    assert not (root / "never/metrics.jsonl").exists()


def damaged_model(source, target):
    """Copies a model and sets a NaN in its last weight."""
    from safetensors.torch import load_file, save_file
    shutil.copytree(source, target)
    file = next(target.glob("*.safetensors"))
    tensors = load_file(file)
    name = sorted(tensors)[-1]
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, file)
    return name


def test_a_dry_run_finds_weights_that_are_not_finite(setting, tmp_path):
    root, model, data, file = setting
    name = damaged_model(model, tmp_path / "nan")
    done = longshot("train", file, f"model.path={tmp_path}/nan", "--dry-run", code=2)
    assert name in done.stderr and "not finite" in done.stderr
    sft = root / "sft.toml"
    again = [f"trainer.default_local_dir={tmp_path}/sft", "--dry-run"]
    assert "not finite" in longshot("sft", sft, "model.alphabet_file=", f"model.path={tmp_path}/nan", *again, code=2).stderr


def test_a_dry_run_of_supervised_training_reads_what_the_run_reads(setting, tmp_path):
    root, _, data, _ = setting
    common = [root / "sft.toml", f"trainer.default_local_dir={tmp_path}/sft", "--dry-run"]
    assert "training rows" in longshot("sft", *common).stderr
    for override, wanted in (("data.val_files=['nowhere.jsonl']", "nowhere.jsonl"), ("data.max_length=2", "longer than 2 tokens"),
                             ("optim.beta2=1", "optim.beta2"), ("model.num_heads=5", "model.num_heads")):
        assert wanted in longshot("sft", *common, override, code=2).stderr
    assert not (tmp_path / "sft").exists()


def test_keys_without_an_effect_are_named(setting):
    root, _, _, file = setting
    done = longshot("train", file, f"trainer.default_local_dir={root}/never", "algorithm.clip_low=0.1",
                    "algorithm.kl_estimator=k1", "replay.selector=uniform", "optim.min_lr_ratio=0.5", "trainer.val_n=3",
                    "--dry-run")
    for key in ("algorithm.clip_low", "algorithm.kl_estimator", "replay.selector", "optim.min_lr_ratio", "trainer.val_n"):
        assert f"{key} has no effect: " in done.stderr
    assert "has no effect" not in longshot("train", file, "--dry-run").stderr


def test_what_a_run_warns_of_is_in_its_folder_and_in_its_report(setting, tmp_path):
    text = "optim.min_lr_ratio has no effect"
    _, log = train(setting, "warns", "optim.min_lr_ratio=0.5", "trainer.total_iterations=1")
    assert text in log
    run, page = setting[0] / "warns", tmp_path / "report.html"
    assert [w["step"] for w in warnings(setting, "warns") if w["text"].startswith(text)] == [0] * log.count(text)
    longshot("report", run, "--output", page)
    assert text in page.read_text()


REWARD = "def compute_score(data_source, solution_str, ground_truth, extra_info=None):\n    return 0.1\n"


@pytest.mark.parametrize("algorithm", ["kimi", "rloo", "grpo", "reinforce"])
def test_equal_rewards_take_no_step(setting, tmp_path, algorithm):
    (tmp_path / "reward.py").write_text(REWARD)
    rows, _ = train(setting, f"equal-{algorithm}", f"reward.functions=[{{type='python', path='{tmp_path}/reward.py'}}]",
                    "rollout.repetition.enabled=false", f"algorithm.name={algorithm}", "rollout.n=8",
                    "trainer.total_iterations=1")
    assert rows[0]["critic/rewards/mean"] == pytest.approx(0.1)
    assert rows[0]["critic/groups_without_variance"] == 1
    assert rows[0]["actor/optimizer_steps"] == 0
    assert not {"actor/lr", "actor/grad_norm"} & rows[0].keys(), "what was not measured is not 0"
    assert (1, "100 % of the groups have no variance") in [(w["step"], w["text"][:36]) for w in warnings(setting, f"equal-{algorithm}")]


@pytest.mark.parametrize("algorithm", ["kimi", "grpo"])
def test_partial_rollouts_have_no_gap_and_one_reference(setting, algorithm):
    rows, log = train(setting, f"partial-{algorithm}", "rollout.token_budget=150", "replay.max_groups=8",
                      f"algorithm.name={algorithm}",
                      "trainer.total_iterations=6", "optim.lr=3e-3")
    assert "disagree" not in log
    gaps = [row["training/rollout_probs_diff_max"] for row in rows if "training/rollout_probs_diff_max" in row]
    assert gaps and max(gaps) <= 1e-4
    assert any(row["perf/reference_tokens"] > 0 for row in rows)  # from samples that ended earlier


def test_a_cut_distribution_takes_its_reference_from_the_trainer(setting):
    rows, log = train(setting, "cut", "rollout.top_p=0.8", "trainer.total_iterations=2")
    assert all(row["perf/reference_tokens"] > 0 for row in rows)
    assert all(row["actor/flat_mini_batches"] < 2 for row in rows)
    assert "disagree" not in log


def test_a_temperature_is_the_same_in_rollout_and_trainer(setting):
    rows, _ = train(setting, "temperature", "rollout.temperature=0.6", "trainer.total_iterations=2")
    assert all(row["perf/reference_tokens"] == 0 for row in rows)
    assert max(row["training/rollout_probs_diff_max"] for row in rows) <= 1e-4


@pytest.mark.parametrize("algorithm", ["rest", "reinforce", "rloo"])
def test_objectives_without_a_reference_take_no_pass_for_one(setting, algorithm):
    rows, _ = train(setting, f"none-{algorithm}", f"algorithm.name={algorithm}", "rollout.top_p=0.8",
                    "rollout.token_budget=150", "replay.max_groups=8", "trainer.total_iterations=2")
    assert all(row["perf/reference_tokens"] == 0 for row in rows)


def test_a_buffer_above_the_batch_keeps_groups_waiting(setting):
    runs = {}
    for selector in ("fifo", "freshest", "uniform"):
        rows, _ = train(setting, f"wait-{selector}", "replay.max_groups=16", f"replay.selector={selector}")
        assert [row["replay/groups_taken"] for row in rows] == [8] * 4
        assert [row["replay/waiting"] for row in rows] == [8] * 4
        runs[selector] = rows
    # fifo selects groups of the previous iteration, freshest those of the current one.
    assert all("training/rollout_probs_diff_max" not in row for row in runs["fifo"][1:])
    assert all(row["training/rollout_probs_diff_max"] < 1e-4 for row in runs["freshest"])
    assert all(row["perf/reference_tokens"] == 0 for row in runs["freshest"])
    # uniform selects groups of both kinds.
    assert any("training/rollout_probs_diff_max" in row for row in runs["uniform"][1:])
    rows, _ = train(setting, "wait-stale", "replay.max_groups=16", "replay.selector=freshest", "replay.staleness=0")
    assert sum(row["replay/dropped_stale"] for row in rows) == 8 * 2  # in iterations 2 and 4


def test_grpo_is_pulled_towards_a_fixed_model(setting):
    root, model, _, file = setting
    kl = ["algorithm.name=grpo", "algorithm.kl_coef=0.05", "trainer.total_iterations=3"]
    rows, log = train(setting, "kl", *kl, f"algorithm.kl_reference={model}")
    assert "no effect" not in log
    # The fixed model is the one with which the run began.
    assert rows[0]["actor/kl_loss"] < rows[1]["actor/kl_loss"] < rows[2]["actor/kl_loss"]
    assert rows[0]["actor/optimizer_steps"] <= 2 * (1 - (rows[0]["critic/groups_without_variance"] == 1))
    assert all(row["perf/reference_tokens"] > 0 and row["memory/kl_model_gb"] > 0 for row in rows)
    plain, _ = train(setting, "kl-policy", *kl)
    assert all(row["perf/reference_tokens"] == 0 and "memory/kl_model_gb" not in row for row in plain)
    plan = ["doctor", "--json", "--plan", file, *kl]
    planned = json.loads(longshot(*plan, f"algorithm.kl_reference={model}").stdout)["memory_bytes"]
    assert planned["KL model"] >= planned["weights"]
    assert "KL model" not in json.loads(longshot(*plan).stdout)["memory_bytes"]


def test_the_base_of_an_adapter_is_a_fixed_model_without_a_copy(setting):
    _, model, _, _ = setting
    kl = ["algorithm.name=grpo", "algorithm.kl_coef=0.05", "optim.lr=1e-3", "trainer.total_iterations=2",
          "model.lora_rank=4"]
    shared, _ = train(setting, "kl-base", *kl, f"algorithm.kl_reference={model}")
    copy = model.parent / "copy"
    shutil.copytree(model, copy)
    copied, _ = train(setting, "kl-copy", *kl, f"algorithm.kl_reference={copy}")
    assert [row["actor/kl_loss"] for row in shared] == [row["actor/kl_loss"] for row in copied]
    assert shared[1]["actor/kl_loss"] > 0
    assert copied[0]["memory/kl_model_gb"] - shared[0]["memory/kl_model_gb"] > 0.9 * shared[0]["memory/weights_gb"] / 1.2


def test_a_model_of_another_vocabulary_is_no_kl_reference(setting, tmp_path):
    root, _, data, file = setting
    (tmp_path / "alphabet.txt").write_text((data / "alphabet.txt").read_text().rstrip("\n") + "é")
    longshot("sft", root / "sft.toml", f"model.alphabet_file={tmp_path}/alphabet.txt", "trainer.total_steps=1",
             f"trainer.default_local_dir={tmp_path}/other")
    done = longshot("train", file, "algorithm.name=grpo", "algorithm.kl_coef=0.1",
                    f"algorithm.kl_reference={tmp_path}/other/huggingface", "--dry-run", code=2)
    assert "algorithm.kl_reference has a vocabulary of" in done.stderr


def samples_of(setting, name):
    """The samples of each iteration; `train` must have logged all of them."""
    files = sorted((setting[0] / name / "samples").glob("samples_*.jsonl"))
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def test_each_term_of_an_update_has_its_metric(setting):
    _, model, _, _ = setting
    rows, log = train(setting, "terms", "algorithm.name=grpo", "algorithm.length_normalize=tokens", f"algorithm.kl_reference={model}",
                      "algorithm.kl_in=reward", "algorithm.kl_coef=0.05", "algorithm.entropy_coef=0.01",
                      "algorithm.mask_truncated=true", "reward.overlong_buffer=8", "reward.overlong_penalty=0.5",
                      "data.max_response_length=22", "rollout.dtype=bfloat16", "algorithm.rollout_weights=truncate",
                      "optim.lr=1e-3", "rollout.repetition.enabled=false", "trainer.log_samples=-1", "trainer.total_iterations=3")
    assert "no effect" not in log
    # The fixed model is the one with which the run began, and k3 is never negative.
    assert abs(rows[0]["actor/reward_kl_penalty"]) < 1e-6 < rows[1]["actor/reward_kl_penalty"] < 10
    cut = 0
    for row, samples in zip(rows, samples_of(setting, "terms"), strict=True):
        assert row["actor/kl_loss"] == 0  # the penalty is in the reward
        assert row["actor/entropy"] > 0
        assert row["actor/entropy_loss"] == pytest.approx(-0.01 * row["actor/entropy"], rel=0.3)
        assert row["actor/masked_samples"] == sum(sample["finish"] == "length" for sample in samples)
        cut += row["actor/masked_samples"]
        overlong = [-min(max((sample["tokens"] - (22 - 8)) / 8, 0), 1) for sample in samples]
        assert [sample["components"]["overlong"] for sample in samples] == overlong
        assert row["reward/overlong/mean"] == pytest.approx(statistics.mean(overlong))
        # The penalty is a part of the score; that of the KL divergence is not.
        for sample in samples:
            others = [value for name, value in sample["components"].items() if name != "overlong"]
            assert sample["score"] == pytest.approx(sum(others) + 0.5 * sample["components"]["overlong"])
        # Rounded weights generate, so most tokens have a ratio near 1.
        assert 0.9 < row["actor/rollout_weight"] < 1.1 and row["actor/rollout_weight"] != 1
        assert 0 <= row["actor/rollout_weight_limited"] < 0.1
        assert row["training/rollout_probs_diff_mean"] > 1e-5
    assert 0 < cut < 3 * 32


EXTRA = """
def compute_score(solution_str, ground_truth):
    return {"score": float(ground_truth in solution_str), "characters": len(solution_str), "empty": not solution_str, "note": "a text"}
"""


def test_further_numbers_of_a_reward_are_metrics(setting, tmp_path):
    (tmp_path / "extra.py").write_text(EXTRA)
    rows, _ = train(setting, "extra", f"reward.functions=[{{type='python', path='{tmp_path}/extra.py'}}]", "trainer.log_samples=-1",
                    "trainer.total_iterations=2")
    for row, samples in zip(rows, samples_of(setting, "extra"), strict=True):
        assert len(samples) == 32
        assert row["reward/characters/mean"] == pytest.approx(statistics.mean(s["components"]["characters"] for s in samples))
        assert row["reward/characters/mean"] == pytest.approx(statistics.mean(len(s["response"]) for s in samples))
        assert row["reward/empty/mean"] == statistics.mean(s["response"] == "" for s in samples)
        assert "reward/note/mean" not in row
