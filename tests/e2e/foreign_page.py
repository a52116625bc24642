"""The tables of docs/coming-from-verl-and-trl.md, shared by the tests of their keys and of their values."""
import functools
import re

from support import ROOT, longshot

PAGE = (ROOT / "docs/coming-from-verl-and-trl.md").read_text()
COMMANDS = {"Keys of verl": "train", "Values of verl": "train", "GRPOConfig": "train", "Values of GRPOConfig": "train",
            "SFTConfig": "sft", "DPOConfig": "dpo"}


def tables():
    """(command, cells) of each row of the tables about keys and values, without their heads."""
    command = None
    for line in PAGE.splitlines():
        if line.startswith("## "):
            command = COMMANDS.get(line[3:])
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if command and line.startswith("|") and cells[1] not in ("longshot", "---"):
            yield command, cells


KEYS = [(command, *(cell.strip("`") for cell in cells)) for command, cells in tables() if len(cells) == 2]
VALUES = [(command, cells[0], cells[1]) for command, cells in tables() if len(cells) == 3]
SETTINGS = [(command, cell.strip("`").split(" ")) for command, cell in dict.fromkeys((row[0], row[2]) for row in VALUES) if cell[0] == "`"]


@functools.cache
def defaults(command):
    """Of every key, as TOML."""
    return dict(re.findall(r"^\| `([\w.]+)` \| [^|]+ \| `(.*?)` \|", longshot(command, "--reference").stdout, flags=re.M))
