"""Statistics over seeds: means of paired differences with their intervals, rank correlation."""
import math
import statistics

# Two-sided 95 % points of Student's t for 1, 2, ... degrees of freedom.
T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145]


def interval(values):
    """Mean of one value a seed, and the 95 % interval of the mean by Student's t: (mean, low, high)."""
    mean = statistics.fmean(values)
    if len(values) < 2 or len(values) - 1 > len(T95):
        raise ValueError(f"intervals need 2 to {len(T95) + 1} seeds, not {len(values)}")
    half = T95[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def ranks(values):
    """Ranks from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    i = 0
    while i < len(order):
        j = i
        while j + 1 < len(order) and values[order[j + 1]] == values[order[i]]:
            j += 1
        for k in order[i:j + 1]:
            out[k] = (i + j) / 2 + 1
        i = j + 1
    return out


def spearman(x, y):
    """Spearman's rank correlation; 0 if either side is constant."""
    a, b = ranks(x), ranks(y)
    ma, mb = statistics.fmean(a), statistics.fmean(b)
    top = sum((p - ma) * (q - mb) for p, q in zip(a, b))
    bottom = math.sqrt(sum((p - ma) ** 2 for p in a) * sum((q - mb) ** 2 for q in b))
    return top / bottom if bottom > 0 else 0.0


def area(iterations, values):
    """Mean of a curve over its iterations, by the trapezoid rule."""
    total = sum((b - a) * (u + v) / 2 for a, b, u, v in zip(iterations, iterations[1:], values, values[1:]))
    return total / (iterations[-1] - iterations[0])


def between(line, first, last, key="accuracy"):
    """The area under one curve of a line of results from iteration `first` to `last`."""
    points = [(x, y) for x, y in zip(line["iterations"], line[key]) if first <= x <= last]
    return area(*zip(*points))


def gap(lines, arm, other, value):
    """Interval of value(line of `arm`) minus value(line of `other`), paired over the seeds."""
    a, b = ({x["seed"]: value(x) for x in lines if x["arm"] == name} for name in (arm, other))
    return interval([a[seed] - b[seed] for seed in sorted(a)])
