"""Guarantees for users: outputs are written to the named files, broken rewards stop the run, limits are reported."""
import json
import os
import pathlib
import resource
import socket
import stat
import subprocess
import threading

import pytest

from support import LONGSHOT, ROOT, longshot, tiny_model, write_rl


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("trust")
    model, data = tiny_model(root, steps=60)
    file = write_rl(root / "rl.toml", model, data,
                    {"data.train_batch_size": 4, "data.max_response_length": 16, "trainer.total_iterations": 2})
    longshot("train", file, "trainer.test_freq=1")
    return root, model, data, file


@pytest.fixture(scope="module")
def writers(setting):
    """Every command that writes a result, with its arguments; the output is appended to them."""
    root, model, data, _ = setting
    rows = root / "rows.jsonl"
    rows.write_text('{"prompt": "1+2=", "text": "1+2="}\n')
    graded = root / "graded.jsonl"
    graded.write_text('{"completion": "3", "ground_truth": "3"}\n')
    evaluation = ["eval", "--model", model, "--data", data / "val.jsonl", "--max-problems", 2, "--max-tokens", 8]
    return {
        "report": ["report", root / "rl", "--output"],
        "eval --output": [*evaluation, "--output"],
        "eval --samples": [*evaluation, "--samples"],
        "generate": ["generate", "--model", model, "--input", rows, "--max-tokens", 4, "--output"],
        "tokenize": ["tokenize", "--model", model, "--input", rows, "--output"],
        "logprobs": ["logprobs", "--model", model, "--input", rows, "--output"],
        "grade": ["grade", "--input", graded, "--output"],
    }


NAMES = ["report", "eval --output", "eval --samples", "generate", "tokenize", "logprobs", "grade"]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_write_to_what_is_there(writers, name, tmp_path):
    command = writers[name]
    plain, target, link, fifo = (tmp_path / n for n in ("plain", "target", "link", "fifo"))
    longshot(*command, plain)
    expected = plain.read_text()
    assert expected
    target.write_text("old")
    link.symlink_to("target")
    longshot(*command, link)
    assert link.is_symlink() and len(target.read_text()) == pytest.approx(len(expected), abs=60)
    os.mkfifo(fifo)
    got = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    longshot(*command, fifo)
    reader.join(60)
    assert len(got[0]) == pytest.approx(len(expected), abs=60) and stat.S_ISFIFO(fifo.stat().st_mode)
    full = longshot(*command, "/dev/full", code=1)
    assert "/dev/full" in full.stderr and pathlib.Path("/dev/full").is_char_device()
    longshot(*command, "/dev/null")
    assert pathlib.Path("/dev/null").is_char_device()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fifo", "link", "plain", "target"]


@pytest.mark.parametrize("name", NAMES)
def test_a_dash_and_dev_stdout_are_stdout_and_nothing_else_is(writers, name, tmp_path):
    command = writers[name]
    longshot(*command, tmp_path / "plain")
    expected = (tmp_path / "plain").read_text()
    for place in ("-", "/dev/stdout"):
        done = subprocess.run([LONGSHOT, *map(str, command), place], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout) == pytest.approx(len(expected), abs=60)
        if name not in ("report", "generate"):
            [json.loads(line) for line in (done.stdout.splitlines() if name != "eval --output" else [done.stdout])]
    shell = " ".join(map(str, command))
    log = tmp_path / "log"
    subprocess.run(f"(echo before; {LONGSHOT} {shell} /dev/stdout; echo after) > {log}", shell=True, check=True)
    text = log.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and len(text) > 12
    done = subprocess.run(["bash", "-c", f"{LONGSHOT} {shell} >(cat > {tmp_path}/through); wait"])
    assert done.returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "plain", "through"]


@pytest.mark.parametrize("name", NAMES)
def test_a_place_that_cannot_be_written_is_found_before_the_work(writers, name, tmp_path):
    command = [str(a) for a in writers[name]]
    for bad in (tmp_path, tmp_path / "no/such/place"):
        done = longshot(*command, bad, code=2)
        assert str(bad) in done.stderr and "pass@1" not in done.stdout


