"""The commands train, sft and eval with good and bad input."""
import json
import pathlib
import re
import subprocess

import pytest

from support import LONGSHOT, ROOT, longshot, tiny_model, write_rl


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("commands")
    model, data = tiny_model(root)
    file = write_rl(root / "rl.toml", model, data,
                    {"algorithm.mini_batches": 2, "trainer.total_iterations": 3, "trainer.test_freq": 3})
    return root, model, data, file


def test_train_writes_everything_a_user_expects(setting):
    root, _, _, file = setting
    done = longshot("train", file)
    directory = done.stdout.strip()
    assert directory.endswith("global_step_3/huggingface")
    run = root / "rl"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    for name in ("critic/rewards/mean", "critic/accuracy", "response_length/mean", "actor/entropy", "actor/pg_loss",
                 "actor/grad_norm", "training/rollout_probs_diff_mean", "training/rollout_probs_diff_max",
                 "timing_s/gen", "timing_s/reward", "timing_s/update_actor", "timing_s/update_weights", "timing_s/step",
                 "perf/throughput", "prompt_length/mean", "perf/mfu/actor", "memory/weights_gb", "memory/gradients_gb",
                 "memory/moments_gb", "memory/activations_gb", "memory/rollout_weights_gb", "memory/kv_gb",
                 "publish/bytes", "publish/version"):
        # An iteration whose groups all have equal scores takes no step, and so has no gradient norm.
        assert any(name in row for row in rows[1:]), name
    assert "val/accuracy" in rows[0] and "val/accuracy" in rows[3]
    # f32 rounding: PyTorch's own f32 and f64 forwards differ by 2e-5 on unlikely tokens of a sharp model.
    assert max(row["training/rollout_probs_diff_max"] for row in rows[1:]) <= 5e-5
    assert max(row["training/rollout_probs_diff_mean"] for row in rows[1:]) <= 1e-6
    samples = [json.loads(line) for line in sorted((run / "samples").iterdir())[0].read_text().splitlines()]
    assert len(samples) == 32 and {"prompt", "response", "score", "correct", "finish"} <= samples[0].keys()
    assert list((run / "tensorboard").iterdir())
    assert all(0 < row["perf/mfu/actor"] < 1 for row in rows[1:] if "perf/mfu/actor" in row)
    assert "optim" in (run / "config.toml").read_text()


def test_the_trained_model_is_a_hugging_face_directory(setting):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    root, _, _, _ = setting
    directory = root / "rl/global_step_3/huggingface"
    model = AutoModelForCausalLM.from_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids = tokenizer("3+5=", return_tensors="pt", add_special_tokens=False).input_ids
    assert model(ids).logits.shape[-1] == model.config.vocab_size


def test_eval_reports_intervals_and_samples(setting):
    root, model, data, _ = setting
    output, samples = root / "eval.json", root / "eval.jsonl"
    longshot("eval", "--model", model, "--data", f"{data}/val.jsonl", "--n", 4, "--pass-at", "1,2,4", "--temperature", 1,
             "--max-tokens", 40, "--output", output, "--samples", samples)
    figures = json.loads(output.read_text())
    assert figures["problems"] == 60 and figures["samples"] == 240
    assert figures["accuracy_95"][0] <= figures["accuracy"] <= figures["accuracy_95"][1]
    at = figures["pass_at_k"]
    assert abs(at["1"] - figures["accuracy"]) < 1e-12 and at["1"] <= at["2"] <= at["4"]
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(rows) == 240
    assert abs(sum(row["correct"] for row in rows) / 240 - figures["accuracy"]) < 1e-9


def test_dry_run_changes_nothing_and_reads_back(setting):
    root, _, _, file = setting
    done = longshot("train", file, "trainer.default_local_dir=" + str(root / "never"), "--dry-run")
    assert not (root / "never").exists()
    again = root / "again.toml"
    again.write_text(done.stdout)
    assert longshot("train", again, "--dry-run").stdout == done.stdout


