"""Before a run ends for any reason, its finished iterations are saved; it continues bit for bit once the cause is removed."""
import os
import shutil
import signal
import subprocess
import textwrap
import time

import pytest

from resume_support import checkpoints, interrupt, lines, metrics, start, train_config
from support import LONGSHOT, longshot, tiny_model

ITERATIONS = 12
FINAL = "huggingface/model.safetensors"


class Runs:
    def __init__(self, root):
        self.root = root
        self.model, self.data = tiny_model(root)
        self.whole = root / "whole"
        longshot("train", self.config(self.whole))
        rows = (self.data / "sft.jsonl").read_text().splitlines(keepends=True)
        (root / "few.jsonl").write_text("".join(rows[:40]))

    def config(self, run, save_freq=0):
        """Nothing is saved before the end, except because of an error."""
        file = run.with_suffix(".toml")
        file.write_text(train_config(run, self.model, self.data, ITERATIONS).replace("save_freq = 2", f"save_freq = {save_freq}"))
        return file

    def sft_config(self, run, save_freq=0):
        file = run.with_suffix(".toml")
        file.write_text((self.root / "sft.toml").read_text().replace(f"{self.root}/sft", str(run))
                        .replace("total_steps = 300", f"total_steps = 60\nsave_freq = {save_freq}")
                        .replace("test_freq = 0", "test_freq = 2")
                        .replace("max_length", f'val_files = ["{self.root}/few.jsonl"]\nmax_length'))
        return file


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("errors"))


def assert_equal_runs(run, whole):
    assert metrics(run) == metrics(whole)
    name = f"global_step_{ITERATIONS}"
    for file in (FINAL, "optimizer.safetensors"):
        assert (run / name / file).read_bytes() == (whole / name / file).read_bytes()


@pytest.mark.parametrize("number, rows", [(signal.SIGINT, 1), (signal.SIGINT, 4), (signal.SIGTERM, 4), (signal.SIGHUP, 4)])
def test_a_signal_saves_and_the_same_command_continues(runs, tmp_path, number, rows):
    """The first row of metrics.jsonl is the evaluation before training."""
    run = tmp_path / "run"
    file = runs.config(run)
    newest = interrupt(file, run, lambda: lines(run) >= rows, number=number)
    assert int(newest.name.rsplit("_")[-1]) >= rows - 1
    done = longshot("train", file)
    assert "continuing after iteration" in done.stderr
    assert_equal_runs(run, runs.whole)


