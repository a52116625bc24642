"""longshot make-tests from statements to rows that the code reward uses; the problems are those of tests/problems."""
import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from problems import FakeService, Source, fenced
from support import LONGSHOT, ROOT, Server, longshot

# Few cases, so that most tests are quick; one test below uses the report's 50 cases.
QUICK = ["--cases", 8, "--min-valid", 6, "--ask-retries", 0]
FEW = ["--cases", 3, "--min-valid", 2]
CRASHES = fenced("from cyaron import *\nprint(undefined)\n")
CONSTANT = fenced("from cyaron import *\nprint(5, 5)\nprint(1, 2, 3, 4, 1)\n")


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(text):
    """The counts of the printed funnel, keyed by the first word of their line."""
    return {line.split()[0]: int(line[42:].split()[0]) for line in text.splitlines()[1:5]}


# Name, number of wrong submissions of ten, and the answer to a request for a generator; None: the problem's own.
CASES = [
    ("pairs_with_sum", 0, None), ("max_subarray", 0, None), ("common_subsequence", 0, None), ("tree_diameter", 0, None),
    ("merge_intervals", 0, None), ("inversions", 0, None), ("palindromic_substrings", 0, "second"),
    ("shortest_path", 1, None), ("count_primes", 1, None), ("balanced_brackets", 2, None), ("fewest_coins", 2, None),
    ("any_factor_pair", 0, None), ("small_squares", 0, None), ("unstated_choice", 0, None),
]
KEPT = ["pairs_with_sum", "max_subarray", "common_subsequence", "tree_diameter", "merge_intervals", "inversions",
        "palindromic_substrings", "shortest_path", "count_primes"]


