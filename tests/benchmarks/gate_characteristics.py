"""The gate's operating characteristics, simulated with the product's own functions and set beside the design's figures.

    python -m tests.benchmarks.gate_characteristics [--replications 2000] [--only limits,cells,...]

Prints one line per figure and exits with 1 when one is out of its limit. About three minutes at 2,000 replications.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from app.gates.characteristics import FAILED, PASSED, UNDECIDED, judge
from app.stats.estimates import Floats, Units, plus_one, units
from app.stats.paired import holm, p_worse
from app.stats.sequential import Votes as Arm
from app.stats.sequential import canary, gs_levels, votes_before_a_decision

ALPHA, BLOCK, MARGIN = 0.05, 0.02, 0.05
LOOKS = (0.25, 0.5, 0.75, 1.0)
REPEATS = (1, 3, 5)
NEAR = 3.5  # percentage points that a figure may differ from its reference at 2,000 replications

MEAN_PASS_FAIL = 0.80
MEAN_JUDGE, VARIANCE_JUDGE = 0.75, 0.05


class Figure(NamedTuple):
    """One number in per cent: what was measured, what it should be near, and the most or least it may be."""

    name: str
    measured: float
    reference: float | None = None
    most: float | None = None
    least: float | None = None

    def holds(self, replications: int) -> bool:
        """Whether it is within its limits; fewer replications than 2,000 are allowed the noise that comes with them."""
        share = min(max((self.reference or self.most or self.least or 0.0) / 100, 0.02), 0.98)
        noise = 300 * (share * (1 - share)) ** 0.5 * max(0.0, replications**-0.5 - 2000**-0.5)
        near = self.reference is None or abs(self.measured - self.reference) <= NEAR + noise
        below = self.most is None or self.measured <= self.most + noise
        above = self.least is None or self.measured >= self.least - noise
        return near and below and above


# --- data -----------------------------------------------------------------------------------------------------------


def case_means(rng: Generator, kind: str, rho: float, shape: tuple[int, int]) -> Floats:
    """Every case's own pass probability (bin) or mean score (jud); repeats of a case correlate by `rho`."""
    if kind == "bin":
        spread = 1 / rho - 1
        return rng.beta(MEAN_PASS_FAIL * spread, (1 - MEAN_PASS_FAIL) * spread, shape)
    spread = MEAN_JUDGE * (1 - MEAN_JUDGE) / (rho * VARIANCE_JUDGE) - 1
    return rng.beta(MEAN_JUDGE * spread, (1 - MEAN_JUDGE) * spread, shape)


def run(rng: Generator, kind: str, rho: float, means: Floats) -> Floats:
    """One run of every case."""
    if kind == "bin":
        return (rng.random(means.shape) < means).astype(np.float64)
    spread = (MEAN_JUDGE * (1 - MEAN_JUDGE) - rho * VARIANCE_JUDGE) / ((1 - rho) * VARIANCE_JUDGE) - 1
    inside = np.clip(means, 1e-4, 1 - 1e-4)
    return rng.beta(inside * spread, (1 - inside) * spread)


def both_sides(
    rng: Generator,
    kind: str,
    rho: float,
    shape: tuple[int, int],
    drop: float,
    *,
    churn: float = 0.10,
    breaks: bool | None = None,
) -> tuple[Floats, Floats]:
    """Case means of baseline and candidate: a share `churn` of the cases changes neutrally, then the mean falls by `drop`.

    The drop breaks a share of the cases completely (`breaks`, the default for pass/fail), or shrinks every case.
    """
    baseline = case_means(rng, kind, rho, shape)
    candidate = baseline.copy()
    if churn:
        moved = rng.random(shape) < churn
        candidate = np.where(moved, case_means(rng, kind, rho, shape), candidate)
    mean = MEAN_PASS_FAIL if kind == "bin" else MEAN_JUDGE
    if drop and (kind == "bin" if breaks is None else breaks):
        candidate = np.where(rng.random(shape) < drop / mean, 0.0, candidate)
    elif drop:
        candidate = candidate * (1 - drop / mean)
    return baseline, candidate


