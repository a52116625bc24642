"""Ablations on the same warm-ups: one setting changed at a time."""
from claims.search import search
from paired import area, interval

CLAIM = "What each part of the algorithm contributes."
CRITERION = """2026-11-28, before the first run. Each arm changes one setting of the runs of figure5. Paired over seeds,
the area under its held-out curve minus that of the unchanged runs is shown with its 95 % interval. The report's own
claim among them: keeping the optimizer's moments from iteration to iteration is not better than a reset, so the upper
end of that interval is at most 0.02."""
ANALYSIS = """Written after the runs. Resetting the moments is better, as the report says. At iteration 20 both kinds of run
are equal (0.500 with kept moments, 0.498 with a reset), but between two later evaluations each of the five runs with
kept moments loses 0.13 to 0.32 of its accuracy, and not all recover: at iteration 60 they have 0.430 on average, the
unchanged runs 0.561. The largest loss of an unchanged run is 0.13, in one seed; 0.03 in the others. Why moments of
older iterations cause such losses was not tested. The log Z baseline ends at 0.350. With tau = 0.02, rewards of 0 and
1, and c right samples of 8, tau log Z is 1 + 0.02 log(c/8), so the advantage of a right sample is at most 0.042 and that
of a wrong one about -1: the update mostly pushes wrong samples down, and hardly raises right ones. That follows from
the formula; a larger tau with this baseline was not tried. Between the three values of tau no difference can be seen
with the mean baseline: both intervals include 0."""
ARMS = {"kimi": (), "keep_moments": ("algorithm.reset_optimizer=false",), "log_z": ("algorithm.baseline=logz",),
        "tau_0.1": ("algorithm.tau=0.1",), "tau_0.5": ("algorithm.tau=0.5",)}


def run(harness, seed):
    return [{"arm": arm, **search.reinforce(harness, seed, arm, *overrides)}
            for arm, overrides in ARMS.items()]


def judge(lines):
    areas = {arm: [area(x["iterations"], x["accuracy"]) for x in sorted(lines, key=lambda x: x["seed"]) if x["arm"] == arm]
             for arm in ARMS}
    out = []
    for arm in list(ARMS)[1:]:
        gap = interval([a - b for a, b in zip(areas[arm], areas["kimi"])])
        out.append((f"area with {arm} minus unchanged", gap, gap[2] <= 0.02 if arm == "keep_moments" else None))
    return out