def whole_set():
    """Returns (rows, answers by statement) of CASES and of four problems derived from one of them."""
    rows, answers = [], {}

    def add(source, row, *texts):
        rows.append(row)
        answers[row["statement"]] = texts or [fenced(source.generator)]

    for name, wrong, kind in CASES:
        source = Source(name)
        add(source, source.row(wrong), *([CRASHES, fenced(source.generator)] if kind == "second" else []))
    pairs = Source("pairs_with_sum")
    add(pairs, pairs.row(name="flagged", special_judge=True))
    add(pairs, pairs.row(name="crashing"), CRASHES)
    add(pairs, pairs.row(name="constant"), CONSTANT)
    add(pairs, pairs.row(name="speechless"), "I would print n and then the weights.", "```cpp\nint main() {}\n```")
    return rows, answers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns the folder, the output and the service of one run over everything."""
    root = tmp_path_factory.mktemp("make_tests")
    rows, answers = whole_set()
    problems = write_rows(root / "problems.jsonl", rows)
    with FakeService(answers) as service:
        done = longshot("make-tests", problems, "--out", root / "out", "--url", service.url, "--model", "m", "--attempts", 2,
                        "--api-key", "secret", *QUICK)
    return root / "out", done, service


def test_the_funnel(made):
    out, done, service = made
    # 18 statements; 2 need a special judge; generators: 9 kept, and 2 with two wrong submissions of ten.
    assert table(done.stdout) == {"statements": 18, "without": 16, "generators": 11, "9": 9}, done.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["funnel"] == {
        "statements": 18, "without_special_judge": 16, "generators": 11, "problems": 9, "errors": 0,
        "dropped": {"special judge": 2, "no code": 1, "generator fails": 1, "too few cases": 2, "too few valid cases": 1,
                    "too few passing submissions": 2}}
    assert [row["id"] for row in read_rows(out / "tests.jsonl")] == KEPT
    assert set(service.keys) == {"Bearer secret"}
    assert "secret" not in (out / "journal.jsonl").read_text() + (out / "report.json").read_text()


def test_every_problem_has_a_record_that_says_why(made):
    out, _, service = made
    records = {record["id"]: record for record in json.loads((out / "report.json").read_text())["problems"]}
    assert len(records) == 18
    assert records["any_factor_pair"]["message"] == "the statement says 'print any of them'"
    assert records["flagged"]["message"] == "the row says so"
    assert "NameError" in records["crashing"]["message"]
    assert records["constant"]["cases"] == 1 and records["small_squares"]["cases"] == 3
    assert records["speechless"]["answer"].startswith("I would print n")
    assert records["unstated_choice"]["agreements"] == [1, 1, 1]  # then 5 of 8 cases cannot be enough
    assert records["palindromic_substrings"]["attempts"] == 2 and records["pairs_with_sum"]["attempts"] == 1
    two_wrong = records["fewest_coins"]
    assert two_wrong["state"] == "dropped" and two_wrong["passing_submissions"] == 8
    assert two_wrong["valid_cases"] == list(range(8)) and min(two_wrong["agreements"]) == 8
    assert [s["passed"] for s in two_wrong["submissions"]] == [True] * 8 + [False] * 2
    assert two_wrong["submissions"][9]["message"].endswith("another output than the others'")
    one_wrong = records["shortest_path"]
    assert one_wrong["state"] == "kept" and one_wrong["passing_submissions"] == 9
    asked = service.asked
    assert asked[Source("any_factor_pair").statement] == 0 and asked[Source("pairs_with_sum").statement] == 1
    assert "Graph.tree" in service.requests[0]["messages"][0]["content"]


def grade(url, rows_and_code, root):
    rows = [dict(row, completion=f"Here it is.\n```{p['language']}\n{p['code']}```\n") for row, p in rows_and_code]
    reward = json.dumps({"type": "code", "url": url})
    done = longshot("grade", "--input", write_rows(root / "rows.jsonl", rows), "--reward", reward, "--threads", 2,
                    "--timeout", 60)
    return [json.loads(line)["score"] for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def sandbox():
    with Server("--slots", 2, command="sandbox") as running:
        yield running


def test_right_programs_pass_the_tests_and_wrong_ones_fail(made, sandbox, tmp_path):
    rows = read_rows(made[0] / "tests.jsonl")
    right = [(row, Source(row["id"]).right[-1]) for row in rows]
    wrong = [(row, Source(row["id"]).wrong[0]) for row in rows]
    assert grade(sandbox.url, right + wrong, tmp_path) == [1] * 9 + [0] * 9


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    """A nearly untrained model: its answers are strings of letters."""
    root = tmp_path_factory.mktemp("model")
    (root / "alphabet.txt").write_text("\n" + "".join(map(chr, range(32, 127))))
    write_rows(root / "sft.jsonl", [{"prompt": "a", "completion": "qwertyuiop"}] * 8)
    (root / "sft.toml").write_text(f"""
