"""Rows of programs in the formats of the public data sets, graded by `longshot grade --reward code`."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from support import LONGSHOT

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "grader"))
import code_rows  # noqa: E402


def grade(rows, reward="code", timeout=600):
    lines = "".join(json.dumps({"completion": response, "ground_truth": truth}) + "\n" for response, truth in rows)
    done = subprocess.run([LONGSHOT, "grade", "--reward", reward, "--threads", "4"], input=lines, capture_output=True, text=True,
                          timeout=timeout)
    graded = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(graded) == len(rows), done.stderr
    return graded


@pytest.mark.parametrize("as_text", [False, True], ids=["objects", "texts"])
def test_rows_of_data_sets(as_text):
    rows = [(response, json.dumps(truth) if as_text and not isinstance(truth, str) else truth)
            for _, response, truth, _ in code_rows.ROWS]
    graded = grade(rows)
    wrong = [(name, score, got) for (name, _, _, score), got in zip(code_rows.ROWS, graded) if got.get("score") != score]
    assert not wrong, f"{len(wrong)} of {len(rows)}: {wrong}"


def test_rows_that_no_program_can_pass_are_errors_by_name():
    answer = code_rows.fenced("def f(x):\n    return x")
    graded = grade([(code_rows.fenced(code_rows.NEXT), code_rows.ONE_TO_TWO)] + [(answer, truth) for _, truth, _ in code_rows.UNFIT])
    assert graded[0]["score"] == 1
    for (name, _, words), got in zip(code_rows.UNFIT, graded[1:]):
        assert got.get("score") is None and words in got["error"], (name, got)


def test_limits_are_options_of_the_reward():
    truth = code_rows.streams(("", "x" * (2 << 20)))
    row = (code_rows.fenced("print('x' * (2 << 20))"), truth)
    assert grade([row], '{"type": "code", "limits": {"output_bytes": 3000000}}')[0]["score"] == 1


def peak_mebibytes(row):
    """Peak memory of the grading process."""
    process = subprocess.Popen([LONGSHOT, "grade", "--reward", "code"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps({"completion": row[0], "ground_truth": row[1]}) + "\n")
    process.stdin.close()
    graded = json.loads(process.stdout.readline())
    _, process.returncode, used = os.wait4(process.pid, 0)
    process.stdout.close()
    return graded["score"], used.ru_maxrss / 1024


def test_what_a_program_writes_costs_the_grader_no_memory():
    ones = code_rows.calls("f", ([0], [1] * 400_000))
    score, usual = peak_mebibytes((code_rows.fenced("def f(x):\n    return [1] * 400_000"), ones))
    assert score == 1
    streams = code_rows.streams(("", "1"))
    for name, code, truth in [
            ("1.3 GB printed", "for _ in range(1300): print('x' * 1_000_000)", streams),
            ("a long list", "def f(x):\n    return [0] * 5_000_000", ones),
            ("a long text", "def f(x):\n    return 'x' * 60_000_000", ones),
            ("a file of its own", "import os\nopen('answer.json', 'w').write('[' * 60_000_000)\nos._exit(0)", ones)]:
        score, peak = peak_mebibytes((code_rows.fenced(code), truth))
        assert score == 0 and peak < usual + 64, (name, score, peak, usual)


def test_busy_threads_beside_a_suite_change_no_verdict():
    """50 tests of half a second of processor time each, with a limit of one second, next to eight busy threads."""
    tests = 50
    slow = "import time\nwhile time.process_time() < 0.5: pass\nprint(input())"
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
    try:
        graded = grade([(code_rows.fenced(slow), code_rows.streams(*[("1", "1")] * tests)),
                        (code_rows.fenced("while True: pass"), code_rows.streams(("1", "1")))],
                       '{"type": "code", "run_timeout": 1}')
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert [row.get("score") for row in graded] == [1, 0], graded
