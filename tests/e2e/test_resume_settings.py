"""The checkpoint from which a run continues, the settings it may change, and refusals that change no file."""
import json
import re
import shutil

import pytest

from resume_support import checkpoints, contents, interrupt, lines, metrics, refused, train_config
from support import longshot, tiny_model

FINAL = "huggingface/model.safetensors"


class Runs:
    """A run of 8 iterations with checkpoints 4, 6 and 8, copies of it, and its continuation to 12 iterations."""

    def __init__(self, root):
        self.root = root
        self.model, self.data = tiny_model(root)
        self.saved = root / "saved"
        file = self.config(self.saved)
        longshot("train", file, "trainer.total_iterations=8")
        self.whole = root / "whole"
        longshot("train", self.config(self.whole))

    def config(self, run):
        text = train_config(run, self.model, self.data, 12).replace("keep_checkpoints = 2", "keep_checkpoints = 3")
        file = run.with_suffix(".toml")
        file.write_text(text.replace('schedule = "cosine"', 'schedule = "constant"'))
        return file

    def copy(self, folder):
        """Returns (configuration, run folder) of a copy."""
        run = folder / "run"
        shutil.copytree(self.saved, run)
        return self.config(run), run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("settings"))


def assert_equal_from(run, whole, first=0, final=12):
    """Metrics of the steps from `first` on and the final state equal those of the uninterrupted run."""
    later = lambda rows: [row for row in rows if row["step"] >= first]
    assert later(metrics(run)) == later(metrics(whole))
    for name in (FINAL, "optimizer.safetensors", "trainer.json", "replay.records"):
        assert (run / f"global_step_{final}" / name).read_bytes() == (whole / f"global_step_{final}" / name).read_bytes()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    "missing replay": lambda checkpoint: (checkpoint / "replay.records").unlink(),
    "flipped replay": lambda checkpoint: flip(checkpoint / "replay.records"),
    "flipped weights": lambda checkpoint: flip(checkpoint / FINAL),
    "flipped state": lambda checkpoint: flip(checkpoint / "state.json"),
    "missing moments": lambda checkpoint: (checkpoint / "optimizer.safetensors").unlink(),
    "missing manifest": lambda checkpoint: (checkpoint / "manifest.json").unlink(),
    "only the folder": lambda checkpoint: (shutil.rmtree(checkpoint), checkpoint.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(runs, tmp_path, damage):
    file, run = runs.copy(tmp_path)
    DAMAGES[damage](run / "global_step_8")
    done = longshot("train", file)
    assert "not resumed from: global_step_8" in done.stderr and "after iteration 6" in done.stderr
    assert_equal_from(run, runs.whole)
    assert (run / "abandoned-1/global_step_8").is_dir()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_without_a_usable_checkpoint_is_refused(runs, tmp_path, damage):
    file, run = runs.copy(tmp_path)
    for n in (4, 6, 8):
        DAMAGES[damage](run / f"global_step_{n}")
    errors = refused(run, file)
    assert all(f"global_step_{n}" in errors for n in (4, 6, 8))
    assert "nothing was changed" in errors and "trainer.default_local_dir" in errors


def test_a_run_whose_checkpoints_are_gone_is_refused(runs, tmp_path):
    file, run = runs.copy(tmp_path)
    for n in (4, 6, 8):
        shutil.rmtree(run / f"global_step_{n}")
    assert "global_step_8 is missing" in refused(run, file)


@pytest.mark.parametrize("edit", [
    lambda files: files.pop("optimizer.safetensors"),
    lambda files: files["replay.records"].update(bytes=0),
    lambda files: files.update({"huggingface/added.safetensors": {"bytes": 0, "xxh3": "0"}}),
    lambda files: files.clear(),
])
def test_an_edited_manifest_is_found(runs, tmp_path, edit):
    file, run = runs.copy(tmp_path)
    for n in (4, 6, 8):
        path = run / f"global_step_{n}/manifest.json"
        manifest = json.loads(path.read_text())
        edit(manifest["files"])
        path.write_text(json.dumps(manifest))
    assert "manifest.json" in refused(run, file)


def test_a_file_added_to_the_model_of_a_checkpoint_is_found(runs, tmp_path):
    file, run = runs.copy(tmp_path)
    (run / "global_step_8/notes.txt").write_text("harmless")
    (run / "global_step_6/huggingface/chat_template.jinja").write_text("{{ 1 }}")
    shutil.rmtree(run / "global_step_4")
    done = longshot("train", file)
    assert "after iteration 8" in done.stderr
    file, run = runs.copy(tmp_path / "again")
    for n in (4, 6, 8):
        (run / f"global_step_{n}/huggingface/chat_template.jinja").write_text("{{ 1 }}")
    assert "chat_template.jinja was added later" in refused(run, file)


@pytest.mark.parametrize("override, key", [
    ("model.freeze=['*.k_proj.*']", "model.freeze"),
    ("optim.moments=bfloat16", "optim.moments"),
    ("optim.moments=int8", "optim.moments"),
    ("model.lora_rank=4", "model.lora_rank"),
    ("trainer.seed=2", "trainer.seed"),
    ("algorithm.name=reinforce", "algorithm.name"),
    ("data.train_files=['{data}/val.jsonl']", "data.train_files"),
    ("data.train_files=['{data}/train.jsonl','{data}/val.jsonl']", "data.train_files"),
    ("model.path={root}/other", "model.path"),
])
def test_settings_that_contradict_the_state_are_refused_by_key(runs, tmp_path, override, key):
    file, run = runs.copy(tmp_path)
    other = runs.root / "other"
    if not other.exists():
        longshot("sft", runs.root / "sft.toml", "trainer.total_steps=2", f"trainer.default_local_dir={other}")
    errors = refused(run, file, override.format(data=runs.data, root=runs.root))
    assert key in errors.splitlines()[-1] or key in errors, errors
    done = longshot("train", file)  # the run itself is undamaged
    assert "after iteration 8" in done.stderr
    assert_equal_from(run, runs.whole)


def test_an_adapter_run_refuses_other_adapters(runs, tmp_path):
    run = tmp_path / "run"
    file = runs.config(run)
    file.write_text(file.read_text().replace("[data]", "lora_rank = 4\n[data]", 1))
    longshot("train", file, "trainer.total_iterations=2")
    for override, key in (("model.lora_rank=8", "model.lora_rank"), ("model.lora_rank=0", "model.lora_rank"),
                          ("model.lora_alpha=3", "model.lora_alpha"), ("model.lora_targets=['q_proj']", "model.lora_targets")):
        assert key in refused(run, file, override)
    base = tmp_path / "base"
    shutil.copytree(runs.model, base)
    longshot("train", file, f"model.path={base}", "trainer.total_iterations=3")  # the same model at another path
    flip(base / "model.safetensors")
    assert "model.path has another content" in refused(run, file, f"model.path={base}")


@pytest.mark.parametrize("override", ["optim.beta2=0.9", "optim.lr=5e-4", "rollout.n=6", "data.train_batch_size=4",
                                      "rollout.temperature=0.8", "data.order=uniform", "algorithm.mini_batches=1", "replay.max_groups=16",
                                      "data.val_files=['{data}/train.jsonl']", "trainer.threads=1"])
def test_settings_that_may_change_are_told_by_key(runs, tmp_path, override):
    """Runs twice, because a changed run must also resume bit for bit."""
    key, value = override.format(data=runs.data).split("=", 1)
    finals = []
    for stop in ((), (10,)):
        file, run = runs.copy(tmp_path / str(len(finals)))
        for total in stop + (12,):
            done = longshot("train", file, f"{key}={value}", f"trainer.total_iterations={total}")
        finals.append(run)
        assert checkpoints(run)[-1] == 12
        if not stop:
            assert f"changed since the checkpoint: {key} = " in done.stderr
            changed = re.findall(r"changed since the checkpoint: (\S+)", done.stderr)
            assert set(changed) <= {key, "trainer.default_local_dir", "trainer.total_iterations", "the"}, changed
    assert_equal_from(finals[1], finals[0])


def test_only_values_count_as_changes(runs, tmp_path):
    """Order of keys and tables, comments, and spellings of a number do not count as changes."""
    file, run = runs.copy(tmp_path)
    blocks = re.split(r"(?m)^(?=\[)", file.read_text())
    shuffled = []
    for block in blocks:
        head, *keys = block.strip().splitlines() or [""]
        shuffled.append("\n".join([head, "# a comment", *reversed(keys)]))
    file.write_text("\n\n".join(reversed(shuffled)).replace("lr = 3e-4", "lr = 0.00030"))
    done = longshot("train", file, "trainer.total_iterations=8", f"trainer.default_local_dir={run}")
    changed = re.findall(r"changed since the checkpoint: (\S+)", done.stderr)
    assert changed == ["trainer.default_local_dir"], done.stderr


def test_fewer_iterations_than_are_done_end_at_once(runs, tmp_path):
    file, run = runs.copy(tmp_path)
    before = contents(run / "global_step_8"), metrics(run)
    done = longshot("train", file, "trainer.total_iterations=5")
    assert done.stdout.strip() == str(run / "global_step_8/huggingface")
    assert (contents(run / "global_step_8"), metrics(run)) == before and checkpoints(run) == [4, 6, 8]


def test_one_checkpoint_is_enough_on_another_machine(runs, tmp_path):
    """Neither the rest of the run folder nor the original model exists there."""
    base, run = tmp_path / "base", tmp_path / "elsewhere/run"
    shutil.copytree(runs.model, base)
    file = runs.config(tmp_path / "here")
    file.write_text(file.read_text().replace(str(runs.model), str(base)))
    longshot("train", file, "trainer.total_iterations=6")
    shutil.rmtree(base)
    run.mkdir(parents=True)
    shutil.copytree(tmp_path / "here/global_step_6", run / "global_step_6")
    assert "there is no model '/no/such/model'" in refused(run, file, f"trainer.default_local_dir={run}",
                                                           "model.path=/no/such/model")
    done = longshot("train", file, f"trainer.default_local_dir={run}")
    assert "after iteration 6" in done.stderr and f"{base} is not here" in done.stderr
    assert [row["step"] for row in metrics(run)] == list(range(7, 13))
    assert_equal_from(run, runs.whole, 7)
    # The same from a folder of any name, given by its path.
    shutil.copytree(runs.saved / "global_step_6", tmp_path / "copied")
    run = tmp_path / "new"
    file = runs.config(run)
    longshot("train", file, f"trainer.resume_mode={tmp_path}/copied")
    assert_equal_from(run, runs.whole, 7)
    assert checkpoints(run) == [8, 10, 12]


def test_a_checkpoint_folder_may_be_a_link(runs, tmp_path):
    file, run = runs.copy(tmp_path)
    for n in (4, 6, 8):
        (run / f"global_step_{n}").rename(tmp_path / f"kept_{n}")
        (run / f"global_step_{n}").symlink_to(tmp_path / f"kept_{n}")
    kept = {n: contents(tmp_path / f"kept_{n}") for n in (4, 6, 8)}
    longshot("train", file)
    assert_equal_from(run, runs.whole)
    assert {n: contents(tmp_path / f"kept_{n}") for n in (4, 6, 8)} == kept  # pruning removes only the link
    # With relative links, which are set aside because the run resumes from an older checkpoint.
    file, run = runs.copy(tmp_path / "again")
    for n in (6, 8):
        (run / f"global_step_{n}").rename(run.parent / f"kept_{n}")
        (run / f"global_step_{n}").symlink_to(f"../kept_{n}")
    longshot("train", file, f"trainer.resume_mode={run}/global_step_4")
    assert_equal_from(run, runs.whole)
    assert (run / "abandoned-1/global_step_8/manifest.json").is_file()


def test_a_chosen_checkpoint_begins_a_course_that_auto_and_the_same_command_follow(runs, tmp_path):
    change = "optim.lr=5e-4"
    straight_file, straight = runs.copy(tmp_path / "straight")
    longshot("train", straight_file, f"trainer.resume_mode={straight}/global_step_4", change)
    file, run = runs.copy(tmp_path / "course")
    chosen = (f"trainer.resume_mode={run}/global_step_4", change)
    newer = {n: contents(run / f"global_step_{n}") for n in (6, 8)}
    # Interrupted before its first checkpoint is due: the run keeps its chosen course.
    interrupt(file, run, lambda: lines(run) == 6, overrides=chosen)
    assert {n: contents(run / f"abandoned-1/global_step_{n}") for n in (6, 8)} == newer
    assert lines(run / "abandoned-1") == 4  # metrics of iterations 5 to 8
    begun = checkpoints(run)[-1]
    assert (run / "latest_checkpointed_iteration.txt").read_text().strip() == str(begun)
    done = longshot("train", file, *chosen, "trainer.total_iterations=9")
    assert f"after iteration {begun} of" in done.stderr
    done = longshot("train", file, change)
    assert "after iteration 9 of" in done.stderr
    assert_equal_from(run, straight)


def test_a_chosen_checkpoint_stays_chosen_when_the_run_dies_at_once(runs, tmp_path):
    file, run = runs.copy(tmp_path)
    longshot("train", file, f"trainer.resume_mode={run}/global_step_4", "trainer.total_iterations=4")
    assert checkpoints(run) == [4]
    done = longshot("train", file)
    assert "after iteration 4 of" in done.stderr
    assert_equal_from(run, runs.whole)


def test_the_latest_file_is_followed(runs, tmp_path):
    file, run = runs.copy(tmp_path)
    latest = run / "latest_checkpointed_iteration.txt"
    latest.write_text("6")
    done = longshot("train", file)
    assert "after iteration 6 of" in done.stderr and "abandoned-1" in done.stderr
    assert (run / "abandoned-1/global_step_8").is_dir()
    assert_equal_from(run, runs.whole)
    file, run = runs.copy(tmp_path / "missing")
    (run / "latest_checkpointed_iteration.txt").unlink()
    assert "after iteration 8 of" in longshot("train", file).stderr
    file, run = runs.copy(tmp_path / "older")
    (run / "latest_checkpointed_iteration.txt").write_text("2\n")
    assert "newer than what latest_checkpointed_iteration.txt names" in refused(run, file)


def test_pruning_spares_what_was_just_written(runs, tmp_path):
    """One checkpoint is kept, although newer ones of another course exist."""
    file, run = runs.copy(tmp_path)
    longshot("train", file, f"trainer.resume_mode={run}/global_step_4", "trainer.keep_checkpoints=1",
             "trainer.total_iterations=5", "optim.lr=5e-4")
    assert checkpoints(run) == [5]
    assert (run / "abandoned-1/global_step_8/manifest.json").is_file()


def test_the_end_of_a_run_started_again_changes_nothing(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs.whole, run)
    before = contents(run)
    done = longshot("train", runs.config(run), f"trainer.default_local_dir={run}")
    assert done.stdout.strip() == str(run / "global_step_12/huggingface")
    after = contents(run)
    # The configuration names its folder, and what a start warns of is logged.
    assert {path for path in before if before[path] != after.get(path)} <= {"config.toml", "warnings.jsonl"}
    assert all(path.startswith(("tensorboard/", "warnings.jsonl")) for path in after.keys() - before.keys())


@pytest.mark.parametrize("command", ["sft", "rm"])
def test_a_second_run_of_fixed_steps_does_not_start_over(runs, tmp_path, command):
    run, file = tmp_path / "run", tmp_path / "fixed.toml"
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps({"prompt": f"{a}+1=", "chosen": str(a + 1), "rejected": str(a)}) + "\n"
                             for a in range(40)))
    rows = runs.data / "sft.jsonl" if command == "sft" else pairs
    file.write_text(f'[model]\npath = "{runs.model}"\n[data]\ntrain_files = ["{rows}"]\nmax_length = 96\n[trainer]\n'
                    f'total_steps = 6\ntest_freq = 0\ndefault_local_dir = "{run}"\n')
    first = longshot(command, file)
    before = contents(run)
    again = longshot(command, file)
    assert again.stdout == first.stdout and contents(run) == before and "holds this run already" in again.stderr
    for override, key in (("trainer.total_steps=9", "trainer.total_steps"), ("optim.lr=1e-4", "optim.lr"),
                          (f"data.train_files=['{runs.data}/val.jsonl']", "data.train_files")):
        assert key in refused(run, file, override, command=command)
    other = "rm" if command == "sft" else "sft"
    assert "nother" in refused(run, file, command=other)
    assert "holds a finished run" in refused(run, runs.config(tmp_path / "rl"), f"trainer.default_local_dir={run}")
    flip(run / FINAL)
    assert "model.safetensors does not match its checksum" in refused(run, file, command=command)
    (run / "finished.json").unlink()
    shutil.rmtree(run / "huggingface")
    longshot(command, file)
    assert contents(run)[FINAL] == before[FINAL]
