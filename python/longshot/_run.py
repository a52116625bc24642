"""Run folders."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from longshot._program import call

Row = dict[str, Any]  # a row of metrics.jsonl: "step", and metrics by name


class Run:
    """The folder of a run of train, sft, rm or dpo."""

    def __init__(self, folder: str | pathlib.Path):
        self.folder = pathlib.Path(folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def metrics(self) -> list[Row]:
        """All rows of metrics.jsonl, in order; the row of step 0 is the evaluation before training."""
        return RowReader(self.folder / "metrics.jsonl").new_rows()

    @property
    def checkpoints(self) -> list[pathlib.Path]:
        """The folders global_step_N, oldest first."""
        return sorted(self.folder.glob("global_step_*"), key=lambda folder: int(folder.name.rsplit("_")[-1]))

    @property
    def model(self) -> pathlib.Path:
        """The newest model (or adapter) in Hugging Face's layout."""
        places = [*(self.checkpoints[-1:]), self.folder]
        for place in places:
            for name in ("huggingface", "adapter"):
                if (place / name).is_dir():
                    return place / name
        raise FileNotFoundError(f"{self.folder} has no model yet")

    def report(self, output: str | pathlib.Path) -> pathlib.Path:
        """Writes the HTML page of the run's curves and samples."""
        call(["report", self.folder, "--output", output])
        return pathlib.Path(output)


class RowReader:
    """Reads the rows that a growing metrics.jsonl gets. A file that a resumed run has cut is read again from its start,
    without the steps that were given before."""

    def __init__(self, file: pathlib.Path):
        self.file, self.offset, self.last = file, 0, -1
        self.line = b""  # the last one that was read; it ends at the offset unless the file was cut meanwhile

    def new_rows(self) -> list[Row]:
        try:
            with self.file.open("rb") as file:
                file.seek(self.offset - len(self.line))
                data = file.read()
                if data.startswith(self.line):
                    data = data[len(self.line) :]
                else:
                    self.offset, self.line = 0, b""
                    file.seek(0)
                    data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines(keepends=True)
        self.offset += len(whole)
        self.line = lines[-1] if lines else self.line
        rows = [json.loads(line) for line in lines]
        new = [row for row in rows if row["step"] > self.last]
        self.last = max([self.last, *(row["step"] for row in new)])
        return new