def repeated(rng: Generator, kind: str, rho: float, means: Floats, repeats: int) -> Floats:
    return sum((run(rng, kind, rho, means) for _ in range(repeats)), np.zeros(means.shape)) / repeats


def differences(
    rng: Generator, kind: str, rho: float, shape: tuple[int, int], repeats: int, drop: float, **how: float | bool
) -> Floats:
    """Candidate minus baseline per case, [replications, cases]."""
    baseline, candidate = both_sides(rng, kind, rho, shape, drop, **how)  # type: ignore[arg-type]
    b = repeated(rng, kind, rho, baseline, repeats)
    return repeated(rng, kind, rho, candidate, repeats) - b


# --- the gate -------------------------------------------------------------------------------------------------------


def looked_at(evidence: Sequence[Floats], fractions: tuple[float, ...], seed: int) -> tuple[np.ndarray, Floats]:
    """Outcomes after early looks, and the share of the calls that each replication used. `evidence` is what each look
    sees, [replications, cases so far]."""
    alphas, levels = gs_levels(fractions, ALPHA), gs_levels(fractions, BLOCK)
    outcomes = np.full(evidence[0].shape[0], UNDECIDED, dtype=np.int8)
    used = np.ones(outcomes.size)
    for k, fraction in enumerate(fractions):
        open_ = np.flatnonzero(outcomes == UNDECIDED)
        if open_.size == 0:
            break
        final = k + 1 == len(fractions)
        outcomes[open_] = judge(evidence[k][open_], MARGIN, alphas[k], levels[k], interim=not final, seed=seed)
        used[open_] = fraction
    return outcomes, used


def over_cases(d: Floats, seed: int) -> tuple[np.ndarray, Floats]:
    return looked_at([d[:, : round(fraction * d.shape[1])] for fraction in LOOKS], LOOKS, seed)


def share(outcomes: np.ndarray, outcome: int) -> float:
    return float((outcomes == outcome).mean() * 100)


# --- the figures ----------------------------------------------------------------------------------------------------

EXIT_CODES = (  # rho, n, no change: exit not 0, -5: exit 0, -10: exit 0
    (0.5, 30, 11.5, 51.5, 23.4),
    (0.5, 100, 1.6, 49.5, 8.5),
    (0.5, 300, 1.2, 21.2, 0.2),
    (0.9, 30, 6.3, 52.5, 20.9),
    (0.9, 100, 1.3, 49.7, 8.3),
    (0.9, 300, 0.5, 14.5, 0.0),
)


def exit_codes(replications: int, sizes: tuple[int, ...] = (30, 100, 300)) -> Iterator[Figure]:
    """The shipped CI defaults: 1, 3, then 5 repeats while undecided, then lean on the estimate."""
    fractions = tuple(repeats / REPEATS[-1] for repeats in REPEATS)
    for rho, n, *references in EXIT_CODES:
        if n not in sizes:
            continue
        for drop, reference in zip((0.0, 0.05, 0.10), references, strict=True):
            rng = np.random.default_rng((7200, n, round(100 * drop), round(10 * rho)))
            baseline, candidate = both_sides(rng, "bin", rho, (replications, n), drop)
            runs = [run(rng, "bin", rho, candidate) - run(rng, "bin", rho, baseline) for _ in range(REPEATS[-1])]
            evidence = [np.mean(runs[:repeats], axis=0) for repeats in REPEATS]
            outcomes, _ = looked_at(evidence, fractions, n)
            leans = (outcomes == UNDECIDED) & (evidence[-1].mean(axis=1) < -MARGIN - 1e-9)
            blocked = float(((outcomes == FAILED) | leans).mean() * 100)
            what = "exit not 0" if drop == 0 else "exit 0"
            measured = blocked if drop == 0 else 100 - blocked
            yield Figure(f"exit codes: rho {rho} n {n} drop {100 * drop:g}: {what}", measured, reference)


