"""`longshot init`: every command of the README that it writes, run by an ordinary user in a fresh folder."""

import os
import pathlib
import re
import subprocess
from string import ascii_letters

from support import LONGSHOT, longshot

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


def commands(folder):
    return BLOCK.findall((folder / "README.md").read_text())


def test_every_command_of_the_readme_runs_and_accuracy_rises(user):
    folder = user.home / "a folder"
    assert "README.md" in user.run(user.program, "init", folder)
    blocks = commands(folder)
    called = {re.search(r"longshot\S* (\w+)", block)[1] for block in blocks}
    assert called == {"sft", "grade", "train", "report", "eval"}
    output = "".join(user.run("bash", "-ec", block, cwd=folder) for block in blocks)
    before, after = map(float, re.search(r"held-out ([\d.]+) -> ([\d.]+)", output).groups())
    print("held-out", before, "to", after)
    assert after > before + 0.1
    assert '"score":0.5' in output.replace(" ", "")  # of "abdc" against "abcd"
    assert (folder / "report.html").stat().st_size > 10_000
    # The rows have no data_source.
    assert "val-core/all/acc" in (folder / "runs/rl/metrics.jsonl").read_text().splitlines()[0]
    # pass@1 of `eval`, which draws other samples of the same problems.
    assert abs(float(re.search(r"pass@1 +([\d.]+)", output)[1]) - after) < 0.15


def test_the_readme_calls_a_program_of_the_path_by_its_name(tmp_path):
    for folder, path in (("a", os.environ["PATH"]), ("b", f"/nowhere:{pathlib.Path(LONGSHOT).resolve().parent}")):
        subprocess.run([LONGSHOT, "init", tmp_path / folder], env={**os.environ, "PATH": path}, check=True, timeout=60)
    assert f"{pathlib.Path(LONGSHOT).resolve()} train config.toml --dry-run" in (tmp_path / "a/README.md").read_text()
    assert "\nlongshot train config.toml --dry-run" in (tmp_path / "b/README.md").read_text()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    longshot("init", tmp_path)
    (tmp_path / "reward.py").write_text("mine")
    (tmp_path / "config.toml").unlink()
    refused = longshot("init", tmp_path, code=2).stderr
    assert f"{tmp_path}/reward.py" in refused and "nothing was written" in refused
    assert (tmp_path / "reward.py").read_text() == "mine" and not (tmp_path / "config.toml").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_given_model_is_trained(user, tmp_path):
    """The model is a run of `sft`, whose tokens are characters."""
    other = user.home / "other"
    user.run(user.program, "init", other)
    (other / "alphabet.txt").write_text(" :,.\n" + ascii_letters)
    (other / "sft.jsonl").write_text('{"prompt": "a, b", "completion": "a, b"}\n' * 20)
    user.run(user.program, "sft", "sft.toml", "trainer.total_steps=1", "model.max_positions=256", cwd=other)
    folder = user.home / "project"
    user.run(user.program, "init", folder, "--model", other / "runs/sft")
    assert not (folder / "sft.toml").exists()
    for block in commands(folder):
        if "train" in block:
            shorter = " trainer.total_iterations=1 data.train_batch_size=2 trainer.val_max_prompts=4"
            user.run("bash", "-ec", block.rstrip("\n") + shorter, cwd=folder)
    assert (folder / "runs/rl/global_step_1/huggingface/config.json").exists()
    assert str(tmp_path / "nowhere") in longshot("init", tmp_path / "none", "--model", tmp_path / "nowhere", code=2).stderr
    assert not (tmp_path / "none").exists()
