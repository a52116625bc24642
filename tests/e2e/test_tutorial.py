"""docs/tutorial.md, run as it is printed: its commands run in their order, and its files are those of `longshot init`."""

import json
import os
import pathlib
import re
import subprocess

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.M | re.S)


def test_the_tutorial_runs_as_printed(tmp_path):
    blocks = BLOCK.findall(PAGE.read_text())
    assert {name for _, name, _ in blocks if name} == {"reward.py"}
    binary = pathlib.Path(os.environ["LONGSHOT_BIN"]).resolve()
    (tmp_path / "longshot/build/release/bin").mkdir(parents=True)
    (tmp_path / "longshot/build/release/bin/longshot").symlink_to(binary)
    environment = {**os.environ, "HOME": str(tmp_path)}
    folder, output = tmp_path, ""
    for language, name, text in blocks:
        if name:
            assert (folder / name).read_text() == text, name
            continue
        if language == "json":
            with open(folder / "train.jsonl") as rows:
                assert json.loads(text).keys() == json.loads(rows.readline()).keys()
            continue
        assert language == "sh"
        # The shell of a reader keeps its variable and its folder from block to block.
        script = f"set -e\nlongshot=~/longshot/build/release/bin/longshot\ncd {folder}\n{text}"
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, (text, done.stdout[-2000:], done.stderr[-2000:])
        output += done.stdout + done.stderr
        folder = tmp_path / "my_task"
    accuracy = re.search(r"held-out ([\d.]+) -> ([\d.]+)", output)
    print("held-out", accuracy[1], "to", accuracy[2])
    assert float(accuracy[2]) > float(accuracy[1]) + 0.1
    assert '"score": 0.5' in output or '"score":0.5' in output  # of "abdc" against "abcd"
    assert (folder / "report.html").stat().st_size > 10_000
