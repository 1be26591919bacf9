"""The same content on the same cases, asked again and again: has what stands behind an endpoint's name changed?"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.monitoring.schemas import Against, Drift, Moved, Sample, Series
from app.runs import history
from app.runs.compare import RunEvidence
from app.runs.history import Past, PastVariant
from app.runs.service import Runs
from app.runs.spec import Metric
from app.runs.summary import bounds_of, groups

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_RUNS = 200
MOST_SERIES = 20
ALPHA = 0.05


class _Point(msgspec.Struct, frozen=True):
    run: Past
    one: PastVariant

    @property
    def side(self) -> str:
        return f"{self.run.id}/{self.one.variant.id}"


async def drift(session: AsyncSession, runs: Runs, project_id: str, suite: str, endpoint: str | None) -> Drift:
    """Every series of the suite's fresh runs, of one endpoint or of all, the one that ran last first."""
    found = await history.of_suite(session, project_id, suite, MOST_RUNS + 1, fresh=True)
    complete, found = len(found) <= MOST_RUNS, found[:MOST_RUNS]
    by_content: dict[tuple[object, ...], list[_Point]] = {}
    for run in reversed(found):
        for one in run.variants:
            if endpoint in (None, one.variant.endpoint_name):
                spec = run.spec
                key = (one.variant.endpoint_name, one.variant.bundle, spec.dataset_digest, spec.cases, spec.max_cases)
                by_content.setdefault(key, []).append(_Point(run, one))
    newest_first = sorted(by_content.values(), key=lambda points: points[-1].run.id, reverse=True)
    series = [await _series(session, runs, project_id, points) for points in newest_first[:MOST_SERIES]]
    return Drift(
        suite=suite,
        endpoint=endpoint,
        drifted=any(one.changed for one in series),
        series=series,
        complete=complete and len(newest_first) <= MOST_SERIES,
    )


async def _series(session: AsyncSession, runs: Runs, project_id: str, points: Sequence[_Point]) -> Series:
    latest, look = points[-1], len(points) - 1
    level = ALPHA if look == 0 else ALPHA / (look * (look + 1))
    earlier: list[tuple[Literal["first", "previous"], _Point]] = []
    if look:
        earlier.append(("first", points[0]))
    if look > 1:
        earlier.append(("previous", points[-2]))
    against = [await _against(session, runs, project_id, latest, what, point, level) for what, point in earlier]
    against = _adjusted(against, level)
    variant = latest.one.variant
    return Series(
        prompt=variant.prompt,
        endpoint=variant.endpoint_name,
        bundle=variant.bundle,
        dataset=latest.run.spec.dataset_digest,
        cases=latest.run.spec.cases,
        samples=[Sample(p.run.id, p.run.at, {name: m.mean for name, m in p.one.metrics.items()}) for p in points],
        look=look,
        level=level,
        against=against,
        changed=list(_changes(against, level)),
    )


async def _against(
    session: AsyncSession,
    runs: Runs,
    project_id: str,
    latest: _Point,
    what: Literal["first", "previous"],
    point: _Point,
    level: float,
) -> Against:
    before = await history.models(session, project_id, point.run.id, point.one.number)
    now = await history.models(session, project_id, latest.run.id, latest.one.number)
    evidence = await runs.evidence(session, project_id, latest.side, point.side)
    pins = {metric.name: metric.pin for metric in point.run.spec.metrics}
    # A score by another definition of the scorer would move without any answer having changed.
    same = [m for m in latest.run.spec.metrics if m.high is not None and pins.get(m.name) == m.pin]
    metrics = await asyncio.to_thread(_moved, evidence, [m.of_cases for m in same], level)
    return Against(
        what=what,
        run=point.run.id,
        at=point.run.at,
        models_before=before,
        models_now=now,
        model_changed=bool(before) and bool(now) and before != now,
        metrics=metrics,
    )


def _moved(evidence: RunEvidence, metrics: Sequence[Metric], level: float) -> list[Moved]:
    import numpy as np

    label = evidence.endpoints[0]
    clusters = [case.cluster for case in evidence.cases]
    found = []
    for metric in metrics:
        if evidence.baseline is None:
            continue
        ours = _per_case(evidence.candidate.scores[metric.name, label].values)
        theirs = _per_case(evidence.baseline.scores[metric.name, label].values)
        there = np.isfinite(ours) & np.isfinite(theirs)
        now, before = ours[there], theirs[there]
        d, n = now - before, int(there.sum())
        width = (metric.high or 0.0) - metric.low
        alike = groups(clusters, there)
        low, high = bounds_of(d, (-width, width), alike)
        found.append(
            Moved(
                metric=metric.name,
                n=n,
                before=float(before.mean()) if n else None,
                now=float(now.mean()) if n else None,
                difference=float(d.mean()) if n else None,
                low=low,
                high=high,
                p=_two_sided(d, alike, level) if n >= 2 else None,
                adjusted=None,
                changed=False,
            )
        )
    return found


def _two_sided(d: "NDArray[np.float64]", alike: "NDArray[np.int64] | None", level: float) -> float:
    """Of a difference in either direction: by flipping signs, or by Student's t at levels that flips cannot resolve."""
    from app.stats.paired import FINEST_FLIP_LEVEL, p_worse, p_worse_t

    if not d.any():
        return 1.0
    test = p_worse if level / 2 >= FINEST_FLIP_LEVEL else p_worse_t
    return float(min(1.0, 2 * min(test(d, alike), test(-d, alike))))


def _per_case(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    counts = np.isfinite(values).sum(axis=1)
    means: NDArray[np.float64] = np.where(counts > 0, np.nansum(values, axis=1) / np.maximum(counts, 1), np.nan)
    return means


def _adjusted(against: Sequence[Against], level: float) -> list[Against]:
    """Holm over every comparison of this look."""
    from app.stats.paired import holm

    raw = [m.p for one in against for m in one.metrics if m.p is not None]
    corrected = iter(holm(raw).tolist()) if raw else iter(())
    found = []
    for one in against:
        metrics = []
        for metric in one.metrics:
            if metric.p is not None:
                adjusted = next(corrected)
                metric = msgspec.structs.replace(metric, adjusted=adjusted, changed=adjusted <= level)
            metrics.append(metric)
        found.append(msgspec.structs.replace(one, metrics=metrics))
    return found


def _changes(against: Sequence[Against], level: float) -> Iterator[str]:
    for one in against:
        if one.model_changed:
            names = f"{', '.join(one.models_before)} to {', '.join(one.models_now)}"
            yield f"since the {one.what} run ({one.run}) the model that answers changed from {names}"
        for metric in one.metrics:
            if metric.changed:
                yield (
                    f"since the {one.what} run ({one.run}) {metric.metric} went from {metric.before:.3f} to "
                    f"{metric.now:.3f} (p {metric.adjusted:.2g}, level {level:.2g})"
                )