KEYS = "data_source, solution_str, ground_truth, extra_info"
BROKEN = {
    "syntax": ("def compute_score(:\n", "SyntaxError"),
    "missing import": ("import no_such_module\n", "no_such_module"),
    "no function": ("def reward(x): return 1\n", "no function compute_score"),
    "signature": ("def compute_score(a, b, c): return 1\n", "cannot be called"),
    "TRL's form": ("def compute_score(completions, tests): return [1.0]\n", "the row has no column tests"),
    "raises": (f"def compute_score({KEYS}): raise KeyError('answer')\n", "KeyError"),
    "returns nothing": (f"def compute_score({KEYS}): pass\n", "the score is None"),
    "exits": (f"import os\ndef compute_score({KEYS}): os._exit(3)\n", "exit code 3"),
    "exits at import": ("import os\nos._exit(4)\n", "exit code 4"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_python_reward_is_found_and_never_trained_on(setting, name, tmp_path):
    _, model, data, file = setting
    code, reason = BROKEN[name]
    reward = tmp_path / "reward.py"
    reward.write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\n" + code)
    option = f'reward.functions=[{{type="python",path="{reward}"}}]'
    dry = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", option, "--dry-run", code=2)
    assert reason in dry.stderr and dry.stdout == "" and not (tmp_path / "run").exists()
    (tmp_path / "starts").unlink(missing_ok=True)
    trained = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", option, code=2)
    assert reason in trained.stderr and "huggingface" not in trained.stdout
    starts = (tmp_path / "starts").read_text() if (tmp_path / "starts").exists() else ""
    assert len(starts) <= 6, "an interpreter for each sample"
    spec = json.dumps({"type": "python", "path": str(reward)})
    judged = longshot("eval", "--model", model, "--data", data / "val.jsonl", "--max-problems", 4, "--max-tokens", 8,
                      "--reward", spec, "--output", tmp_path / "figures.json", code=2)
    assert reason in judged.stderr and "pass@1" not in judged.stdout and not (tmp_path / "figures.json").exists()
    graded = longshot("grade", "--python", reward, text_in='{"completion": "3", "ground_truth": "3"}\n' * 3, code=2)
    assert reason in graded.stderr


def test_a_reward_that_fails_now_and_then_is_quoted_and_what_it_prints_is_logged(setting, tmp_path):
    _, model, data, file = setting
    reward = tmp_path / "reward.py"
    reward.write_text(f"""
calls = 0
def compute_score({KEYS}):
    global calls
    calls += 1
    print("judging call", calls)
    if calls % 2:
        return {{"score": 0.5, "acc": True}}
    raise KeyError("sometimes")
""")
    option = f'reward.functions=[{{type="python",path="{reward}"}}]'
    done = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", option)
    assert "could not be judged" in done.stderr and "KeyError: 'sometimes'" in done.stderr
    assert "reward.py: judging call 1" in done.stderr and "% not judged" in done.stderr
    judged = longshot("eval", "--model", model, "--data", data / "val.jsonl", "--max-problems", 8, "--max-tokens", 8,
                      "--reward", json.dumps({"type": "python", "path": str(reward)}))
    assert "KeyError" in judged.stdout and "mean score         0.5000" in judged.stdout
    assert "pass@1             1.0000" in judged.stdout


def test_a_command_reward_that_answers_nothing_stops_the_run(setting, tmp_path):
    _, _, _, file = setting
    done = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", "--dry-run",
                    'reward.functions=[{type="command",argv=["sh","-c","echo broken >&2; exit 3"]}]', code=2)
    assert "broken" in done.stderr
    done = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", "--dry-run",
                    'reward.functions=[{type="command",argv=["no_such_program_here"]}]', code=2)
    assert "no_such_program_here" in done.stderr


def test_repeated_rows_are_trained_and_evaluated_with_one_warning(setting, tmp_path):
    _, model, data, file = setting
    rows = (data / "val.jsonl").read_text().splitlines()[:3]
    many = tmp_path / "avg4.jsonl"
    many.write_text("\n".join(rows * 4) + "\n")
    done = longshot("eval", "--model", model, "--data", many, "--temperature", 1, "--max-tokens", 8,
                    "--samples", tmp_path / "samples.jsonl", "--output", tmp_path / "figures.json")
    assert done.stderr.count("earlier row") == 1 and "9 of 12 rows" in done.stderr
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert len({sample["prompt_id"] for sample in samples}) == 12
    assert len({sample["response"] for sample in samples[::3]}) > 1, "each copy has random numbers of its own"
    longshot("train", file, f"data.train_files=['{many}', '{many}']", f"trainer.default_local_dir={tmp_path}/run",
             "data.order=prioritized")
    longshot("train", file, f"data.train_files=['{many}', '{many}']", f"trainer.default_local_dir={tmp_path}/run",
             "data.order=prioritized", "trainer.total_iterations=3")