def hard_limits(
    replications: int, sizes: tuple[int, ...] = (30, 100, 300, 1000), repeats: tuple[int, ...] = (1, 3)
) -> Iterator[Figure]:
    for kind in ("bin", "jud"):
        for rho in (0.5, 0.9):
            for runs in repeats:
                for n in sizes:
                    for drop, outcome, most in ((0.0, FAILED, 3.5), (0.05, PASSED, 6.0), (0.10, PASSED, 1.0)):
                        rng = np.random.default_rng((7000, n, runs, round(100 * drop), round(10 * rho), kind == "bin"))
                        d = differences(rng, kind, rho, (replications, n), runs, drop)
                        what = "fail" if outcome == FAILED else "pass"
                        name = f"limits: {kind} rho {rho} R {runs} n {n} drop {100 * drop:g}: {what}"
                        yield Figure(name, share(judge(d, MARGIN, ALPHA, BLOCK), outcome), most=most)
                        yield Figure(f"{name}, early looks", share(over_cases(d, n)[0], outcome), most=most)


CELLS = (  # outcome, rho, R, n, drop, seed, pass, fail, early pass, early fail, calls %
    ("bin", 0.5, 1, 100, 0, 7006, 23.8, 1.1, 23.4, 1.1, 97.5),
    ("bin", 0.5, 1, 300, 0, 7011, 62.4, 1.3, 60.2, 1.1, 88.5),
    ("bin", 0.5, 1, 300, 5, 7014, 4.3, 38.2, 4.2, 37.4, 94.9),
    ("bin", 0.5, 1, 300, 10, 7015, 0.0, 90.8, 0.0, 90.3, 78.7),
    ("bin", 0.5, 3, 300, 0, 7031, 90.7, 1.7, 90.3, 1.6, 75.7),
    ("bin", 0.5, 3, 300, 5, 7034, 3.8, 69.0, 3.6, 67.7, 88.6),
    ("bin", 0.9, 1, 100, 0, 7046, 46.7, 0.8, 47.8, 0.7, 94.9),
    ("bin", 0.9, 1, 1000, 2, 7058, 94.8, 5.1, 93.9, 6.1, 70.2),
    ("bin", 0.9, 3, 300, 5, 7074, 3.7, 82.3, 4.0, 80.5, 84.9),
    ("jud", 0.5, 1, 100, 0, 7086, 48.3, 2.1, 45.6, 2.1, 94.4),
    ("jud", 0.5, 1, 300, 5, 7094, 2.7, 93.8, 2.6, 93.0, 80.4),
    ("jud", 0.9, 1, 100, 2, 7128, 29.7, 28.7, 26.9, 27.1, 97.1),
    ("jud", 0.9, 3, 100, 10, 7150, 0.0, 100.0, 0.0, 100.0, 40.7),
    ("jud", 0.9, 1, 1000, 5, 7139, 3.0, 97.0, 2.6, 97.4, 54.6),
)


def reference_cells(replications: int, largest: int = 1000) -> Iterator[Figure]:
    for kind, rho, repeats, n, drop, seed, *references in CELLS:
        if n > largest:
            continue
        d = differences(np.random.default_rng(seed), kind, rho, (replications, n), repeats, drop / 100)
        once, (early, used) = judge(d, MARGIN, ALPHA, BLOCK), over_cases(d, seed)
        measured = (
            share(once, PASSED),
            share(once, FAILED),
            share(early, PASSED),
            share(early, FAILED),
            100 * used.mean(),
        )
        names = ("pass", "fail", "early pass", "early fail", "calls used")
        for name, figure, reference in zip(names, measured, references, strict=True):
            yield Figure(f"cells: {kind} rho {rho} R {repeats} n {n} drop {drop}: {name}", float(figure), reference)


