"""Report, Figure 7: ways from a model with long chains of thought to one that needs fewer tokens (long2short)."""
from claims import shorten
from claims.search import search

CLAIM = "Long2short RL is the most token-efficient, above DPO, merging with rejection sampling, and merging (Figure 7)."
CRITERION = """2026-11-28, before the first run. The long model is that of figure5 after 60 iterations; the short one is
figure5's warm-up trained further on traces of one or two tries. All models answer the held-out problems four times at
temperature 1 with at most 256 tokens. The token efficiency of a method is its accuracy minus that of the long model cut
at the budget at which its responses have the same mean length; a response that is cut has no answer. A method that is
no better than cutting has 0. Each method that needs samples gets 6,400 of them. Paired over the seeds, with 95 %
intervals:
(a) the efficiency of RL minus that of each of DPO, merging with rejection sampling, and merging: intervals above 0;
(b) the means over the seeds are in the report's order: DPO above merging with rejection sampling, and that above
    merging;
(c) mean response length of the long model minus that after long2short RL: interval above 0.
Rejection sampling without merging, and the short model, are shown without a criterion."""
ANALYSIS = """Written after the runs. Long2short RL kept the accuracy (0.48 to 0.63 before, 0.53 to 0.63
after) and hardly shortened anything, so there was little to be efficient with: its 25 iterations at a length weight of
0.2 move the mean length by 0.8 tokens of 126. Merging with the short model halves the length for 3 to 17 points of
accuracy, which is far above cutting the long model; the short model alone, the baseline here, is as efficient. DPO
broke the model: it answers 4 to 10 % right, and the samples of two seeds repeat numbers that were tried and lose the
form of a trace. Its pairs prefer a short lucky search to a long one whose steps are as sound, and a trace's next
number is random, so the preference is about luck. That explanation was not tested, nor were other weights, rates or
numbers of iterations: they would need criteria of their own."""
ARMS = shorten.ARMS
ITERATIONS = 25  # of 32 groups of 8, as many samples as 8 of each of 800 problems
judge = shorten.judge


def run(harness, seed):
    origin = harness.origin(search.path(harness, f"figure7_{seed}"))
    search.reinforce(harness, seed, "kimi")  # figure5's run
    long = search.trained(harness, seed, "kimi")
    shortened = shorten.second_phase(harness, search, seed, long, ITERATIONS, "data.max_response_length=128",
                                     "reward.length_weight=0.2")
    return shorten.results(harness, search, seed, shorten.models(harness, search, seed, long, shortened), origin)
