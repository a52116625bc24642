"""Programs that try to pass tests without solving the problem: all must be judged wrong, and none is a fault of the sandbox."""
import concurrent.futures
import re

import pytest

from cheats import CHEATS, RIGHT, SUITES
from support import Server


@pytest.fixture(scope="module")
def service():
    with Server("--slots", 4, command="sandbox") as running:
        yield running


def judge(service, code, suite):
    status, answer = service.call("/run_tests", {"language": "python", "code": code, "run_timeout": 2, "memory_limit_MB": 256,
                                                 "preamble": True, **suite})
    assert status == 200, answer
    return answer


@pytest.mark.parametrize("suite", SUITES)
def test_no_cheat_passes(service, suite):
    assert judge(service, RIGHT, SUITES[suite])["passed"] is True, "the right program fails"
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = dict(zip(CHEATS, threads.map(lambda name: judge(service, CHEATS[name], SUITES[suite]), CHEATS)))
    for name, answer in answers.items():
        assert answer["passed"] is False and answer["verdict"] != "XX", (name, answer)
        for case in answer["tests"]:
            text = case.get("stdout", "") + case.get("stderr", "")
            assert "READ" not in text and not re.search("[0-9a-f]{32}", text), (name, text)
    assert judge(service, RIGHT, SUITES[suite])["passed"] is True, "a cheat has outlived its run"
