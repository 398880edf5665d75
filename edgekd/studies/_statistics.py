"""The statistics of a study: paired gains over few seeds, and who dominates whom."""

import math
import statistics
from collections.abc import Mapping, Sequence

from scipy import stats

from edgekd.values import Interval


def paired_interval(
    ours: Mapping[int, float], control: Mapping[int, float]
) -> tuple[float, Interval | None, int] | None:
    """The mean of the differences ours − control over the seeds that both have, its 95 % interval, and their number.

    The interval is Student's, of paired differences (n − 1 degrees of freedom). There is none for one seed, nor where
    all differences are the same: a few equal ones don't say that the next will be. None without a common seed.
    """
    differences = [ours[seed] - control[seed] for seed in sorted(ours.keys() & control.keys())]
    if not differences:
        return None
    mean, n = statistics.fmean(differences), len(differences)
    spread = statistics.stdev(differences) if n > 1 else 0.0
    if spread < 1e-12:
        return mean, None, n
    half = float(stats.t.ppf(0.975, n - 1)) * spread / math.sqrt(n)
    return mean, Interval(estimate=mean, low=mean - half, high=mean + half), n


def pareto_ranks(points: Sequence[tuple[float, ...]]) -> list[int]:
    """For each point, less being better on every axis, 1 if no other dominates it, 2 if none of those does that are
    left without rank 1, and so on: nondominated sorting (Deb et al., "A Fast and Elitist Multiobjective Genetic
    Algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002, section III.A).
    """
    ranks = [0] * len(points)
    left, rank = set(range(len(points))), 1
    while left:
        front = {i for i in left if not any(_dominates(points[j], points[i]) for j in left)}
        for i in front:
            ranks[i] = rank
        left, rank = left - front, rank + 1
    return ranks


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