def test_eval_reads_other_columns_pipes_and_stdin(setting, tmp_path):
    _, model, data, _ = setting
    rows = [json.loads(line) for line in (data / "val.jsonl").read_text().splitlines()[:2]]
    prompt = rows[0]["prompt"] if isinstance(rows[0]["prompt"], str) else rows[0]["prompt"][0]["content"]
    text = json.dumps({"question": prompt, "result": "3", "set": "mine"}) + "\n"
    (tmp_path / "rows.jsonl").write_text(text)
    evaluation = ["eval", "--model", model, "--max-tokens", 8]
    refused = longshot(*evaluation, "--data", tmp_path / "rows.jsonl", code=2)
    assert "data.prompt_key=question" in refused.stderr and "--prompt-key question" in refused.stderr
    keys = ["--prompt-key", "question", "--ground-truth-key", "result", "--data-source-key", "set"]
    assert "problems           1" in longshot(*evaluation, *keys, "--data", tmp_path / "rows.jsonl").stdout
    assert "problems           1" in longshot(*evaluation, *keys, "--data", "-", text_in=text).stdout
    shell = " ".join(map(str, [LONGSHOT, *evaluation, *keys]))
    piped = subprocess.run(["bash", "-c", f"{shell} --data <(cat {tmp_path}/rows.jsonl)"], capture_output=True, text=True)
    assert piped.returncode == 0 and "problems           1" in piped.stdout, piped.stderr
    assert "directory" in longshot(*evaluation, "--data", tmp_path, code=2).stderr


def test_pass_at_1_is_one_line_with_an_interval_that_is_never_empty(setting, tmp_path):
    _, model, data, _ = setting
    wrong = json.dumps({"type": "format", "pattern": "never", "decides_correct": True})
    done = longshot("eval", "--model", model, "--data", data / "val.jsonl", "--max-problems", 8, "--n", 4, "--pass-at", "1,4",
                    "--temperature", 1, "--max-tokens", 1, "--reward", wrong)
    lines = [line for line in done.stdout.splitlines() if line.startswith("pass@1 ")]
    assert len(lines) == 1 and "interval 0.0000 to 0.3244" in lines[0], done.stdout


def test_run_folders_and_checkpoints_are_models_everywhere(setting, tmp_path):
    root, _, data, file = setting
    run, rows = root / "rl", tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "1+2=", "text": "1+2="}\n')
    taken = str(run / "global_step_2/huggingface")
    for model in (run, run / "global_step_2"):
        for command in (["eval", "--data", data / "val.jsonl", "--max-problems", 1, "--max-tokens", 4],
                        ["generate", "--input", rows, "--max-tokens", 4], ["logprobs", "--input", rows],
                        ["tokenize", "--input", rows], ["convert", "--output", tmp_path / f"out{model.name}"]):
            assert taken in longshot(*command, "--model", model).stderr, command
    printed = longshot("train", file, f"model.path={run}", f"trainer.default_local_dir={tmp_path}/on", "--dry-run")
    assert f"path = '{taken}'" in printed.stdout
    assert str(root / "sft/huggingface") in longshot("tokenize", "--model", root / "sft", "--input", rows).stderr
    empty = longshot("eval", "--model", tmp_path, "--data", data / "val.jsonl", code=2)
    assert str(tmp_path) in empty.stderr and "global_step_N" in empty.stderr


def test_commands_and_help():
    assert longshot().stdout == longshot("help").stdout == longshot("--help").stdout
    assert longshot("help", "train").stdout == longshot("train", "--help").stdout
    assert longshot("help", "data", "make").stdout == longshot("data", "make", "--help").stdout
    assert "no command 'tarin'; did you mean train?" in longshot("tarin", "x.toml", code=2).stderr
    assert "no command 'elsewhere'; `longshot help`" in longshot("elsewhere", "bash", code=2).stderr
    assert "no command 'evl'; did you mean eval?" in longshot("help", "evl", code=2).stderr


def test_start_and_end_of_a_run_say_what_it_is(setting, tmp_path):
    _, _, _, file = setting
    done = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", "trainer.test_freq=1")
    log = done.stderr
    assert log.index("loading ") < log.index("400 prompts (60 held out)") < log.index("before training")
    assert "iterations 1 to 2" in log and "held-out 0." in log.splitlines()[-1] and "longshot report" in log
    samples = (tmp_path / "run/samples/held_out_000002.jsonl").read_text().splitlines()
    assert len(samples) == 32 and json.loads(samples[0])["part"] == "held-out"
    page = longshot("report", tmp_path / "run", "-o", "-").stdout
    assert "held-out" in page and "</html>" in page