def concentrated(replications: int, sizes: tuple[int, ...] = (30, 60, 100, 300, 1000)) -> Iterator[Figure]:
    """No churn, some cases break completely, the mean drop is exactly the margin."""
    for kind in ("bin", "jud"):
        for rho in (0.5, 0.9):
            for repeats in (1, 3):
                for n in sizes:
                    rng = np.random.default_rng((7300, n, repeats, round(10 * rho), kind == "bin"))
                    shape = (replications, n)
                    d = differences(rng, kind, rho, shape, repeats, MARGIN, churn=0.0, breaks=True)
                    passes = plus_one(units(d), -1.0).lower(ALPHA) > -MARGIN
                    name = f"breakage: {kind} rho {rho} R {repeats} n {n}: pass"
                    yield Figure(name, float(passes.mean() * 100), most=6.0)


def clusters(replications: int) -> Iterator[Figure]:
    """Five cases per cluster, whole clusters break, the drop is exactly the margin."""
    for count in (20, 60, 200):
        rng = np.random.default_rng((11, count))
        means = case_means(rng, "bin", 0.9, (replications, count))
        broken = rng.random(means.shape) < MARGIN / MEAN_PASS_FAIL
        d = np.stack(
            [run(rng, "bin", 0.9, np.where(broken, 0.0, means)) - run(rng, "bin", 0.9, means) for _ in range(5)]
        )
        passes = plus_one(Units(d.sum(axis=0), np.full(count, 5.0)), -1.0).lower(ALPHA) > -MARGIN
        yield Figure(f"clusters: {count} of 5 cases: pass", float(passes.mean() * 100), most=6.0)


def pooled_repeats(replications: int) -> Iterator[Figure]:
    """A neutral change that re-draws 30 % of the cases must not look like a regression because of repeats."""
    d = differences(np.random.default_rng(7400), "bin", 0.9, (replications, 300), 5, 0.0, churn=0.30)
    yield Figure("repeats: 30 % churn, R 5, n 300: fail", share(judge(d, MARGIN, ALPHA, BLOCK), FAILED), most=3.0)


def many_rules(replications: int) -> Iterator[Figure]:
    """Six correlated metrics and ten slices, nothing changed: any rule failing blocks the gate."""
    rng = np.random.default_rng(7500)
    blocked = 0
    for suite in range(replications):
        common, own = rng.normal(size=(300, 1)), rng.normal(size=(300, 6))
        d = 0.3 * (0.5**0.5 * common + 0.5**0.5 * own)
        rules = [d[:, metric] for metric in range(6)] + [d[part : part + 30, 0] for part in range(0, 300, 30)]
        passes = [bool(plus_one(units(rule), -1.0).lower(ALPHA) > -MARGIN) for rule in rules]
        adjusted = holm([p_worse(rule, seed=suite) for rule in rules])
        blocked += any(p <= BLOCK and not passed for p, passed in zip(adjusted, passes, strict=True))
    yield Figure("sixteen rules, no change: the gate fails", 100 * blocked / replications, most=3.0)


class Votes(NamedTuple):
    """What a canary came to: whether each bound ever decided, the first decision, and votes used by then."""

    passed: bool
    failed: bool
    first: int
    votes: int


