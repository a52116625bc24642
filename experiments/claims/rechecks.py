"""Report, Figure 7, on chains of thought that have something to leave out: each step is written up to three times."""
import json
import random

from claims import shorten
from claims.search import Search

CLAIM = "Long2short RL is the most token-efficient where chains of thought repeat themselves (Figure 7)."
CRITERION = """2026-12-01, before the first run of its seeds. figure7's task had little to shorten: a trace is a search
whose length is luck. Here x is 1 to 6, and each try of a trace that the warm-up learns from is written one to three
times (1,200 problems, 30,000 traces), so about half of a response could be left out. The long model is the warm-up
after 40 iterations of RL without the length reward, the short one is the warm-up trained further on traces of one or
two tries without repetitions. Long2short RL is 37 iterations with the length reward at weight 0.5; the other methods
get as many samples, eight of each problem. Three runs of a pilot seed that does not count chose that weight among 0.2,
0.5 and 1 and showed that a learning rate of 2e-4 breaks the model; none of the other methods was tried. Token
efficiency, and what is judged, are as in figure7:
(a) the efficiency of RL minus that of each of DPO, merging with rejection sampling, and merging: intervals above 0;
(b) the means over the seeds are in the report's order: DPO above merging with rejection sampling, and that above
    merging;
(c) mean response length of the long model minus that after long2short RL: interval above 0.
Rejection sampling without merging, and the short model, are shown without a criterion."""
ARMS = shorten.ARMS
LONG, ITERATIONS = 40, 37  # 37 iterations of 32 groups of 8 have about as many samples as 8 of each problem
judge = shorten.judge


class Rechecks(Search):
    def make_data(self, harness):
        data = super().make_data(harness)
        harness.write(self.traces(data), lambda: repeated(data / "sft.jsonl"))
        return data

    def traces(self, data):
        return data / "repeated.jsonl"


def repeated(path):
    """The rows of a file with each try of their completions one to three times."""
    draw, out = random.Random(1), []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        *tries, end = row["completion"].split(";")
        row["completion"] = "".join(f"{one};" * draw.randint(1, 3) for one in tries) + end
        out.append(json.dumps(row) + "\n")
    return "".join(out)


search = Rechecks(folder="rechecks", numbers=6, problems=1200, sampled=1200)


def run(harness, seed):
    origin = harness.origin(search.path(harness, f"rechecks_{seed}"))
    search.reinforce(harness, seed, "kimi", "trainer.test_freq=0", last=LONG)
    long = search.trained(harness, seed, "kimi", LONG)
    shortened = shorten.second_phase(harness, search, seed, long, ITERATIONS, "reward.length_weight=0.5")
    return shorten.results(harness, search, seed, shorten.models(harness, search, seed, long, shortened), origin)
