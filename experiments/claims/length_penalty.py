"""Report, section 2.3.3: the length penalty shortens responses, and is switched on late because it slows the start."""
from claims.search import search
from paired import between, gap

CLAIM = "A length penalty from the start slows training; a later one shortens responses (section 2.3.3)."
CRITERION = """2026-11-28, before the first run. `none` is figure5's run. `from_start` adds the length reward with
weight 0.2 from the first iteration, `late` from iteration 31. Paired over the seeds, with 95 % intervals:
(a) the area under the held-out curve of accuracy from iteration 0 to 30, late minus from_start: interval above 0;
(b) mean response length after 60 iterations, none minus late: interval above 0;
(c) held-out accuracy after 60 iterations, late minus from_start: lower end at least -0.02.
Accuracy after 60 iterations, late minus none, is shown without a criterion."""
ANALYSIS = """Written after the runs. (b) holds: a penalty that begins after iteration 30 shortens responses by about 7
tokens of 125, and its accuracy is that of the runs without. (a) and (c) are undecided: over the seeds the difference in
area is 0.006, -0.007, -0.032, 0.025 and 0.089, smaller than what separates two seeds of one arm. Nor does a weight of 0.2
from the start keep this model from lengthening its search: its responses grow from 44 to about 117 tokens, those without
a penalty to 127. A larger weight might hurt the start; none was tried, because it would need a criterion of its own."""
PENALTY = "reward.length_weight=0.2"
# Name of the run and overrides.
ARMS = {"none": ("kimi",), "from_start": ("penalty_from_start", PENALTY),
        "late": ("penalty_late", PENALTY, "reward.length_warmup_iterations=30")}


def run(harness, seed):
    return [{"arm": arm, **search.reinforce(harness, seed, *words)} for arm, words in ARMS.items()]


def judge(lines):
    early = gap(lines, "late", "from_start", lambda x: between(x, 0, 30))
    shorter = gap(lines, "none", "late", lambda x: x["length"][-1])
    end = gap(lines, "late", "from_start", lambda x: x["accuracy"][-1])
    price = gap(lines, "late", "none", lambda x: x["accuracy"][-1])
    return [("area to iteration 30, late minus from_start", early, early[1] > 0),
            ("tokens at the end, none minus late", shorter, shorter[1] > 0),
            ("accuracy at the end, late minus from_start", end, end[1] >= -0.02),
            ("accuracy at the end, late minus none", price, None)]