def test_doctor_plans_a_run_and_writes_nothing(setting):
    root, _, _, file = setting
    arguments = ["doctor", "--plan", file, "--json", "--response-length", 20]
    plan = json.loads(longshot(*arguments, f"trainer.default_local_dir={root}/planned").stdout)
    assert not (root / "planned").exists()
    memory = plan["memory_bytes"]
    assert plan["memory_peak_bytes"] == pytest.approx(sum(memory.values()))
    assert memory["weights"] == memory["gradients"] == 4 * plan["parameters"]
    assert memory["moments"] == 8 * plan["parameters"]
    assert plan["iteration_seconds"] == pytest.approx(sum(plan["seconds"].values())) and plan["seconds"]["update"] > 0
    assert plan["response_length"] == 20
    small = json.loads(longshot(*arguments, "model.lora_rank=2", "optim.moments=bfloat16").stdout)
    assert small["trained_parameters"] < plan["parameters"]
    assert small["memory_bytes"]["moments"] == 4 * small["trained_parameters"]
    text = longshot("doctor", "--plan", file).stdout
    assert "GiB at the peak" in text and "s an iteration" in text
    assert "--plan" in longshot("doctor", "--model", root, code=2).stderr
    assert "--plan" in longshot("doctor", "--response-length", 9, code=2).stderr
    assert "nowhere" in longshot("doctor", "--plan", file, "--model", "nowhere", code=2).stderr


def test_bf16_products_train_and_are_planned_where_the_processor_has_them(setting):
    root, _, _, file = setting
    options = ["trainer.dtype=bfloat16", "trainer.test_freq=0", f"trainer.default_local_dir={root}/bf16"]
    if "avx512_bf16" not in pathlib.Path("/proc/cpuinfo").read_text():
        assert "trainer.dtype=bfloat16 needs" in longshot("train", file, *options, code=2).stderr
        return
    longshot("train", file, *options)
    rows = [json.loads(line) for line in (root / "bf16/metrics.jsonl").read_text().splitlines()]
    assert all(row["actor/skipped_steps"] == 0 for row in rows) and rows[-1]["actor/optimizer_steps"] > 0
    assert all(1e-6 < row["training/rollout_probs_diff_mean"] < 0.02 for row in rows)  # the rollout is in f32
    assert rows[-1]["perf/train_tokens"] < rows[-1]["perf/unshared_tokens"]  # prompts are shared
    plan = json.loads(longshot("doctor", "--plan", file, "--json", *options).stdout)
    assert plan["memory_bytes"]["activations"] > 0 and plan["seconds"]["update"] > 0