def canary_run(rng: Generator, phases: Sequence[tuple[int, float, float, float]], margin: float, every: int) -> Votes:
    """One canary; a phase is (votes, share of the candidate, its rate, the baseline's rate)."""
    sums, counts = np.zeros((2, len(phases))), np.zeros((2, len(phases)))
    smallest, first, used, seen = votes_before_a_decision(margin), UNDECIDED, 0, 0
    passed = failed = False
    for phase, (votes, candidate_share, rate_c, rate_b) in enumerate(phases):
        arms = (rng.random(votes) >= candidate_share).astype(int)
        good = rng.random(votes) < np.where(arms == 0, rate_c, rate_b)
        for start in range(0, votes, every):
            arm, vote = arms[start : start + every], good[start : start + every]
            counts[:, phase] += np.bincount(arm, minlength=2)
            sums[:, phase] += np.bincount(arm, vote, minlength=2)
            seen += arm.size
            if counts.sum(axis=1).min() < smallest:
                continue
            state = [
                (Arm(counts[0, i], sums[0, i], sums[0, i]), Arm(counts[1, i], sums[1, i], sums[1, i]))
                for i in range(len(phases))
            ]
            passes = canary(state, margin, ALPHA, "low") > -margin
            fails = canary(state, margin, BLOCK, "high") < 0
            passed, failed = passed or passes, failed or fails
            if first == UNDECIDED and (passes or fails):
                first, used = (PASSED if passes else FAILED), seen
    return Votes(passed, failed, first, used or seen)


def canaries(replications: int, drops: tuple[int, ...] = (0, 5, 10)) -> Iterator[Figure]:
    """Base rate 0.80, a fifth of the traffic, a look every 50 votes, 10,000 votes."""
    for drop in drops:
        rng = np.random.default_rng(9100 + drop)
        phases = [(10_000, 0.2, 0.80 - drop / 100, 0.80)]
        done = [canary_run(rng, phases, MARGIN, 50) for _ in range(replications)]
        passed, failed = (100 * float(np.mean([getattr(one, way) for one in done])) for way in ("passed", "failed"))
        name = f"canary: drop {drop}"
        if drop == 0:
            yield Figure(f"{name}: ever fail", failed, 0.4, most=2.0)
            yield Figure(f"{name}: ever pass", passed, 99.1, least=96.0)
        elif drop == 5:
            yield Figure(f"{name}: ever pass", passed, 3.1, most=6.0)
        else:
            yield Figure(f"{name}: decision is fail", share(np.array([one.first for one in done]), FAILED), least=99.0)
            # A mean number of votes, in hundreds so that it reads like the other figures.
            yield Figure(
                f"{name}: mean votes / 100", float(np.mean([one.votes for one in done])) / 100, 14.5, most=17.0
            )


def ramps(replications: int) -> Iterator[Figure]:
    """Nothing changed, but the share grows while satisfaction drifts down: pooling the phases would block half of it."""
    rng = np.random.default_rng(9300)
    phases = [(3000, 0.05, 0.85, 0.85), (3000, 0.25, 0.80, 0.80), (4000, 0.50, 0.75, 0.75)]
    failed = np.mean([canary_run(rng, phases, MARGIN, 50).failed for _ in range(replications)])
    yield Figure("ramp with drift, no change: ever fail", 100 * float(failed), 0.3, most=2.0)


PARTS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "exit-codes": exit_codes,
    "limits": hard_limits,
    "cells": reference_cells,
    "breakage": concentrated,
    "clusters": clusters,
    "repeats": pooled_repeats,
    "rules": many_rules,
    "canary": canaries,
    "ramp": ramps,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run: {', '.join(PARTS)}")
    given = parser.parse_args()
    wrong, started = 0, time.perf_counter()
    print(f"{'figure':64} {'measured':>9} {'reference':>10} {'limit':>8}")
    for part in given.only.split(","):
        for figure in PARTS[part](given.replications):
            held = figure.holds(given.replications)
            wrong += not held
            reference = "" if figure.reference is None else f"{figure.reference:.1f}"
            limit = f"<= {figure.most:g}" if figure.most is not None else f">= {figure.least:g}" if figure.least else ""
            mark = "" if held else "  OUT OF LIMIT"
            print(f"{figure.name:64} {figure.measured:9.1f} {reference:>10} {limit:>8}{mark}", flush=True)
    print(f"{given.replications} replications, {time.perf_counter() - started:.0f} s, {wrong} out of their limits")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