[model]
alphabet_file = "{root}/alphabet.txt"
hidden_size = 16
num_layers = 1
num_heads = 2
num_kv_heads = 1
intermediate_size = 16
max_positions = 8192
[data]
train_files = ["{root}/sft.jsonl"]
max_length = 64
[trainer]
total_steps = 1
test_freq = 0
default_local_dir = "{root}/sft"
""")
    longshot("sft", root / "sft.toml")
    return root / "sft/huggingface"


def test_the_rows_are_prompts_of_a_model(made, sandbox, random_model):
    reward = json.dumps({"type": "code", "url": sandbox.url})
    done = longshot("eval", "--model", random_model, "--data", made[0] / "tests.jsonl", "--reward", reward,
                    "--max-tokens", 8)
    assert "problems           9 (9 samples, 0 not judged)" in done.stdout and "pass@1             0.0000" in done.stdout


@pytest.mark.parametrize("served", [False, True])
def test_a_model_of_our_own_that_knows_nothing(random_model, tmp_path, served):
    problems = write_rows(tmp_path / "problems.jsonl", [Source(name).row() for name in KEPT[:4]])
    command = ["make-tests", problems, "--out", tmp_path / "out", "--max-tokens", 24, "--attempts", 2, "--seed", 1, *FEW]
    if served:
        with Server("--model", random_model, "--max-sequence", 8192) as server:
            done = longshot(*command, "--url", server.url + "/v1", "--model", "huggingface")
    else:
        done = longshot(*command, "--model", random_model)
    assert table(done.stdout) == {"statements": 4, "without": 4, "generators": 0, "9": 0}
    records = json.loads((tmp_path / "out/report.json").read_text())["problems"]
    assert [r["reason"] for r in records] == ["no code"] * 4 and any(r.get("answer") for r in records)
    assert (tmp_path / "out/tests.jsonl").read_text() == ""


def test_the_reports_numbers(tmp_path):
    """The default numbers: 50 cases, 10 submissions, 7, 40 and 9. Generators are given, so no model is needed."""
    sources = [Source("pairs_with_sum"), Source("merge_intervals"), Source("small_squares")]
    rows = [sources[0].row(1, generator=sources[0].generator), sources[1].row(2, generator=sources[1].generator),
            sources[2].row(generator=sources[2].generator)]
    done = longshot("make-tests", write_rows(tmp_path / "problems.jsonl", rows), "--out", tmp_path / "out")
    assert table(done.stdout) == {"statements": 3, "without": 3, "generators": 2, "9": 1}
    (row,) = read_rows(tmp_path / "out/tests.jsonl")
    truth = row["reward_model"]["ground_truth"]
    assert len(truth["inputs"]) == len(truth["outputs"]) == len(set(truth["inputs"])) >= 40
    n, s = map(int, truth["inputs"][30].splitlines()[0].split())
    a = list(map(int, truth["inputs"][30].splitlines()[1].split()))
    assert int(truth["outputs"][30]) == sum(a[i] + a[j] == s for i in range(n) for j in range(i))


def test_a_stopped_run_goes_on_and_gives_the_same_rows(tmp_path):
    sources = [Source(name) for name in ("pairs_with_sum", "max_subarray", "merge_intervals", "count_primes", "inversions")]
    rows = [source.row() for source in sources]
    for row in rows:  # nothing to compile
        row["submissions"] = [s for s in row["submissions"] if s["language"] == "python"]
    problems = write_rows(tmp_path / "problems.jsonl", rows)
    answers = {source.statement: [fenced(source.generator)] for source in sources}
    command = ["make-tests", problems, "--model", "m", *FEW, "--submissions", 8, "--min-passing", 8]
    with FakeService(answers) as service:
        longshot(*command, "--url", service.url, "--out", tmp_path / "whole")
    journal = tmp_path / "out/journal.jsonl"
    with FakeService(answers, delay=0.3) as slow:
        running = subprocess.Popen([LONGSHOT, *map(str, command), "--url", slow.url, "--out", str(tmp_path / "out"),
                                    "--concurrency", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        end = time.monotonic() + 60
        while not (journal.exists() and journal.read_text().count("\n") >= 3) and time.monotonic() < end:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    first = len(read_rows(tmp_path / "out/tests.jsonl"))
    assert 2 <= first < 5 and f"not done yet{5 - first:>38}" in out, out
    with open(journal, "a") as file:
        file.write('{"record": {"id": "cut o')  # as left by kill -9 in the middle of a write
    with FakeService(answers) as service:
        longshot(*command, "--url", service.url, "--out", tmp_path / "out")
    assert sum(service.asked.values()) == 5 - first
    assert (tmp_path / "out/tests.jsonl").read_bytes() == (tmp_path / "whole/tests.jsonl").read_bytes()
    with FakeService(answers) as service:  # no problem remains
        longshot(*command, "--url", service.url, "--out", tmp_path / "out")
    assert sum(service.asked.values()) == 0


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_run_on_one_folder_is_refused(tmp_path):
    source = Source("merge_intervals")
    problems = write_rows(tmp_path / "problems.jsonl", [source.row()])
    out = tmp_path / "out"
    command = ["make-tests", problems, "--out", out, "--model", "m", *FEW]
    with FakeService({source.statement: [fenced(source.generator)]}, delay=60) as slow:
        first = subprocess.Popen([LONGSHOT, *map(str, command), "--url", slow.url], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, cwd=ROOT)
        end = time.monotonic() + 60
        while not (out / "journal.jsonl").exists() and time.monotonic() < end:
            time.sleep(0.02)
        before = contents(out)
        assert set(before) == {"journal.jsonl", "lock"}
        refused = longshot(*command, "--url", slow.url, code=2)
        assert f"{out} is in use by process {first.pid}: " in refused.stderr
        assert refused.stdout == "" and contents(out) == before and first.poll() is None
        first.kill()  # the lock ends with the process
        first.communicate(timeout=60)
    with FakeService({source.statement: [fenced(source.generator)]}) as service:
        assert table(longshot(*command, "--url", service.url).stdout)["9"] == 1


def test_a_service_that_fails_is_an_error_and_not_a_drop(tmp_path):
    source = Source("merge_intervals")
    problems = write_rows(tmp_path / "problems.jsonl", [source.row(), source.row(name="other")])
    answers = {source.statement: [503, fenced(source.generator)], source.row(name="other")["statement"]: [fenced(source.generator)]}
    with FakeService(answers) as service:
        command = ["make-tests", problems, "--out", tmp_path / "out", "--url", service.url, "--model", "m", *FEW, "--ask-retries", 0]
        failed = longshot(*command, code=1)
        assert "1 problems could not be judged" in failed.stderr and "503" in failed.stderr
        record = json.loads((tmp_path / "out/report.json").read_text())["problems"][0]
        assert record["state"] == "error" and record["reason"] == ""
        done = longshot(*command)
        assert table(done.stdout) == {"statements": 2, "without": 2, "generators": 2, "9": 2}
        assert service.asked[source.row(name="other")["statement"]] == 1


NOWHERE = ["--url", "http://127.0.0.1:1/v1", "--model", "m"]


@pytest.mark.parametrize("arguments, words", [
    ([], "give --model DIR or --url"),
    ([*NOWHERE, "--min-agree", 5], "more than half"),
    ([*NOWHERE, "--cases", 30], "--min-valid 40"),
    ([*NOWHERE, "--temperature", 0], "--attempts 1"),
    ([*NOWHERE, "--top-k", 5], "excludes"),
    (["--url", "127.0.0.1", "--model", "m"], "--url"),
    (["--url", "http://127.0.0.1:1/v1"], "--url needs --model"),
    (["--api-key", "x"], "requires --url"),
    (["--model", "/nowhere"], "/nowhere"),
    ([*NOWHERE, "--python", "/bin/false"], "/bin/false"),
    ([*NOWHERE, "--speculation", "ngram"], "--speculation"),
])
def test_bad_arguments_are_refused_by_name(tmp_path, arguments, words):
    problems = write_rows(tmp_path / "problems.jsonl", [Source("merge_intervals").row()])
    done = longshot("make-tests", problems, "--out", tmp_path / "out", *arguments, code=2)
    assert words in done.stderr, done.stderr


def test_what_ends_a_run_has_code_2(tmp_path):
    source = Source("merge_intervals")
    problems = write_rows(tmp_path / "problems.jsonl", [source.row()])
    command = ["make-tests", problems, "--out", tmp_path / "out", *FEW]
    with FakeService({source.statement: [401]}) as service:
        assert "--api-key" in longshot(*command, "--url", service.url, "--model", "m", code=2).stderr
    with FakeService({source.statement: [fenced(source.generator)]}) as service:
        longshot(*command, "--url", service.url, "--model", "m")
        other = longshot(*command, "--url", service.url, "--model", "m", "--seed", 5, code=2)
    assert "seed was 0, now 5" in other.stderr
    bad = write_rows(tmp_path / "bad.jsonl", [source.row(), {"id": "x"}])
    assert "bad.jsonl:2: key 'statement'" in longshot("make-tests", bad, "--out", tmp_path / "b", code=2).stderr


def test_an_interpreter_without_cyaron_is_refused(tmp_path):
    bare = ROOT / "build/python_without_cyaron"  # below a folder that jails can show; /tmp is private to each jail
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    problems = write_rows(tmp_path / "problems.jsonl", [Source("merge_intervals").row(generator="print(1)")])
    done = longshot("make-tests", problems, "--out", tmp_path / "out", "--python", bare / "bin/python", code=2)
    assert "cannot import cyaron" in done.stderr and "pip install cyaron" in done.stderr
    assert not pathlib.Path(tmp_path / "out").exists()
