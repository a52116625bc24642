"""What users install: the tree of `cmake --install`, its manual pages and completions, the Debian package and the wheel. Each is
used as on a machine where nothing of the build is: another folder, an empty environment and, for root, a user without rights."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from debian_root import DebianRoot, needed_from_outside, newest_symbols, package_of
from ordinary_user import BUILD, as_user, open_folders
from support import ROOT, tiny_model

RUN_TIME = re.compile(r"(linux-vdso|/lib64/ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+))\.so")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def run(*command, code=0, text_in=None, cwd="/", environment=ENVIRONMENT, user=True):
    """Runs a command as a user of another machine would."""
    words = list(map(str, command))
    if user:
        words = as_user(words, finder=())  # this Python may lie in a folder that others cannot enter
    done = subprocess.run(words, capture_output=True, text=True, input=text_in, cwd=cwd, env=environment, timeout=600)
    assert done.returncode == code, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def build_tool(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    open_folders(folder, tmp_path_factory)
    return folder


@pytest.fixture(scope="module")
def tree(root):
    """The tree, moved after it was installed."""
    build_tool("cmake", "--install", BUILD, "--prefix", root / "first")
    (root / "first").rename(root / "moved")
    yield root / "moved"
    shutil.rmtree(root / "moved")


@pytest.fixture(scope="module")
def model(root):
    model, data = tiny_model(root)
    for path in (root / "sft").rglob("*"):
        path.chmod(path.stat().st_mode | 0o555 if path.is_dir() else path.stat().st_mode | 0o444)
    return model, data


@pytest.fixture(scope="module")
def wheel(root, tree):
    build_tool(sys.executable, ROOT / "tools/make_wheel", tree, "--out", root)
    (file,) = root.glob("longshot-*.whl")
    build_tool(sys.executable, "-m", "venv", root / "venv")
    build_tool(root / "venv/bin/pip", "install", "--no-index", "--disable-pip-version-check", file)
    file.unlink()
    yield root / "venv"
    shutil.rmtree(root / "venv")


def assert_works(program, model):
    """The parts of the program that need other files or libraries: libtorch, the sandbox, the symbolic program."""
    assert run(program, "--version").strip() == "0.1.0"
    rows = [({"completion": "\\boxed{\\frac{x^2-1}{x-1}}", "ground_truth": "$x+1$"}, "math"),
            ({"completion": "```python\nprint(6*7)\n```", "ground_truth": '{"inputs": [""], "outputs": ["42"]}'}, "code")]
    for row, reward in rows:
        verdict = json.loads(run(program, "grade", "--reward", reward, text_in=json.dumps(row) + "\n"))
        assert verdict.get("score") == 1, verdict
    assert run(program, "generate", "--model", model, "--prompt", "3+4=", "--max-tokens", "4", "--temperature", "0").strip()
    assert "libtorch" in run(program, "doctor")


def test_the_tree_runs_from_any_folder(tree, model):
    link = tree / "bin/longshot"
    assert os.readlink(link) == "../lib/longshot/longshot"
    programs = [tree / "lib/longshot" / name for name in ("longshot", "longshot-jail", "longshot-symbolic", "liblongshot_lane.so")]
    libraries = [path for path in (tree / "lib/longshot/lib").iterdir() if not path.is_symlink()]
    assert len(libraries) > 20
    for path in programs + libraries:
        for line in run("ldd", path).splitlines():
            assert RUN_TIME.search(line) or str(tree) in line or line == "\tstatically linked", f"{path}: {line}"
    assert_works(link, model[0])


def test_every_command_and_option_has_a_place_in_the_manual(tree):
    pages = tree / "share/man/man1"
    program = tree / "bin/longshot"

    def names_in(words):
        """Checks the page of a command and returns its subcommands."""
        page = pages / f"{'-'.join(words)}.1"
        text = run("man", "-l", page, environment={**ENVIRONMENT, "MANWIDTH": "200"})
        options, *subcommands = run(program, "help", *words[1:]).split("Options:")[1].split("\n\n")
        flags = re.findall(r"^  (?:-\w,)?(--[\w-]+)", options, re.M)
        assert "--help" in flags and [flag for flag in flags if flag not in text] == [], words
        warnings = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", page], capture_output=True, text=True)
        assert warnings.stderr == "", warnings.stderr
        return re.findall(r"^  ([a-z][\w-]*)  ", "\n".join(subcommands), re.M)

    expected = ["longshot"]
    for name in names_in(["longshot"]):
        expected.append(f"longshot-{name}")
        for sub in names_in(["longshot", name]):
            expected.append(f"longshot-{name}-{sub}")
            assert names_in(["longshot", name, sub]) == []
    assert len(expected) > 28 and "longshot-data-make" in expected
    assert sorted(page.stem for page in pages.iterdir()) == sorted(expected)
    assert "trainer.total_iterations" in run("man", "-l", pages / "longshot-train.1")


def completions(shell, script, line):
    """What the shell offers at the end of a line."""
    if shell == "bash":
        commands = f"""source {script}; COMP_WORDS=({line}); [[ '{line}' != *' ' ]] || COMP_WORDS+=('')
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); compopt() {{ :; }}; _longshot; printf '%s\\n' "${{COMPREPLY[@]}}" """
        return run("bash", "--norc", "-c", commands).split()
    return [entry.split("\t")[0] for entry in run("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'",
                                                  environment={**ENVIRONMENT, "HOME": "/tmp"}).splitlines()]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shells_complete_commands_options_and_keys(tree, shell):
    script = tree / "share" / {"bash": "bash-completion/completions/longshot", "fish": "fish/vendor_completions.d/longshot.fish"}[shell]
    assert {"train", "trainer"} <= set(completions(shell, script, "longshot tr"))
    assert completions(shell, script, "longshot cert") == ["certificates"]
    assert "make" in completions(shell, script, "longshot data ")
    assert "--levels" in completions(shell, script, "longshot data make --le")
    assert "--dry-run" in completions(shell, script, "longshot train --dr")
    assert "trainer.total_iterations=" in completions(shell, script, "longshot train trainer.total_it")
    assert "trainer.total_iterations=" not in completions(shell, script, "longshot eval trainer.total_it")


def test_zsh_reads_its_completions(tree):
    script = tree / "share/zsh/vendor-completions/_longshot"
    names = run("zsh", "-f", "-c", f"autoload -U compinit; compinit -D -d /dev/null; source {script}; "
                "_describe() { print -l $argv[1] ${(P)argv[2]} }; words=(longshot data m); CURRENT=3; _longshot",
                environment={**ENVIRONMENT, "HOME": "/tmp"})
    assert "command" in names and "make:" in names and "inspect:" in names


@pytest.fixture(scope="module")
def package(root):
    build_tool("cpack", "-G", "DEB", "-B", root / "deb", "--config", BUILD / "CPackConfig.cmake")
    (file,) = (root / "deb").glob("*.deb")
    yield file
    shutil.rmtree(root / "deb")


def depends_of(package):
    """The least version of each package that this one depends on."""
    text = build_tool("dpkg-deb", "-f", package, "Depends")
    return dict(re.findall(r"([\w+-]+)(?: \(>= ([\d.]+)\))?", text))


def test_the_debian_package_holds_the_same_tree(root, tree, package):
    fields = build_tool("dpkg-deb", "-f", package, "Package", "Architecture")
    assert "Package: longshot" in fields and "Architecture: amd64" in fields
    build_tool("dpkg-deb", "-x", package, root / "unpacked")
    inside, outside = root / "unpacked/usr", tree
    names = {path.relative_to(outside) for path in outside.rglob("*")}
    assert names == {path.relative_to(inside) for path in inside.rglob("*")}
    assert run(inside / "bin/longshot", "--version").strip() == "0.1.0"
    shutil.rmtree(root / "unpacked")


def test_dpkg_installs_the_package_and_removes_all_of_it(root, package):
    depends = depends_of(package)
    inside = DebianRoot(root / "system", depends)
    before = inside.files()
    inside.dpkg("-i", package)
    assert inside.dpkg("--verify", "longshot") == ""
    system = inside.folder
    assert {package_of(name) for name in needed_from_outside(system / "usr/lib/longshot")} == set(depends)
    assert newest_symbols(system / "usr/lib/longshot", "GLIBC") <= tuple(map(int, depends["libc6"].split(".")))
    assert inside.run("longshot", "--version").strip() == "0.1.0"
    inside.run("longshot", "data", "make", "--task", "addition", "--out", "/tmp/data", "--train", "5", "--val", "5")
    assert len((system / "tmp/data/train.jsonl").read_text().splitlines()) == 5
    shutil.rmtree(system / "tmp/data")
    manual = system / "usr/share/man"
    assert run("man", "-M", manual, "-w", "longshot-train").strip() == str(manual / "man1/longshot-train.1")
    for name in ("bash-completion/completions/longshot", "zsh/vendor-completions/_longshot",
                 "fish/vendor_completions.d/longshot.fish", "doc/longshot/copyright"):
        assert (system / "usr/share" / name).stat().st_size > 0
    listed = build_tool("dpkg-deb", "-c", package).splitlines()
    assert all(line.split()[1] == "root/root" and line[8] != "w" or line.startswith("l") for line in listed), listed
    assert {line.split()[5].split("/")[1] for line in listed if line.split()[5] != "./"} == {"usr"}
    inside.dpkg("--purge", "longshot")
    assert inside.files() == before
    shutil.rmtree(system)


def test_the_wheel_gives_the_command(wheel, model):
    assert_works(wheel / "bin/longshot", model[0])
    run(wheel / "bin/longshot", "nothing", code=2)


SCRIPT = """
import json, pathlib, sys
import longshot
model, data, folder = sys.argv[1:]
reward = pathlib.Path(folder).with_suffix(".py")
reward.write_text("import time\\ndef compute_score(**row):\\n  time.sleep(0.01)\\n  return 0.0\\n")  # so that the run can be stopped
config = {"model": {"path": model}, "data": {"train_files": [data + "/train.jsonl"], "val_files": [data + "/val.jsonl"],
          "train_batch_size": 8, "max_prompt_length": 24, "max_response_length": 16}, "rollout.n": 4, "optim.lr": 3e-4,
          "reward": {"functions": ["auto", {"type": "python", "path": reward, "weight": 0.0, "decides_correct": False}]},
          "trainer": {"total_iterations": 12, "test_freq": 12, "val_max_prompts": 16, "threads": 2, "default_local_dir": folder}}
