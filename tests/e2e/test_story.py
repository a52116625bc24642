"""experiments/story: all stages of the recipe run in one command, and the same command repeats none of them."""
import json
import os
import subprocess
import sys

from support import LONGSHOT, ROOT

STAGES = ["model and raw problems", "curate", "warm-up: prompting and rejection sampling", "curate with the warmed-up model",
          "RL", "long2short RL", "evaluation"]


def story(out):
    done = subprocess.run([sys.executable, ROOT / "experiments/story", "--small", "--out", out, "--table", out / "table.md"],
                          capture_output=True, text=True, timeout=600, env={**os.environ, "LONGSHOT_BIN": LONGSHOT})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_whole_recipe_in_one_command(tmp_path):
    first = story(tmp_path)
    commands = [line.split()[2] for line in first.splitlines() if line.startswith("$ longshot ")]
    assert commands == ["convert", "curate", "sample", "select", "sft", "curate", "train", "train", *["eval"] * 4, "compare"]
    assert [line[3:] for line in first.splitlines() if line.startswith("== ")] == STAGES
    table = (tmp_path / "table.md").read_text()
    for name in ["SmolLM2-135M-Instruct", "warm-up", "RL", "long2short", *STAGES, "together"]:
        assert f"| {name} | " in table
    assert "$ longshot" not in story(tmp_path)
    assert json.loads((tmp_path / "seconds.json").read_text()).keys() == set(STAGES)
    funnel = {stage["stage"]: stage["reasons"] for stage in json.loads((tmp_path / "clean/report.json").read_text())["stages"]}
    # What was planted is found: two rows of each kind.
    assert funnel["format"] == {"multiple_choice": 2, "true_false": 2, "proof": 2}
    assert funnel["duplicates"] == {"exact_duplicate": 2}
    assert sum(funnel["contamination"].values()) == 2
