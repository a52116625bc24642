"""JSON through the program: integers of any size remain exact, and no depth of nesting ends a process."""
import json

import pytest

from support import Server, longshot, tiny_model

BIG = 2**80
HUGE = 10**5000 + 7
DEPTH = 400_000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("json"), steps=20)[0]


def deep(depth=DEPTH):
    return ["[" * depth, "[" * depth + "]" * depth, '{"a":' * depth, '{"a":' * depth + "1" + "}" * depth]


def rows(path, *lines):
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_a_python_reward_gets_integers_of_any_size(tmp_path):
    (tmp_path / "r.py").write_text("""
def compute_score(data_source, solution_str, ground_truth, extra_info):
    right = int(solution_str) == extra_info["big"] and extra_info["huge"] == 10**5000 + 7
    return {"score": float(right), "answer": extra_info["big"]}
""")
    text = "".join(json.dumps({"completion": str(c), "ground_truth": "", "extra_info": {"big": BIG + 1, "huge": big}})
                   + "\n" for c, big in ((BIG + 1, 10**200), (BIG, 10**200)))
    text = text.replace(str(10**200), "1" + "0" * 4999 + "7")
    done = longshot("grade", "--python", tmp_path / "r.py", text_in=text)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["score"] == 1 and first["answer"] == str(BIG + 1)
    assert second["score"] == 0


@pytest.mark.parametrize("right, value, same", [
    (BIG, "2**80", True), (BIG, "2**80+1", False), (BIG + 1, "2**80", False), (-BIG, "-2**80", True),
    (2**53, "2.0**53", True), (2**53 + 1, "2.0**53", False), (BIG, "2.0**80", True), (BIG + 1, "2.0**80", False),
    ([BIG, {"a": BIG + 1}], "[2**80, {'a': 2**80+1}]", True), ([BIG, {"a": BIG + 1}], "[2**80, {'a': 2**80}]", False)])
def test_a_function_must_return_the_same_integer(right, value, same):
    truth = {"function": "f", "tests": [{"args": [BIG + 1], "value": right}]}
    completion = f"```python\ndef f(x):\n    assert x == 2**80 + 1\n    return {value}\n```"
    row = {"completion": completion, "ground_truth": json.dumps({"entry_point": "f", "tests": truth["tests"]})}
    done = longshot("grade", "--reward", "code", text_in=json.dumps(row) + "\n")
    assert json.loads(done.stdout)["correct"] is same, done.stdout


def test_deep_rows_are_refused_by_name(tmp_path, tiny):
    for text in deep():
        for line in (text, '{"prompt": "1+1=", "ground_truth": "2", "completion": "2", "extra_info": ' + text + "}"):
            path = rows(tmp_path / "rows.jsonl", line)
            for command in (["grade", "--input", path], ["eval", "--model", tiny, "--data", path, "--max-tokens", 8],
                            ["data", "inspect", path], ["generate", "--model", tiny, "--input", path]):
                done = longshot(*command, code=2)
                assert "nests deeper" in done.stderr or "not valid JSON" in done.stderr, done.stderr


def test_rows_just_below_the_limit_are_read(tmp_path):
    (tmp_path / "r.py").write_text("""
def compute_score(data_source, solution_str, ground_truth, extra_info):
    value, depth = extra_info["a"], 0
    while value:
        value, depth = value[0], depth + 1
    return float(depth)
""")
    line = '{"completion": "", "ground_truth": "", "extra_info": {"a": ' + "[" * 498 + "]" * 498 + "}}"
    done = longshot("grade", "--python", tmp_path / "r.py", text_in=line + "\n")
    assert json.loads(done.stdout)["score"] == 497


def test_a_deep_configuration_is_refused(tmp_path):
    for text in ("v = " + "[" * 1_000_000, ".".join(["a"] * 300_000) + " = 1", "[" + ".".join(["a"] * 300_000) + "]\n"):
        path = tmp_path / "c.toml"
        path.write_text(text)
        longshot("train", path, "--dry-run", code=2)
    (tmp_path / "empty.toml").write_text("")
    for value in ("[" * 100_000, "{a=" * 40_000, ".".join(["a"] * 60_000)):
        longshot("train", tmp_path / "empty.toml", "reward.functions=" + value, "--dry-run", code=2)
    for reward in ("[" * 100_000, '{"type":' * 15_000):
        longshot("grade", "--reward", reward, text_in="", code=2)


def post_all(server, paths):
    for path in paths:
        for text in deep():
            for body in (text, '{"model": "m", "prompt": ' + text + "}", '{"messages": [' + text + "]}"):
                status, answer = server.call(path, data=body.encode(), headers={"Content-Type": "application/json"})
                assert status == 400 and "error" in answer, (path, status, answer)
    assert server.call("/health")[0] == 200


def test_deep_requests_do_not_end_the_server(tiny):
    with Server("--model", tiny) as server:
        post_all(server, ["/v1/chat/completions", "/v1/completions", "/generate", "/tokenize", "/detokenize"])


def test_deep_requests_do_not_end_the_sandbox():
    with Server("--slots", "1", command="sandbox") as server:
        post_all(server, ["/run_code", "/run_tests"])
        code = "def f(x):\n    return x + 1"
        body = {"language": "python", "code": code, "entry_point": "f", "tests": [{"args": [BIG], "value": BIG + 1}]}
        assert server.call("/run_tests", body)[1]["passed"] is True
        body["tests"][0]["value"] = BIG
        assert server.call("/run_tests", body)[1]["passed"] is False
        deep_value = "def f(x):\n    v = []\n    for _ in range(200000): v = [v]\n    return v"
        assert server.call("/run_tests", {**body, "code": deep_value})[1]["passed"] is False
