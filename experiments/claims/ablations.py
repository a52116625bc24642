"""Ablations on the same warm-ups: one setting changed at a time."""
from claims.search import search
from paired import area, interval

CLAIM = "What each part of the algorithm contributes."
CRITERION = """2026-11-28, before the first run. Each arm changes one setting of the runs of figure5. Paired over seeds,
the area under its held-out curve minus that of the unchanged runs is shown with its 95 % interval. The report's own
claim among them: keeping the optimizer's moments from iteration to iteration is not better than a reset, so the upper
end of that interval is at most 0.02."""
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
