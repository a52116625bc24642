"""The program and its processes."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence


class LongshotError(RuntimeError):
    """The program failed. `code` is its exit code."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


class BadInput(LongshotError, ValueError):
    """The program refused its input (exit code 2); the message names the file, line or key."""


def program() -> str:
    """The program: $LONGSHOT_BIN, else the one of this package, else the one on PATH."""
    named = os.environ.get("LONGSHOT_BIN")
    packaged = pathlib.Path(__file__).parent / "tree/lib/longshot/longshot"
    found = named or (str(packaged) if packaged.exists() else shutil.which("longshot"))
    if not found:
        raise FileNotFoundError("no program longshot: this package has none, it is not on PATH, and LONGSHOT_BIN is not set")
    return found


def failure(code: int, errors: str) -> LongshotError:
    """The exception for a process that ended with this code and wrote these errors."""
    lines = [line for line in errors.splitlines() if line.startswith("longshot: ")]
    message = lines[-1].removeprefix("longshot: ") if lines else errors.strip()[-2000:] or f"the program ended with code {code}"
    return (BadInput if code == 2 else LongshotError)(message, code)


def start(arguments: Sequence[object], **options: object) -> subprocess.Popen[str]:
    """Starts the program. It does not see this process's Ctrl-C: stop() passes it on."""
    words = [program(), *(os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in arguments)]
    return subprocess.Popen(words, text=True, start_new_session=True, **options)  # type: ignore[call-overload,no-any-return]


def stop(process: subprocess.Popen[str], seconds: float = 600) -> None:
    """Lets the program save its state and waits for its end."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    finally:
        process.kill()


def call(arguments: Sequence[object], text: str = "") -> str:
    """Runs the program with this standard input; returns what it prints."""
    process = start(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, errors = process.communicate(text)
    except BaseException:
        stop(process)
        raise
    if process.returncode != 0:
        raise failure(process.returncode, errors)
    return str(out)


def watch(arguments: Sequence[object], log: pathlib.Path, poll: Callable[[], None], seconds: float = 0.2) -> None:
    """Runs the program and calls poll() every few moments and at the end. Its messages go to `log`. What poll() raises stops the
    program first."""
    with log.open("w+") as file:
        process = start(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    process.wait(seconds)
                except subprocess.TimeoutExpired:
                    poll()
                    continue
                break
            poll()
        except BaseException:
            stop(process)
            raise
        if process.returncode != 0:
            file.seek(0)
            raise failure(process.returncode, file.read())
