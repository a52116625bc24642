"""Shared by the golden and end-to-end tests: the program under test, and a ban on skipped tests."""

import os
import pathlib
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # programs under test would inherit that nohup ignores it


@pytest.fixture(scope="session")
def repo():
    return ROOT


@pytest.fixture(scope="session")
def longshot_bin():
    path = pathlib.Path(os.environ.get("LONGSHOT_BIN", ROOT / "build/release/bin/longshot"))
    assert path.exists(), f"{path} is not built: cmake --build --preset release --target longshot"
    return path


@pytest.fixture(scope="session")
def longshot(longshot_bin):
    """Returns longshot("report", "runs/a") -> CompletedProcess with text output; fails the test on a non-zero exit code."""

    def run(*args, check=True, timeout=300, **kwargs):
        done = subprocess.run([str(longshot_bin), *map(str, args)], capture_output=True, text=True,
                              timeout=timeout, **kwargs)
        if check:
            assert done.returncode == 0, f"{' '.join(map(str, done.args))}: {done.returncode}\n{done.stderr}"
        return done

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A skipped test counts as failed, because it would otherwise pass without any check."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report