def test_hanging_up_saves_sft_and_leaves_what_ignores_it_alone(runs, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    longshot("sft", runs.sft_config(whole))
    file = runs.sft_config(run)
    interrupt(file, run, lambda: lines(run) >= 10, command="sft", number=signal.SIGHUP)
    longshot("sft", file)
    assert metrics(run) == metrics(whole)
    assert (run / FINAL).read_bytes() == (whole / FINAL).read_bytes()
    ignoring = tmp_path / "nohup"
    process = start(runs.sft_config(ignoring), command="sft", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    while lines(ignoring) < 10:
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=120) == 0
    assert (ignoring / FINAL).read_bytes() == (whole / FINAL).read_bytes()


def test_after_disable_the_message_names_the_command_that_continues(runs, tmp_path):
    run = tmp_path / "run"
    file = runs.config(run)
    process = start(file, "trainer.resume_mode=disable")
    while lines(run) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "with trainer.resume_mode=auto continues from there" in errors
    longshot("train", file, "trainer.resume_mode=auto")
    assert_equal_runs(run, runs.whole)


def test_an_error_of_an_iteration_saves_the_finished_ones(runs, tmp_path):
    """The reward works, raises for every answer of the seventh iteration, then works again."""
    broken, run = tmp_path / "broken", tmp_path / "run"
    reward = tmp_path / "reward.py"
    reward.write_text(textwrap.dedent(f"""
        import os
        def compute_score(data_source, solution_str, ground_truth, extra_info):
            if os.path.exists({str(broken)!r}) and len(open({str(run)!r} + "/metrics.jsonl").readlines()) == 7:
                raise RuntimeError("the service is gone")
            return float(solution_str.strip().endswith(ground_truth))
    """))
    functions = f"""reward.functions=[{{type="python", path="{reward}"}}]"""
    whole = tmp_path / "whole"
    longshot("train", runs.config(whole), functions)
    broken.write_text("")
    file = runs.config(run)
    done = longshot("train", file, functions, code=2)
    assert "the service is gone" in done.stderr and "6 finished iterations are saved" in done.stderr
    assert checkpoints(run) == [6]
    broken.unlink()
    longshot("train", file, functions)
    assert_equal_runs(run, whole)


# operator new fails once, at the Nth call of any thread for at least 2 KiB after SIGUSR1; N is drawn from FAIL_WITHIN.
# (The JSON library does not survive a failed allocation of a short text.)
FAILING_NEW = r"""
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>
static std::atomic<long> countdown{-1};
static long within, number;
static void arm(int) { countdown.store(number); }
__attribute__((constructor)) static void install() {
  within = atol(getenv("FAIL_WITHIN"));
  number = 1 + atol(getenv("FAIL_SEED")) * 7919 % within;
  signal(SIGUSR1, arm);
}
static void* take(std::size_t size) {
  if (size >= 2048 && countdown.load(std::memory_order_relaxed) > 0 && countdown.fetch_sub(1) == 1) throw std::bad_alloc();
  if (void* p = std::malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size) { return take(size); }
void* operator new[](std::size_t size) { return take(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
"""


def test_weights_that_give_no_numbers_are_not_saved(runs, tmp_path):
    run = tmp_path / "run"
    file = runs.config(run)
    longshot("train", file, "trainer.total_iterations=3")
    before = checkpoints(run)
    done = longshot("train", file, "optim.lr=1e30", code=1)
    assert f"they are not saved again; continue with trainer.resume_mode={run}/global_step_3 with a lower optim.lr" in done.stderr
    assert checkpoints(run) == before
    longshot("train", file)
    assert_equal_runs(run, runs.whole)


@pytest.fixture(scope="module")
def failing_new(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preload")
    (folder / "failing_new.cc").write_text(FAILING_NEW)
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-o", folder / "failing_new.so", folder / "failing_new.cc"], check=True)
    return folder / "failing_new.so"


def with_one_failure(library, file, run, seed, command="train", overrides=()):
    """Runs until the end; operator new fails once, after the third line of metrics. Returns (exit code, messages)."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAIL_SEED": str(seed), "FAIL_WITHIN": "600"}
    process = start(file, *overrides, command=command, env=environment)
    while lines(run) < 3 and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def test_an_exception_anywhere_saves_the_finished_iterations(runs, tmp_path, failing_new, capsys):
    """bad_alloc at 20 places, on any thread, in rollout, reward, replay, update, publishing, evaluation and saving."""
    saved = half = 0
    for seed in range(20):
        run = tmp_path / f"run{seed}"
        file = runs.config(run)
        workers = ("rollout.workers=2",) if seed % 3 == 0 else ()
        code, errors = with_one_failure(failing_new, file, run, seed, overrides=workers)
        assert code in (0, 1), (seed, code, errors)
        finished = metrics(run)[-1]["step"] if lines(run) else 0
        if code == 1:
            assert "out of memory" in errors or "bad_alloc" in errors, errors
            if "finished iterations are saved" in errors:
                saved += 1
                assert checkpoints(run)[-1] >= finished
            else:
                half += 1
                assert "no iteration is saved" in errors and "was half done" in errors, errors
        longshot("train", file, *workers)
        if not workers:
            assert_equal_runs(run, runs.whole)
        shutil.rmtree(run)
    with capsys.disabled():
        print(f"\n{saved} of 20 runs ended by bad_alloc after saving, {half} in the middle of an update")
    assert saved >= 5


def test_an_exception_in_a_run_of_fixed_steps_saves_the_finished_ones(runs, tmp_path, failing_new, capsys):
    whole = tmp_path / "whole"
    longshot("sft", runs.sft_config(whole))
    saved = 0
    for seed in range(8):
        run = tmp_path / f"run{seed}"
        file = runs.sft_config(run)
        code, errors = with_one_failure(failing_new, file, run, seed, command="sft")
        assert code in (0, 1), (seed, code, errors)
        saved += "steps are saved" in errors
        longshot("sft", file)
        assert metrics(run) == metrics(whole)
        assert (run / FINAL).read_bytes() == (whole / FINAL).read_bytes()
    with capsys.disabled():
        print(f"\n{saved} of 8 supervised runs ended by bad_alloc after saving")
    assert saved >= 3


def make_unwritable(run, part):
    """Replaces the part of the log by something that cannot be written, even by root."""
    path = run / part
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if part == "metrics.jsonl":
        path.symlink_to("/dev/full")
    else:
        path.write_text("a file where a folder is wanted")


@pytest.mark.parametrize("part", ["metrics.jsonl", "samples", "tensorboard"])
@pytest.mark.parametrize("when", ["new", "resumed"])
def test_a_log_that_cannot_be_written_is_a_warning(runs, tmp_path, part, when):
    run = tmp_path / "run"
    file = runs.config(run)
    if when == "resumed":
        longshot("train", file, "trainer.total_iterations=12", "trainer.save_freq=4", "trainer.keep_checkpoints=9")
        for n in (8, 12):
            shutil.rmtree(run / f"global_step_{n}")
        (run / "latest_checkpointed_iteration.txt").write_text("4\n")
    run.mkdir(exist_ok=True)
    make_unwritable(run, part)
    done = longshot("train", file)
    assert done.stderr.count("continues without this part of its log") == 1, done.stderr
    for name in (FINAL, "optimizer.safetensors"):
        assert (run / "global_step_12" / name).read_bytes() == (runs.whole / "global_step_12" / name).read_bytes()
    if part != "metrics.jsonl":
        assert metrics(run) == metrics(runs.whole)


ON_A_SMALL_DISK = r"""
set -e
mount -t tmpfs -o size={size} tmpfs "$DISK"
{before}
set +e
"$LONGSHOT" {command} "$CONFIG" {overrides} 2> "$OUT/first.log"
echo $? > "$OUT/rc"
cp -a "$DISK/." "$OUT/copy"
set -e
rm -f "$DISK/filler"
mount -o remount,size=64m "$DISK"
"$LONGSHOT" {command} "$CONFIG" {overrides} 2> "$OUT/second.log"
cp -a "$DISK/." "$OUT/finished"
"""


def on_a_small_disk(folder, config, size="2m", before="", command="train", overrides=""):
    """Runs the command with its folder on a tmpfs, then again after the disk has grown. Returns (exit code, messages, folder
    after the first run, messages of the second, folder at the end)."""
    disk, out = folder / "disk", folder / "out"
    disk.mkdir(), (out / "copy").mkdir(parents=True), (out / "finished").mkdir()
    file = config(disk / "run")
    file = file.rename(folder / "small.toml")
    script = ON_A_SMALL_DISK.format(size=size, before=before, command=command, overrides=overrides)
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run([*namespace, "bash", "-c", script], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "DISK": str(disk), "OUT": str(out), "LONGSHOT": LONGSHOT, "CONFIG": str(file)})
    if "mount: " in done.stderr and not (out / "rc").exists() and os.geteuid() != 0:
        pytest.skip("no mount namespaces here: " + done.stderr)
    logs = [(out / name).read_text() if (out / name).exists() else "" for name in ("first.log", "second.log")]
    assert done.returncode == 0, (done.stderr, logs)
    return int((out / "rc").read_text()), logs[0], out / "copy/run", logs[1], out / "finished/run"


def test_a_full_disk_ends_in_saved_iterations(runs, tmp_path):
    """A disk of 2 MiB; a filler leaves room for some checkpoints and for less log than the run writes."""
    code, errors, copy, again, finished = on_a_small_disk(
        tmp_path, lambda run: runs.config(run, save_freq=1), before='head -c 1000000 /dev/zero > "$DISK/filler"',
        overrides="trainer.log_samples=-1 trainer.keep_checkpoints=9")
    assert code == 1, errors
    assert "No space left on device" in errors and "finished iterations are saved" in errors
    assert not (copy / "checkpoint.tmp").exists()
    assert f"after iteration {checkpoints(copy)[-1]} of" in again
    assert_equal_runs(finished, runs.whole)


@pytest.mark.parametrize("room", [0, 4096, 40_000])
def test_a_disk_that_is_full_of_other_things_costs_the_log_alone(runs, tmp_path, room):
    """The disk fills up after the first checkpoint: a failure to log is a warning, a failure to save ends the run."""
    watch = f'''(while [ ! -d "$DISK/run/global_step_4" ]; do sleep 0.001; done
cat /dev/zero > "$DISK/filler" 2>/dev/null; truncate -s -{room} "$DISK/filler" 2>/dev/null) & '''
    code, errors, copy, again, finished = on_a_small_disk(
        tmp_path, lambda run: runs.config(run, save_freq=4), before=watch, overrides="trainer.log_samples=-1")
    assert code in (0, 1), errors
    if code == 1:
        assert "No space left on device" in errors and checkpoints(copy), errors
    for name in (FINAL, "optimizer.safetensors"):
        assert (finished / "global_step_12" / name).read_bytes() == (runs.whole / "global_step_12" / name).read_bytes()


def test_a_full_disk_keeps_the_steps_of_supervised_training(runs, tmp_path):
    whole = tmp_path / "whole"
    longshot("sft", runs.sft_config(whole))
    code, errors, copy, again, finished = on_a_small_disk(
        tmp_path, lambda run: runs.sft_config(run, save_freq=5), size="700k", command="sft",
        overrides="trainer.keep_checkpoints=9")
    assert code == 1 and "No space left on device" in errors and "steps are saved" in errors, errors
    assert f"after step {checkpoints(copy)[-1]}" in again
    assert (finished / FINAL).read_bytes() == (whole / FINAL).read_bytes()


def test_a_checkpoint_that_fits_nowhere_is_said_before_the_work(runs, tmp_path):
    code, errors, copy, _, _ = on_a_small_disk(tmp_path, runs.config, size="200k")
    assert code == 2 and "nothing of this run could be saved" in errors
    assert not copy.exists()


def test_a_read_only_run_folder_is_named(runs, tmp_path):
    run = tmp_path / "run"
    longshot("train", runs.config(run), "trainer.total_iterations=2")
    script = f'mount --bind "{run}" "{run}" && mount -o remount,ro,bind "{run}" && exec "{LONGSHOT}" train "{run}.toml"'
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run([*namespace, "bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2) and str(run) in done.stderr and "Read-only" in done.stderr, done.stderr
    longshot("train", runs.config(run))
    assert_equal_runs(run, runs.whole)


def test_writes_that_fail_behind_a_size_keep_the_older_checkpoint(runs, tmp_path):
    """RLIMIT_FSIZE makes every write beyond 64 KiB of a file fail."""
    run = tmp_path / "run"
    file = runs.config(run, save_freq=2)
    longshot("train", file, "trainer.total_iterations=2")
    limited = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; ulimit -f 64; exec {LONGSHOT} train {file} trainer.total_iterations=4"],
        capture_output=True, text=True, timeout=120)
    assert limited.returncode == 1, limited.stderr
    assert "not saved" in limited.stderr and "2 finished iterations are saved" in limited.stderr
    assert checkpoints(run) == [2] and not (run / "checkpoint.tmp").exists()
    longshot("train", file)
    assert_equal_runs(run, runs.whole)