@pytest.mark.parametrize("override, message", [
    ("model.lora_targets=['c_attn']", "model.lora_rank"),
    ("model.lora_alpha=32", "model.lora_rank"),
    ("model.freeze=['transformer.*']", "transformer.*"),
    ("model.freeze=['*']", "nothing can be trained"),
    ("model.lora_adapter_path=nowhere", "nowhere"),
    ("optim.learning_rate=1", "did you mean 'optim.lr'?"),
    ("rollout.n=many", "rollout.n wants a value of type integer"),
    ("optim.lr=-1", "optim.lr must be > 0"),
    ("algorithm.name=ppo", "must be one of: kimi"),
    ("data.train_files=['nowhere.jsonl']", "nowhere.jsonl"),
    ("model.path=nowhere", "nowhere"),
    ("data.max_response_length=100000", "positions"),
    ("reward.functions=['mathh']", "mathh"),
    ("trainer.resume_mode=/nowhere", "/nowhere"),
])
def test_bad_configuration_is_named_and_ends_with_2(setting, override, message):
    root, _, _, file = setting
    done = longshot("train", file, "trainer.default_local_dir=" + str(root / "bad"), override, code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr and "terminate" not in done.stderr


def test_disable_refuses_a_folder_with_a_run(setting):
    _, _, _, file = setting
    done = longshot("train", file, "trainer.resume_mode=disable", code=2)
    assert "holds a run already" in done.stderr


def test_a_bad_row_is_named_by_file_and_line(setting):
    root, _, data, file = setting
    bad = root / "bad.jsonl"
    bad.write_text((data / "train.jsonl").read_text() + "{broken\n")
    done = longshot("train", file, f"data.train_files=['{bad}']", f"trainer.default_local_dir={root}/bad2", code=2)
    assert f"{bad}:401" in done.stderr


def test_help_of_every_command_names_its_options():
    done = longshot("--help")
    commands = re.findall(r"^  ([a-z-]+) +\S", done.stdout, re.M)
    wanted = {"sft", "train", "eval", "rm", "dpo", "rm-eval", "generate", "chat", "serve", "sandbox", "logprobs", "tokenize", "grade",
              "make-tests", "report", "convert", "data", "doctor", "weights"}
    assert wanted <= set(commands)
    for command in wanted:
        assert "--help" in longshot(command, "--help").stdout


@pytest.mark.parametrize("name", ["kimi", "rest", "reinforce", "rloo", "grpo", "gspo", "cispo"])
def test_every_algorithm_runs_on_the_same_data_path(setting, name):
    root, _, _, file = setting
    longshot("train", file, f"algorithm.name={name}", f"trainer.default_local_dir={root}/{name}", "trainer.test_freq=0",
             "trainer.total_iterations=2")
    rows = [json.loads(line) for line in (root / name / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["actor/grad_norm"] > 0


def test_plain_text_trains_a_language_model(setting):
    root, model, _, _ = setting
    rows = root / "text.jsonl"
    rows.write_text("".join(json.dumps({"text": f"{i}+{i + 1}={2 * i + 1}"}) + "\n" for i in range(200)))
    file = root / "text.toml"
    file.write_text(f"""
[model]
path = "{model}"
[data]
train_files = ["{rows}"]
val_files = ["{rows}"]
max_length = 64
[sft]
batch_tokens = 512
[optim]
lr = 1e-3
[trainer]
total_epochs = 4
test_freq = 1
default_local_dir = "{root}/text"
""")
    longshot("sft", file)
    losses = [json.loads(line)["val/loss"] for line in (root / "text/metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]


def test_the_report_of_a_run_is_one_file(setting):
    root, _, _, _ = setting
    longshot("report", root / "rl", "--output", root / "report.html")
    page = (root / "report.html").read_text()
    assert "critic/rewards/mean" in page and "http://" not in page.replace("http://www.w3.org", "")


def test_the_configuration_reference_is_up_to_date():
    page = (ROOT / "docs/configuration.md").read_text()
    for command in ("train", "sft", "rm", "dpo"):
        assert longshot(command, "--reference").stdout.strip() in page


def test_generated_logprobs_equal_those_of_the_trainer_forward(setting):
    root, model, data, _ = setting
    prompts = [json.loads(line)["prompt"] for line in (data / "val.jsonl").read_text().splitlines()[:20]]
    rows = root / "prompts.jsonl"
    rows.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    longshot("generate", "--model", model, "--input", rows, "--output", root / "generated.jsonl", "--n", 3,
             "--temperature", 1, "--max-tokens", 40, "--seed", 5)
    generated = [json.loads(line) for line in (root / "generated.jsonl").read_text().splitlines()]
    assert len(generated) == 20 and all(len(row["completions"]) == 3 for row in generated)
    texts = "".join(json.dumps({"text": row["prompt"][0]["content"]}) + "\n" for row in generated)
    encoded = longshot("tokenize", "--model", model, text_in=texts).stdout.splitlines()
    sequences, recorded = [], []
    for row, line in zip(generated, encoded):
        for completion in row["completions"]:
            sequences.append(json.loads(line)["tokens"] + completion["tokens"])
            recorded.append(completion["logprobs"])
    scored = longshot("logprobs", "--model", model,
                      text_in="".join(json.dumps({"tokens": tokens}) + "\n" for tokens in sequences)).stdout.splitlines()
    worst = 0
    for line, logprobs in zip(scored, recorded):
        tail = json.loads(line)["logprobs"][-len(logprobs):]
        worst = max(worst, *(abs(a - b) for a, b in zip(tail, logprobs)))
    print(f"largest difference {worst:.1e}")
    assert worst < 1e-4


def test_generate_is_the_same_with_one_and_two_threads_alone_and_in_a_batch(setting):
    root, model, data, _ = setting
    lines = (data / "val.jsonl").read_text().splitlines()[:6]
    rows = "".join(json.dumps({"prompt": json.loads(line)["prompt"]}) + "\n" for line in lines)
    arguments = ["generate", "--model", model, "--input", "-", "--n", 2, "--temperature", 1, "--max-tokens", 30, "--seed", 9]
    one = longshot(*arguments, "--threads", 1, text_in=rows).stdout
    assert one == longshot(*arguments, "--threads", 2, text_in=rows).stdout
    assert one == longshot(*arguments, "--speculation", "ngram", text_in=rows).stdout
    first = rows.splitlines()[0] + "\n"
    alone = json.loads(longshot(*arguments, text_in=first).stdout)
    assert alone["completions"] == json.loads(one.splitlines()[0])["completions"]


@pytest.mark.parametrize("command, option, value, message", [
    ("generate", "--temperature", "-1", "--temperature must be >= 0"),
    ("chat", "--temperature", "nan", "--temperature must be >= 0"),
    ("generate", "--top-p", 0, "--top-p must be in"),
    ("generate", "--max-tokens", "many", "--max-tokens wants a value of type integer"),
    ("serve", "--dtype", "float8", "--dtype is 'float8', must be one of: float32, bfloat16, int8, int4"),
    ("generate", "--kv-dtype", "int4", "must be one of: float32, bfloat16, int8"),
    ("eval", "--speculation", "yes", "must be one of: off, ngram"),
    ("eval", "--reward-timeout", 0, "--reward-timeout must be > 0"),
    ("rm-eval", "--max-concurrent", 0, "--max-concurrent must be >= 1"),
    ("logprobs", "--threads", -1, "--threads must be >= 0"),
])
def test_flags_have_the_checks_of_their_keys(command, option, value, message):
    done = longshot(command, "--model", "nowhere", *(["--data", "none"] if "eval" in command else []), f"{option}={value}",
                    code=2)
    assert message in done.stderr


def test_flags_for_data_have_the_choices_of_their_tables(tmp_path):
    make = ["data", "make", "--task", "addition", "--out", tmp_path / "data"]
    assert "must be one of: verl, trl" in longshot(*make, "--format", "csv", code=2).stderr
    assert "must be one of: char, text" in longshot(*make, "--style", "prose", code=2).stderr


def test_chat_answers_and_ends(setting):
    _, model, _, _ = setting
    done = longshot("chat", "--model", model, "--max-tokens", 30, text_in="3+5=\n/exit\n")
    assert "#" in done.stdout


def test_options_of_python_rewards_reach_the_run_and_errors_are_not_zeros(setting):
    root, _, _, file = setting
    plugin = root / "my_reward.py"
    plugin.write_text("""
def compute_score(data_source, solution_str, ground_truth, extra_info):
    if "7" in solution_str:
        raise RuntimeError("seven is broken")
    return {"score": 0.25, "correct": False}
""")
    config = root / "plugin.toml"
    config.write_text(file.read_text() + f"""
[reward]
functions = [{{type = "python", path = "{plugin}"}}]
""")
    longshot("train", config, f"trainer.default_local_dir={root}/plugin", "trainer.total_iterations=1",
             "trainer.test_freq=0", "trainer.log_samples=-1")
    row = json.loads((root / "plugin/metrics.jsonl").read_text().splitlines()[-1])
    assert row["critic/score/min"] == row["critic/score/max"] == 0.25
    assert 0 < row["reward/error_share"] < 1
    samples = [json.loads(line) for line in next((root / "plugin/samples").iterdir()).read_text().splitlines()]
    for sample in samples:
        assert ("7" in sample["response"]) == ("seven is broken" in sample["error"])
        assert (sample["score"] is None) == ("7" in sample["response"])


@pytest.mark.parametrize("arguments", [["--version"], ["help"], ["manual"], ["tokenize", "--help"]])
def test_output_that_cannot_be_written_is_an_error(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([LONGSHOT, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "longshot: standard output could not be written\n"