rows = []

def stop_after_one(row):
    rows.append(row["step"])
    if row["step"] == 1:
        raise StopIteration("enough")

try:
    longshot.train(config, on_metrics=stop_after_one)
    raise SystemExit("the exception was lost")
except StopIteration:
    pass
assert rows == [0, 1], rows
run = longshot.train(config, on_metrics=lambda row: rows.append(row["step"]))
assert 1 < rows[2] < 12 and rows[2:] == list(range(rows[2], 13)), rows
assert [row["step"] for row in run.metrics()] == list(range(13))
assert run.checkpoints[-1].name == "global_step_12" and (run.model / "model.safetensors").exists()
assert run.report(folder + ".html").read_text().startswith("<!")
try:
    longshot.train(config, {"trainer.total_iteration": 5})
    raise SystemExit("an unknown key was accepted")
except longshot.BadInput as error:
    assert "total_iterations" in str(error) and error.code == 2, error
figures = longshot.evaluate(run.folder, data + "/val.jsonl", max_problems=16, max_tokens=16)
answers = longshot.generate(run.model, ["3+4=", "1+1="], n=2, max_tokens=8, temperature=0)
assert [len(texts) for texts in answers] == [2, 2] and answers[0][0] == answers[0][1]
verdicts = longshot.grade([{"completion": "7", "ground_truth": "7"}, {"completion": "8", "ground_truth": "7"}])
assert [verdict["score"] for verdict in verdicts] == [1, 0]
with longshot.serve(run.model, threads=1) as server:
    text = server.complete("3+4=", max_tokens=8, temperature=0)
    assert text == answers[0][0], (text, answers)
    assert isinstance(server.chat("3+4=", max_tokens=4), str)
    try:
        server.post("/v1/completions", {"model": "model"})
        raise SystemExit("a bad request was accepted")
    except longshot.LongshotError as error:
        assert error.code == 400, error
print(json.dumps({"accuracy": figures["accuracy"], "before": run.metrics()[0]["val/accuracy"]}))
"""


def test_the_types_of_the_python_package_are_whole():
    build_tool(sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "longshot", cwd=ROOT / "python")


def test_python_trains_evaluates_generates_grades_and_serves(wheel, model, tmp_path):
    work = tmp_path / "work"
    work.mkdir(mode=0o777)
    for path in (tmp_path, tmp_path.parent):
        path.chmod(0o755)
    work.chmod(0o777)
    out = run(wheel / "bin/python", "-c", SCRIPT, *model, work / "run")
    assert 0 <= json.loads(out)["accuracy"] <= 1
