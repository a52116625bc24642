"""docs/tutorial.md, run as it is printed by an ordinary user: its commands in their order; its files are those of `longshot init`."""

import json
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.M | re.S)


def test_the_tutorial_runs_as_printed(user):
    blocks = BLOCK.findall(PAGE.read_text())
    assert {name for _, name, _ in blocks if name} == {"reward.py"}
    (user.home / "longshot/build/release/bin").mkdir(parents=True)
    (user.home / "longshot/build/release/bin/longshot").symlink_to(user.program)
    folder, output = user.home, ""
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
        output += user.run("bash", "-c", script)
        folder = user.home / "my_task"
    accuracy = re.search(r"held-out ([\d.]+) -> ([\d.]+)", output)
    print("held-out", accuracy[1], "to", accuracy[2])
    assert float(accuracy[2]) > float(accuracy[1]) + 0.1
    assert '"score": 0.5' in output or '"score":0.5' in output  # of "abdc" against "abcd"
    assert (folder / "report.html").stat().st_size > 10_000
