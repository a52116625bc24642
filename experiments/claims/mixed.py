"""A mixed set of problems: `easy` ones with x in 1..3, which are guessed right one time in three, and `hard` ones with
x in 1..13. Their moduli differ, so a model can tell them apart. One warm-up a seed."""
import json

from claims.search import search

LEVELS = {"easy": (3, 640, 5000), "hard": (13, 960, 25000)}  # numbers to search, problems for RL, rows of the warm-up


def make_data(harness):
    """Returns the folder of the data; `data_source` and `difficulty` of a problem tell its kind."""
    for name, (level, train, sft) in LEVELS.items():
        part = harness.out / "mixed" / name
        harness.longshot(part / "alphabet.txt", "data", "make", "--task", "search", "--levels", f"{level}-{level}",
                         "--out", part, "--train", train, "--val", 150, "--sft", sft, "--seed", 1)
    data = harness.out / "mixed/data"
    for file in ("train.jsonl", "val.jsonl", "sft.jsonl"):
        harness.write(data / file, lambda: joined(harness.out / "mixed", file))
    harness.write(data / "alphabet.txt", lambda: (harness.out / "mixed/hard/alphabet.txt").read_text())
    return data


def joined(folder, file):
    """The rows of both kinds; those with a source of data get their kind's name as the source."""
    out = ""
    for kind in LEVELS:
        for line in (folder / kind / file).read_text().splitlines():
            row = json.loads(line)
            if "data_source" in row:
                row["data_source"] = kind
            out += json.dumps(row) + "\n"
    return out


def warm_up(harness, seed):
    """Returns the folder of the data and the model after the warm-up of this seed."""
    return search.warm_up(harness, seed, "mixed_sft", make_data(harness))


def reinforce(harness, seed, name, *overrides):
    """RL on both kinds, in a folder of the given name. Several claims use the run `uniform`, without overrides."""
    return search.reinforce(harness, seed, f"mixed_{name}", *overrides, start=warm_up(harness, seed))
