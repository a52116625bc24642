"""The Python package on values, rows, files and interruptions that users have. test_packages.py runs it installed."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import tomllib

import numpy
import pytest

from support import LONGSHOT, ROOT

sys.path.insert(0, str(ROOT / "python"))
import longshot  # noqa: E402
from longshot import _toml  # noqa: E402
from longshot._run import RowReader  # noqa: E402

ODD_ENDS = "x\u0085y\u2028z\u2029\x0b\x0c\x1c"


@pytest.fixture(autouse=True)
def program(monkeypatch):
    monkeypatch.setenv("LONGSHOT_BIN", str(LONGSHOT))


@pytest.mark.parametrize("value", ["plain", "run 😀", "\"'\\", "tab\tend\n\x7f", 3, -0.0, 3e-5, float("inf"), True, [1, "a"], {"b 😀": [0.5]}])
def test_values_are_the_same_in_toml(value):
    assert tomllib.loads("v = " + _toml.value_text(value)) == {"v": value}


def test_numbers_of_numpy_are_numbers():
    for value in (numpy.float64(3e-5), numpy.float32(0.5), numpy.int64(3), numpy.bool_(True)):
        assert tomllib.loads("v = " + _toml.value_text(value)) == {"v": value.item()}


def test_an_override_with_any_text_arrives(tmp_path):
    with pytest.raises(longshot.BadInput, match="run 😀/none"):
        longshot.train({"model.path": "none", "trainer.default_local_dir": tmp_path / "run"}, {"model.path": tmp_path / "run 😀/none"})


def test_a_text_may_contain_other_ends_of_lines():
    verdicts = longshot.grade([{"completion": ODD_ENDS, "ground_truth": ODD_ENDS}] * 2, reward="exact")
    assert [verdict["answer"] for verdict in verdicts] == [ODD_ENDS] * 2


def rows(steps, seconds):
    return "".join(json.dumps({"step": step, "seconds": seconds}) + "\n" for step in steps)


def test_rows_of_a_resumed_run_are_given_once(tmp_path):
    """The file is cut and grows beyond its old size between two looks."""
    file = tmp_path / "metrics.jsonl"
    reader = RowReader(file)
    assert reader.new_rows() == []
    file.write_text(rows(range(30), 1) + '{"step": 30,')
    assert [row["step"] for row in reader.new_rows()] == list(range(30))
    assert reader.new_rows() == []
    file.write_text(rows(range(20), 1) + rows(range(20, 33), 22.25))
    assert [row["step"] for row in reader.new_rows()] == [30, 31, 32]
    file.write_text(rows(range(31), 1))
    assert reader.new_rows() == []
    file.write_text(rows(range(34), 1))
    assert [row["step"] for row in reader.new_rows()] == [33]


def test_a_server_ends_with_an_interrupted_start(tmp_path):
    """The program is one that never answers, as while it reads a large model."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/pid\nexec sleep 60\n")
    program.chmod(0o755)
    caller = subprocess.Popen([sys.executable, "-c", "import longshot; longshot.serve('model')"], stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "LONGSHOT_BIN": str(program)})
    end = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < end:
        time.sleep(0.01)
    server = pathlib.Path("/proc") / (tmp_path / "pid").read_text().strip()
    caller.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in caller.communicate(timeout=30)[1]
    assert not server.exists()


WANDB = """
class Table:
    def __init__(self, columns, data): pass
class Run:
    id = "w1"
    def log(self, values, step):
        if step == 2 and not interrupted: interrupted.append(1); add(); raise KeyboardInterrupt
        sent.append(step)
    def finish(self): pass
sent, interrupted = [], []
def init(**given): return Run()
"""


def test_an_interrupted_copy_loses_no_row(tmp_path, monkeypatch):
    """Ctrl-C comes while a row is sent and another one is written."""
    (tmp_path / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(str(tmp_path))
    import wandb
    from longshot.wandb import main
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "metrics.jsonl").write_text(rows(range(5), 1))
    (run / "samples/held_out_000001.jsonl").write_text(json.dumps({"prompt": ODD_ENDS}, ensure_ascii=False) + "\n", encoding="utf-8")
    wandb.add = lambda: (run / "metrics.jsonl").open("a").write(rows([5], 1))
    main([str(run)])
    assert wandb.sent == list(range(6))
    main([str(run)])
    assert wandb.sent == list(range(6))
