"""RL on generated programs that are judged in a sandbox of the training process."""
import json
import subprocess

import pytest

from support import LONGSHOT, longshot


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("programs")
    longshot("data", "make", "--task", "programs", "--levels", "1-2", "--out", directory, "--train", 200, "--val", 20,
             "--sft", 600, "--seed", 1)
    done = grade(directory, ["x"], "--reward", "code")
    assert "Operation not permitted" not in done.stderr, f"no jails on this machine: {done.stderr}"
    return directory


def grade(data, completions, *arguments):
    lines = "".join(json.dumps({"completion": completion, "ground_truth": row["reward_model"]["ground_truth"]}) + "\n"
                    for row, completion in zip(rows(data / "val.jsonl"), completions))
    return subprocess.run([LONGSHOT, "grade", "--threads", "4", *arguments], input=lines, capture_output=True, text=True,
                          timeout=120)


def program(row):
    """An answer to the row, derived from its words in another way than the generator's."""
    steps, ending = row["prompt"][0]["content"].rstrip(":").rsplit(",", 1)
    lines = ["import sys", "a = list(map(int, sys.stdin.read().split()))"]
    for word in steps.split(","):
        key, number = (word[0], word[1:]) if word[0] in "+-*<>" else (word, "")
        lines.append({
            "+": f"a = [{number} + x for x in a]", "-": f"a = [x - {number} for x in a]",
            "*": f"a = [x * {number} for x in a]", "<": f"a = list(filter(lambda x: x < {number}, a))",
            ">": f"a = list(filter(lambda x: x > {number}, a))", "even": "a = [x for x in a if not x & 1]",
            "odd": "a = [x for x in a if x & 1]", "neg": "a = [0 - x for x in a]",
            "abs": "a = [max(x, -x) for x in a]", "sort": "a.sort()", "flip": "a.reverse()", "rest": "del a[:1]",
            "once": "a = sorted(set(a), key=a.index)"}[key])
    lines.append({"sum": "print(sum(a))", "len": "print(len(a))", "max": "print(max(a) if a else 0)",
                  "min": "print(min(a) if a else 0)", "list": "print(' '.join(map(str, a)))"}[ending])
    return "\n".join(lines)


def fenced(code):
    return f"```python\n{code}\n```"


def test_grade_runs_programs_in_a_sandbox_of_its_own(data):
    right = [fenced(program(row)) for row in rows(data / "val.jsonl")]
    done = grade(data, right, "--reward", "code")
    assert [json.loads(line)["score"] for line in done.stdout.splitlines()] == [1.0] * len(right), done.stderr
    for broken in (fenced("print(0 / 0)"), fenced("print('no')"), "no program", fenced("import os; os.kill(1, 9)")):
        done = grade(data, [broken] * len(right), "--reward", "code")
        assert [json.loads(line).get("score") for line in done.stdout.splitlines()] == [0.0] * len(right), done.stderr


def test_an_endless_program_is_wrong_however_short_the_time(data):
    endless = [fenced("while True: pass")] * 2
    done = grade(data, endless, "--reward", '{"type": "code", "run_timeout": 1}', "--timeout", "0.5")
    assert [json.loads(line).get("score") for line in done.stdout.splitlines()] == [0.0, 0.0], done.stderr


def test_a_long_suite_has_the_time_of_all_its_tests():
    truth = json.dumps({"inputs": ["1"] * 12, "outputs": ["1"] * 12})
    slow = "import time\nwhile time.process_time() < 0.2: pass\nprint(input())"
    row = json.dumps({"completion": fenced(slow), "ground_truth": truth})
    done = subprocess.run([LONGSHOT, "grade", "--reward", "code", "--timeout", "0.5"], input=row, capture_output=True,
                          text=True, timeout=120)
    assert json.loads(done.stdout)["score"] == 1.0, done.stderr


@pytest.mark.parametrize("reward, complaint", [
    ('{"type": "code", "slots": -1}', "slots"), ('{"type": "code", "slot": 1}', "slot"),
    ('{"type": "code", "python": "/no/such/python"}', "/no/such/python"),
    ('{"type": "code", "preamble": "some"}', "preamble"), ('{"type": "code", "tolerance": 2}', "tolerance"),
    ('{"type": "code", "limits": 5}', "limits"), ('{"type": "code", "language": "cobol"}', "cobol")])
def test_bad_options_are_refused(data, reward, complaint):
    done = grade(data, ["x"], "--reward", reward)
    assert done.returncode == 2 and complaint in done.stderr


def test_training_with_programs_as_actions(data, tmp_path):
    sft = longshot("sft", "configs/programs_sft.toml", f"model.alphabet_file={data}/alphabet.txt",
                   f"data.train_files=['{data}/sft.jsonl']", f"trainer.default_local_dir={tmp_path}/sft",
                   "trainer.total_steps=150", "sft.batch_tokens=4096", "trainer.test_freq=0")
    run = tmp_path / "rl"
    longshot("train", "configs/programs_rl.toml", f"model.path={sft.stdout.strip()}",
                    f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']",
                    f"trainer.default_local_dir={run}", "trainer.total_iterations=3", "trainer.test_freq=3",
                    "data.train_batch_size=16", "data.max_response_length=200")
    metrics = rows(run / "metrics.jsonl")
    assert [m["step"] for m in metrics] == [0, 1, 2, 3]
    for m in metrics[1:]:
        assert m["reward/error_share"] == 0 and m["reward/code/errors"] == 0 and m["reward/seconds/code"] > 0
        assert 1 <= m["perf/judgements_waiting_max"] <= 128
        assert m["reward/code/mean"] == m["critic/accuracy"]
    assert 0 < metrics[-1]["critic/accuracy"] < 1
    sample = rows(run / "samples/samples_000003.jsonl")[0]
    assert sample["ground_truth"].startswith('{"inputs"')
