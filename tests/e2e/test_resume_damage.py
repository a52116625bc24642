"""Random damage to a run folder: the next start continues exactly, or refuses and leaves the folder as it is.

LONGSHOT_DAMAGE_SEED and LONGSHOT_DAMAGES select other damages and their number."""
import collections
import os
import random
import re
import shutil
import subprocess

import pytest

from resume_support import checkpoints, contents, interrupt, lines, metrics, train_config
from support import LONGSHOT, longshot, tiny_model
from test_reward_models import rm_config

SEED = int(os.environ.get("LONGSHOT_DAMAGE_SEED", 1))
DAMAGES = int(os.environ.get("LONGSHOT_DAMAGES", 220))
STATE = ("optimizer.safetensors", "trainer.json", "replay.records", "huggingface/model.safetensors")


class Damaged:
    """A run folder to damage, its earlier states (`older`, for copies of files that are not the newest), and random choices."""

    def __init__(self, run, older, rng):
        self.run, self.older, self.rng = run, older, rng
        self.done = []

    def files(self):
        return sorted(path for path in self.run.rglob("*") if path.is_file())

    def pick(self):
        """Picks a file: usually one of a checkpoint, and most often one of the newest checkpoint."""
        groups = [[path for path in self.files() if f"global_step_{n}/" in str(path)] for n in checkpoints(self.run)]
        rest = [path for path in self.files() if "global_step_" not in str(path)]
        weighted = [(2 + 3 * (i + 1 == len(groups)), group) for i, group in enumerate(groups)] + [(4, rest)]
        weighted = [(weight, group) for weight, group in weighted if group]
        group = self.rng.choices([g for _, g in weighted], [w for w, _ in weighted])[0]
        return self.rng.choice(group)

    def missing(self):
        path = self.pick()
        path.unlink()
        return path

    def truncated(self):
        path = self.pick()
        content = path.read_bytes()
        path.write_bytes(content[:self.rng.choice([0, len(content) // 2, max(0, len(content) - 1),
                                                   self.rng.randrange(len(content) + 1)])])
        return path

    def flipped(self):
        path = self.pick()
        content = bytearray(path.read_bytes())
        if content:
            content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
        path.write_bytes(bytes(content))
        return path

    def zeroed(self):
        path = self.pick()
        content = path.read_bytes()
        begin = self.rng.randrange(len(content) + 1)
        path.write_bytes(content[:begin] + bytes(len(content) - begin))
        return path

    def grown(self):
        path = self.pick()
        path.write_bytes(path.read_bytes() + self.rng.randbytes(self.rng.choice([1, 100])))
        return path

    def swapped(self):
        path = self.pick()
        same_name = [other for other in self.files() if other.name == path.name and other != path]
        other = self.rng.choice(same_name) if same_name and self.rng.random() < 0.7 else self.pick()
        ours, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(ours)
        return path

    def older_copy(self):
        path = self.pick()
        relative = path.relative_to(self.run)
        copies = [folder / relative for folder in self.older] + \
                 [self.run / f"global_step_{n}" / relative.relative_to(*relative.parts[:1]) for n in checkpoints(self.run)
                  if len(relative.parts) > 1]
        copies = [copy for copy in copies if copy.is_file() and copy != path]
        if not copies:
            return self.truncated()
        path.write_bytes(self.rng.choice(copies).read_bytes())
        return path

    def folder_missing(self):
        folder = self.rng.choice(sorted(path for path in self.run.rglob("*") if path.is_dir()))
        shutil.rmtree(folder)
        return folder

    def checkpoints_swapped(self):
        numbers = checkpoints(self.run)
        if len(numbers) < 2:
            return self.missing()
        a, b = (self.run / f"global_step_{n}" for n in self.rng.sample(numbers, 2))
        spare = self.run / "spare"
        a.rename(spare), b.rename(a), spare.rename(b)
        return a

    def checkpoint_renamed(self):
        numbers = checkpoints(self.run)
        if not numbers:
            return self.missing()
        n = self.rng.choice(numbers)
        target = self.run / f"global_step_{n + self.rng.choice([-1, 1, 10])}"
        if not target.exists():
            (self.run / f"global_step_{n}").rename(target)
        return target

    def apply(self):
        for _ in range(self.rng.choices([1, 2, 4], [6, 3, 1])[0]):
            kinds = [self.missing, self.truncated, self.flipped, self.zeroed, self.grown, self.swapped, self.older_copy]
            rare = [self.folder_missing, self.checkpoints_swapped, self.checkpoint_renamed]
            kind = self.rng.choice(kinds * 3 + rare)
            self.done.append(f"{kind.__name__} {kind().relative_to(self.run)}")
        return ", ".join(self.done)


