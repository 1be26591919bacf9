"""How often a gate is right: many suites judged at once, beside the gates that others use. Loads numpy and scipy."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from app.gates.schemas import GateRow
from app.registry.kinds.gate_policy import Confidence
from app.stats.estimates import Floats, mean_se, plus_one, units
from app.stats.paired import FINEST_FLIP_LEVEL, p_worse, p_worse_t

PASSED, FAILED, UNDECIDED = 1, -1, 0
Outcomes = NDArray[np.int8]

_SMALLEST_DROP = 1e-9


def judge(
    d: ArrayLike, margin: float, alpha: float = 0.05, level: float = 0.02, *, interim: bool = False, seed: int = 0
) -> Outcomes:
    """Judge many suites by one no_regression rule: `d` [suites, cases] on a scale of width 1 -> outcomes [suites].

    The same answers as `decide` gives for a policy with that rule alone. `alpha` and `level` are the levels of the pass
    and the fail side; an `interim` look fails only what is also estimated to be beyond the margin.
    """
    sample = units(d)
    outcomes: Outcomes = np.zeros(sample.sums.shape[0], dtype=np.int8)
    outcomes[plus_one(sample, -1.0).lower(alpha) > -margin] = PASSED
    means = sample.sums.mean(axis=1)
    askable = (outcomes != PASSED) & ((means < -margin - _SMALLEST_DROP) if interim else (means < 0))
    for row in np.flatnonzero(askable):
        suite = sample.sums[row]
        p = p_worse_t(suite) if level < FINEST_FLIP_LEVEL else p_worse(suite, seed=seed + int(row))
        if p <= level:
            outcomes[row] = FAILED
    return outcomes


def any_drop(d: Floats) -> Outcomes:
    """Blocks whenever the mean is lower."""
    return _two_way(d.mean(axis=1) < -_SMALLEST_DROP)


def drop_over(d: Floats, tolerance: float) -> Outcomes:
    """Blocks when the mean is lower by more than `tolerance`."""
    return _two_way(d.mean(axis=1) < -tolerance - _SMALLEST_DROP)


def paired_t(d: Floats, alpha: float = 0.05) -> Outcomes:
    """Blocks when a one-sided paired t-test finds a significant drop."""
    mean, se, df = mean_se(units(d))
    flat = se <= _SMALLEST_DROP
    p = stdtr(df, mean / np.where(flat, 1.0, se))
    return _two_way(np.where(flat, mean < -_SMALLEST_DROP, p < alpha))


def _two_way(blocked: NDArray[np.bool_]) -> Outcomes:
    return np.where(blocked, FAILED, PASSED).astype(np.int8)


def resample_gates(
    changes: Mapping[str, ArrayLike],
    *,
    size: int,
    margin: float,
    suites: int = 200,
    seed: int = 0,
    confidence: Confidence | None = None,
    tolerance: float = 0.05,
) -> list[GateRow]:
    """Draw `suites` suites of `size` cases with replacement for every change, and let four kinds of gate judge each.

    `changes` maps a name to its differences per case, candidate minus baseline, on a scale of width 1 with higher
    better. The four gates see the same suites. Raises ValueError for fewer than two cases, for differences that are not
    finite, and for suites of fewer than two.
    """
    if size < 2 or suites < 1:
        raise ValueError("a suite needs two cases or more, and there must be one suite")
    confidence = confidence or Confidence()
    rows = []
    for index, (change, differences) in enumerate(changes.items()):
        cases = np.asarray(differences, dtype=np.float64)
        if cases.ndim != 1 or cases.size < 2 or not np.isfinite(cases).all():
            raise ValueError(f"{change}: needs finite differences of two cases or more")
        draw = np.random.default_rng((seed, index)).integers(0, cases.size, (suites, size))
        d = cases[draw]
        alpha, level = round(1 - confidence.pass_, 12), round(1 - confidence.block, 12)
        judged = {
            "any drop": any_drop(d),
            f"drop of more than {100 * tolerance:g} points": drop_over(d, tolerance),
            "paired t-test": paired_t(d),
            "promptward": judge(d, margin, alpha, level, seed=seed),
        }
        for gate, outcomes in judged.items():
            blocked, passed = int((outcomes == FAILED).sum()), int((outcomes == PASSED).sum())
            rows.append(
                GateRow(
                    gate=gate,
                    change=change,
                    true_change=float(cases.mean()),
                    suites=suites,
                    size=size,
                    blocked=blocked,
                    passed=passed,
                    inconclusive=suites - blocked - passed,
                )
            )
    return rows
