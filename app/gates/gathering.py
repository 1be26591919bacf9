"""From the cells of runs to the evidence that `decide` reads. Loads numpy; import inside functions."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.gates.evidence import Case, Evidence, Look, Metric, Scores, Side
from app.gates.looks import Schedule
from app.runs.compare import EvidenceSide, RunEvidence


def gather(
    evidence: RunEvidence,
    schedule: Schedule,
    passed: frozenset[str],
    tries: int,
    now: datetime,
    *,
    approvals: Mapping[str, int] | None = None,
    fresh_baseline: bool = True,
) -> Evidence:
    """The evidence of a look. What an unreadable output scored is in the values; what infrastructure lost is missing."""
    pins = {"candidate": evidence.candidate.bundle, "dataset": evidence.dataset}
    if evidence.baseline is not None:
        pins["baseline"] = evidence.baseline.bundle
    return Evidence(
        cases=tuple(Case(case.id, case.cluster, case.tags, case.metadata) for case in evidence.cases),
        endpoints=evidence.endpoints,
        metrics={m.name: Metric(m.name, m.direction, m.low, m.high, m.judged, m.self_judged) for m in evidence.metrics},
        candidate=_side(evidence.candidate, now),
        baseline=None if evidence.baseline is None else _side(evidence.baseline, now, fresh_baseline),
        pins=pins,
        look=Look(schedule.number, schedule.fractions, passed),
        tries=tries,
        approvals=approvals,
    )


def differences(evidence: RunEvidence, metric: str) -> NDArray[np.float64]:
    """Candidate minus baseline per case on a scale of width 1, higher better; cases without a value on both sides left out.

    Empty when the metric is unknown or has no scale with two ends.
    """
    spec = next((m for m in evidence.metrics if m.name == metric), None)
    if spec is None or spec.high is None or evidence.baseline is None:
        return np.empty(0)
    sides = []
    for side in (evidence.candidate, evidence.baseline):
        with np.errstate(invalid="ignore"):
            values = np.stack([side.scores[metric, e].values for e in evidence.endpoints]).mean(axis=(0, 2))
        sides.append(values)
    d = (sides[0] - sides[1]) / (spec.high - spec.low)
    d = d[np.isfinite(d)]
    oriented: NDArray[np.float64] = d if spec.direction == "maximize" else -d
    return oriented


def _side(side: EvidenceSide, now: datetime, fresh: bool = True) -> Side:
    return Side(
        run=side.run,
        pins={"bundle": side.bundle, **side.pins},
        scores={
            key: Scores(
                values=found.values,
                passed=None if np.isnan(found.passed).all() else found.passed,
                skipped=found.skipped,
            )
            for key, found in side.scores.items()
        },
        planned=side.planned,
        finished=side.finished,
        age_s=None if side.oldest is None else max(0.0, (now - side.oldest).total_seconds()),
        fresh=fresh,
        failed=side.failed,
        cost_usd=side.cost_usd,
        latency_ms=side.latency_ms,
    )