def assert_exact(damaged, log_is_whole, expected, errors, final, states):
    """All steps after the resume point equal the continuation of the undamaged folder."""
    found = re.search(r"continuing (?:\S+ )?after (?:iteration|step) (\d+)", errors)
    begin = int(found[1]) if found else 0
    reference = metrics(expected)
    if log_is_whole:
        assert metrics(damaged.run) == reference
    else:
        tail = (damaged.run / "metrics.jsonl").read_text(errors="replace").splitlines()[-(final - begin):]
        (damaged.run / "tail").mkdir()
        (damaged.run / "tail/metrics.jsonl").write_text("\n".join(tail) + "\n")
        assert metrics(damaged.run / "tail") == reference[-(final - begin):]
    for name in states:
        assert (damaged.run / name).read_bytes() == (expected / name).read_bytes(), name
    for path in (expected / "samples").glob("*"):
        if int(path.stem.split("_")[-1]) > begin:
            assert (damaged.run / "samples" / path.name).read_bytes() == path.read_bytes()
    return f"continued after {begin}" if found else "repeated from the beginning"


def damage_and_resume(saved, older, expected, run, command, count, final, states, capsys):
    """Applies `count` damages to copies of the folder `saved`, each at its original path `run`."""
    rng = random.Random(SEED)
    outcomes, others = collections.Counter(), []
    for number in range(count):
        shutil.rmtree(run)
        shutil.copytree(saved, run, symlinks=True)
        damaged = Damaged(run, older, rng)
        what = damaged.apply()
        before = contents(run)
        log_is_whole = before.get("metrics.jsonl") == (saved / "metrics.jsonl").read_bytes()
        done = subprocess.run([LONGSHOT, *map(str, command)], capture_output=True, text=True, timeout=300)
        try:
            if done.returncode == 0:
                outcomes[assert_exact(damaged, log_is_whole, expected, done.stderr, final, states)] += 1
            else:
                assert done.returncode == 2
                assert contents(run) == before
                outcomes["refused, folder unchanged"] += 1
        except (AssertionError, OSError, ValueError) as error:
            others.append(f"damage {number}: {what}\nrc {done.returncode}\n{done.stderr}\n{error!r}"[:3000])
            outcomes["other"] += 1
    with capsys.disabled():
        print(f"\n{command[0]}, {count} damages, seed {SEED}: {dict(sorted(outcomes.items()))}")
    assert not others, f"{len(others)} others\n" + "\n\n".join(others[:5])
    assert len(outcomes) > 1, outcomes


def copied(source, target):
    shutil.copytree(source, target, symlinks=True)
    return target


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("damage"))


def test_damaged_rl_runs(model, tmp_path, capsys):
    run, file = tmp_path / "run", tmp_path / "train.toml"
    text = train_config(run, *model, iterations=9).replace('schedule = "cosine"', 'schedule = "constant"')
    file.write_text(text.replace("keep_checkpoints = 2", "keep_checkpoints = 3"))
    older = []
    for iterations in (4, 6):
        longshot("train", file, f"trainer.total_iterations={iterations}")
        older.append(copied(run, tmp_path / f"after{iterations}"))
    longshot("train", file, "trainer.total_iterations=8")
    saved = copied(run, tmp_path / "saved")
    longshot("train", file)
    expected = copied(run, tmp_path / "expected")
    assert checkpoints(saved) == [4, 6, 8] and len(metrics(expected)) == 10
    damage_and_resume(saved, older, expected, run, ["train", file], DAMAGES, 9,
                      [f"global_step_9/{name}" for name in STATE], capsys)


def stopped_twice(command, file, run, steps, tmp_path):
    """Returns (older copies, saved folder, finished folder) of a run with a fixed number of steps that was stopped at about these
    steps."""
    older = []
    for step in steps:
        interrupt(file, run, lambda: lines(run) >= step, command=command)
        older.append(copied(run, tmp_path / f"after{step}"))
    longshot(command, file)
    return older, older[-1], copied(run, tmp_path / "expected")


def test_damaged_supervised_runs(model, tmp_path, capsys):
    run, file = tmp_path / "run", tmp_path / "sft.toml"
    text = (model[1].parent / "sft.toml").read_text()
    file.write_text(re.sub("total_steps = .*", "total_steps = 60\nsave_freq = 5\nkeep_checkpoints = 2", text)
                    .replace(f'{model[1].parent}/sft"', f'{run}"'))
    older, saved, expected = stopped_twice("sft", file, run, (20, 40), tmp_path)
    assert len(checkpoints(saved)) == 2
    damage_and_resume(saved, older, expected, run, ["sft", file], DAMAGES // 4, 60, ["huggingface/model.safetensors"],
                      capsys)


def test_damaged_reward_model_runs(tmp_path, capsys):
    data = tmp_path / "data"
    longshot("data", "make", "--task", "check", "--levels", "1-2", "--out", data, "--train", 60, "--val", 40, "--sft",
             150, "--seed", 3)
    run = tmp_path / "run"
    file = rm_config(tmp_path, data, run)
    file.write_text(file.read_text().replace("total_steps = 40", "total_steps = 40\nsave_freq = 5\nkeep_checkpoints = 2"))
    older, saved, expected = stopped_twice("rm", file, run, (12, 25), tmp_path)
    damage_and_resume(saved, older, expected, run, ["rm", file], DAMAGES // 4, 40, ["huggingface/model.safetensors"],
                      capsys)
