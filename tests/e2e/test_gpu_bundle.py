"""tools/gpu_bundle with the libtorch that the tests use: the archive, unpacked elsewhere, starts and passes its trial."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def archive():
    out = ROOT / "build/gpu-test"
    done = subprocess.run([sys.executable, ROOT / "tools/gpu_bundle", "--libtorch", pathlib.Path(torch.__file__).parent,
                           "--out", out], capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    path = pathlib.Path(done.stdout.splitlines()[-1].split(": ")[0])
    assert path.stat().st_size < 60e6
    return path


@pytest.fixture(scope="module")
def bundle(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


def trial(bundle, out, *arguments, python=sys.executable):
    environment = {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "LONGSHOT_VENV")}
    return subprocess.run([python, bundle / "run", "--out", out, *arguments], capture_output=True, text=True, timeout=1500,
                          env=environment, cwd=out.parent)


def test_nothing_of_this_machine_is_in_the_programs_run_path(bundle):
    for path in [*(bundle / "bin").iterdir()]:
        text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        for run_path in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", text):
            assert run_path == "$ORIGIN/../lib", path


def test_libtorch_stays_outside(bundle):
    names = [path.name for path in (bundle / "lib").iterdir()]
    assert any(name.startswith("libarrow.so") for name in names)
    assert not [name for name in names if name.startswith(("libtorch", "libc10", "libcu", "libstdc++", "libc.so"))]


def test_the_trial_passes_on_the_cpu(bundle, tmp_path, capsys):
    done = trial(bundle, tmp_path / "results", "--device", "cpu", "--quick")
    with capsys.disabled():
        print("\n" + done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results/results.json").read_text())
    steps = {row["step"]: row for row in results["steps"]}
    assert all(row["ok"] for row in steps.values())
    assert sum(name.startswith("golden") for name in steps) >= 10
    assert steps["smollm2 float32"]["rollout tokens/s"] > 0
    assert steps["quickstart"]["rollout tokens/s"] > 0


def test_a_wrong_gradient_fails_the_trial(bundle, tmp_path):
    expected = bundle / "golden/llama/expected.json"
    kept = expected.read_text()
    rows = json.loads(kept)
    rows[0][0] += 0.01
    expected.write_text(json.dumps(rows))
    done = trial(bundle, tmp_path / "results", "--device", "cpu", "--only", "golden llama$")
    expected.write_text(kept)
    assert done.returncode == 1 and "FAIL golden llama" in done.stdout


def test_another_torch_or_no_gpu_is_said_at_once(bundle, tmp_path):
    done = trial(bundle, tmp_path / "results")
    assert done.returncode == 1 and "no GPU" in done.stderr
    facts = bundle / "bundle.json"
    kept = facts.read_text()
    facts.write_text(json.dumps({**json.loads(kept), "torch": "2.7.1"}))
    done = trial(bundle, tmp_path / "results", "--device", "cpu")
    facts.write_text(kept)
    assert done.returncode == 1 and "tools/gpu_bundle --torch" in done.stderr