def test_dry_run_finds_a_folder_that_cannot_be_made_and_says_errors_alone(setting, tmp_path):
    _, _, _, file = setting
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file/run", "/proc/run"):
        for more in (["--dry-run"], []):
            done = longshot("train", file, f"trainer.default_local_dir={bad}", *more, code=2)
            assert "trainer.default_local_dir" in done.stderr and str(bad) in done.stderr and done.stdout == ""
    for bad, words in (("rollout.n=1", "rollout.n = 1"), ("data.train_batch_size=99999", "400 prompts")):
        done = longshot("train", file, f"trainer.default_local_dir={tmp_path}/a/b", bad, "--dry-run", code=2)
        assert words in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_device_that_this_libtorch_lacks_is_one_clear_line(setting, tmp_path):
    import torch

    if torch.version.cuda:
        pytest.skip("this libtorch has CUDA")
    _, model, _, file = setting
    done = longshot("train", file, f"trainer.default_local_dir={tmp_path}/run", "trainer.device=cuda", code=2)
    last = done.stderr.strip().splitlines()[-1]
    assert "device 'cuda'" in last and "troubleshooting" in last and len(last) < 250


def limited(bytes_):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))


def big_model(folder):
    """A model directory whose weights would take 4 GiB; only its config.json exists."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
        "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}))
    return folder


def test_limits_are_compared_before_anything_is_loaded(setting, tmp_path):
    _, _, _, file = setting
    model = big_model(tmp_path / "big")

    def run(*arguments, **options):
        return subprocess.run([LONGSHOT, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                              cwd=ROOT, **options)

    gibibytes = 8
    overrides = [f"model.path={model}", f"trainer.default_local_dir={tmp_path}/run"]
    done = run("train", file, *overrides, preexec_fn=limited(gibibytes << 30))
    assert done.returncode == 2 and "GiB of memory" in done.stderr and "address space" in done.stderr, done.stderr
    assert not (tmp_path / "run").exists()
    assert run("train", file, *overrides, "--dry-run", preexec_fn=limited(gibibytes << 30)).returncode == 2
    done = run("doctor", "--plan", file, *overrides, "--json", preexec_fn=limited(gibibytes << 30))
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert not plan["fits"] and plan["seconds"] == {} and plan["memory_limit"] == "the limit of the address space"
    assert plan["checkpoint_bytes"] == 12 * plan["parameters"] and plan["disk_bytes"] >= plan["checkpoint_bytes"]
    text = run("doctor", "--plan", file, *overrides, preexec_fn=limited(gibibytes << 30)).stdout
    assert "warn  memory" in text and "not tried" in text and "disk" in text


@pytest.mark.parametrize("mebibytes", [900, 1200, 1600])
def test_lack_of_memory_is_a_message(setting, mebibytes):
    """At any point, lack of memory ends in a message: no stack trace, no signal."""
    root, model, data, _ = setting
    done = subprocess.run([LONGSHOT, "eval", "--model", model, "--data", data / "val.jsonl", "--max-tokens", "64", "--n", "64",
                           "--temperature", "1"], capture_output=True, text=True, timeout=300, preexec_fn=limited(mebibytes << 20))
    assert done.returncode in (0, 1, 2, 127), (done.returncode, done.stderr)
    assert "terminate" not in done.stderr and "frame #" not in done.stderr


def test_the_plans_memory_is_that_of_the_run(setting, tmp_path):
    _, _, _, file = setting
    options = ["trainer.test_freq=0", f"trainer.default_local_dir={tmp_path}/run"]
    plan = json.loads(longshot("doctor", "--plan", file, "--json", *options).stdout)
    longshot("train", file, *options)
    row = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    memory = plan["memory_bytes"]
    for name in ("weights", "gradients", "moments"):
        assert memory[name] == pytest.approx(row[f"memory/{name}_gb"] * 2**30, rel=0.01), name
    files = (tmp_path / "run/global_step_2").rglob("*.safetensors")
    assert sum(f.stat().st_size for f in files) == pytest.approx(plan["checkpoint_bytes"], rel=0.15)


def test_why_a_port_cannot_be_taken_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = longshot("sandbox", "--port", taken.getsockname()[1], code=2)
        assert "in use" in done.stderr and "--port 0" in done.stderr
    assert "--host" in longshot("sandbox", "--host", "192.0.2.1", "--port", 8099, code=2).stderr


def test_a_port_that_needs_privileges_is_told():
    first_free = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first_free < 2:
        pytest.skip("every user may listen on every port of this machine")
    without_privilege = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    done = subprocess.run([*without_privilege, LONGSHOT, "sandbox", "--port", str(min(first_free, 1024) - 1)], capture_output=True, text=True,
                          timeout=60, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert "Permission denied; ports below 1024 need privileges, choose a higher --port" in done.stderr
