"""Report, section 2.1: problems whose answer the model guesses without a chain of thought are removed before RL."""
import json

from claims import mixed
from claims.search import search
from paired import between, gap, interval

CLAIM = "RL gains more when problems that can be guessed without thinking are removed from its prompts (section 2.1)."
CRITERION = """2026-11-28, before the first run. The prompts are figure9's 640 easy ones (x in 1..3) and 960 hard ones
(x in 1..13). The warm-up model guesses the answer of each without a chain of thought, and `longshot curate` removes a
problem if one of eight guesses is right; by chance this is true of 96 % of the easy and 47 % of the hard ones. `all` is
RL on all prompts, figure9's run `uniform`, and `filtered` is RL on the prompts that are left. With 95 % intervals over
the seeds:
(a) the filter removes a larger share of the easy prompts than of the hard ones: interval of the difference above 0.25;
(b) on held-out hard problems, the area under the curve of filtered minus that of all: interval above 0.
The same area on easy problems is shown without a criterion."""
ANALYSIS = """Written after the runs. Neither holds. (a) The model's
guesses repeat one another (eight of them are 1.4 to 3.0 different answers to an easy problem and 3.9 to 6.1 to a hard
one), so they find fewer answers than chance would: the filter removes 41 to 89 % of the easy prompts and 27 to 47 % of
the hard ones, a difference of 28 points, but of 4 to 51 within the interval. (b) RL on the 577 to 1009 prompts that are
left gains nothing on hard problems and loses 8 points on easy ones. With all prompts the responses lengthen as much (to
87 to 104 tokens, with the filter to 98 to 114), so RL does not learn to guess here, and the filter only takes prompts
away. A task in which guessing pays more often than thinking was not tried."""
ARMS = ["all", "filtered"]


def curate(harness, product, data, seed, *options):
    """Makes a prompt set and returns its folder. Near duplicates stay: problems differ in one number."""
    out = product.parent
    harness.longshot(product, "curate", data / "train.jsonl", "--out", out, "--set", "duplicates.enabled=false",
                     "--seed", seed, *options)
    return out


def remove_guessed(harness, seed):
    """Returns a folder with train.jsonl, of which curate has removed problems, and val.jsonl; and the warm-up model."""
    data, model = mixed.warm_up(harness, seed)
    template = harness.write(harness.out / "mixed/guess.txt", lambda: "{problem}#")
    out = harness.out / f"mixed/filtered_{seed}"
    whole = curate(harness, out / "whole/prompts.jsonl", data, seed)
    guesses = harness.longshot(out / "guesses/samples.jsonl", "sample", whole / "prompts.jsonl", "--model", model,
                               "--n", 8, "--max-tokens", 4, "--seed", seed, "--template", template, "--reward",
                               '{"type": "exact", "pattern": "^([0-9]+)$"}', "--out", out / "guesses")
    kept = curate(harness, out / "kept/prompts.jsonl", data, seed, "--hack-samples", guesses)
    harness.write(out / "train.jsonl", lambda: (kept / "prompts.jsonl").read_text())
    harness.write(out / "val.jsonl", lambda: (data / "val.jsonl").read_text())
    return out, model


def removed(folder):
    """Kind of problem -> share of its problems that the filter removed."""
    counts = [{kind: 0 for kind in mixed.LEVELS} for _ in range(2)]
    for count, path in zip(counts, (folder / "whole/prompts.jsonl", folder / "kept/prompts.jsonl")):
        for line in path.read_text().splitlines():
            count[json.loads(line)["data_source"]] += 1
    return {kind: 1 - counts[1][kind] / counts[0][kind] for kind in mixed.LEVELS}


def run(harness, seed):
    whole = mixed.reinforce(harness, seed, "uniform")
    folder, model = remove_guessed(harness, seed)
    filtered = search.reinforce(harness, seed, "mixed_filtered", start=(folder, model))
    shares = {f"removed_{kind}": share for kind, share in removed(folder).items()}
    return [{"arm": "all", **whole}, {"arm": "filtered", **filtered, **shares}]


def of_kind(line, kind):
    return between({"iterations": line["iterations"], "accuracy": line["sources"][kind]}, 0, 60)


def judge(lines):
    filtered = [x for x in lines if x["arm"] == "filtered"]
    easier = interval([x["removed_easy"] - x["removed_hard"] for x in filtered])
    hard, easy = (gap(lines, "filtered", "all", lambda x: of_kind(x, kind)) for kind in ("hard", "easy"))
    return [("share removed, easy minus hard", easier, easier[1] > 0.25),
            ("area on hard problems, filtered minus all", hard, hard[1] > 0),
            ("area on easy problems, filtered minus all", easy, None)]
