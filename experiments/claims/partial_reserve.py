"""Report, section 2.6.2 once more: partial rollouts with a replay buffer that has groups in reserve."""
from claims import partial_rollouts

CLAIM = "With groups in reserve, partial rollouts make every iteration shorter (section 2.6.2)."
CRITERION = """2026-11-30, before the first run of seeds 2 to 5; seed 1 has been seen, because it is the run that
partial_rollouts mentions beside its criterion. Everything is as in partial_rollouts, and so are (a), (b) and (c), but
the replay buffer holds 64 groups, twice the batch, unfinished ones included."""
ANALYSIS = """Written after the runs. (a) and (c) hold: an iteration takes 0.44 times the passes, 115 to 119 of the 120
spend their budget (with 32 groups 73 to 77), and the accuracy for the same tokens is higher by 4 to 14 points. (b) does
not, because of the first ten iterations: the responses are short at first, the budget of 48 tokens a sample is then not
spent, and the iteration waits for its longest response of up to 256 tokens, with continued ones besides. From the
eleventh iteration on, the longest of a seed takes 135 to 206 passes, without a budget 256. Why the accuracy is higher
was not examined: both take 229 to 240 optimizer steps, of about 7 groups with the budget and of 8 without."""
X = partial_rollouts.X
ARMS = {"whole": partial_rollouts.ARMS["whole"],
        "partial": ("reserve", 120, (*partial_rollouts.ARMS["partial"][2][:3], "replay.max_groups=64"))}


def run(harness, seed):
    return partial_rollouts.run(harness, seed, ARMS)


judge = partial_rollouts.judge
