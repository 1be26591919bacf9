"""Two sides of runs beside each other: means, paired differences, flips; and the same cells as evidence for gates."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.errors import InvalidContentError
from app.runs import columns, store
from app.runs.cases import load
from app.runs.columns import Scores, of_cases
from app.runs.derived import reduced
from app.runs.errors import RunNotFoundError
from app.runs.schemas import NANO, Comparison, Flip, PairedMetric
from app.runs.spec import Case, Metric
from app.runs.store import Loaded
from app.runs.summary import CONFIDENCE, bounds_of, groups
from app.runs.tables import AnswerRow, RunCellRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANY, FLIPS_OF_MANY = 20_000, 1_999
"""Of more than so many cases a p-value is made with a fifth of the flips: each takes as long as there are cases."""


class Side(NamedTuple):
    """A candidate (all its variants) or one variant of a run."""

    run: Loaded
    id: str
    variants: list[int]

    @property
    def run_id(self) -> str:
        return self.run.row.id

    def endpoint(self, number: int) -> str:
        return self.run.spec.variants[number].endpoint_name


@dataclass(frozen=True)
class CaseInfo:
    id: str
    cluster: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class EvidenceSide:
    """One side's cells. Arrays are [cases, repeats] in the order of `RunEvidence.cases`, keyed by endpoint."""

    run: str
    bundle: str
    pins: dict[str, str]
    planned: int
    finished: int
    oldest: datetime | None
    scores: dict[tuple[str, str], Scores]
    failed: dict[str, "NDArray[np.float64]"]
    cost_usd: dict[str, "NDArray[np.float64]"]
    latency_ms: dict[str, "NDArray[np.float64]"]


@dataclass(frozen=True)
class RunEvidence:
    """What a gate judges by. `name` is the candidate's prompt, `dataset` the digest of the data."""

    name: str
    dataset: str
    repeats: int
    cases: list[CaseInfo]
    endpoints: tuple[str, ...]
    metrics: list[Metric]
    candidate: EvidenceSide
    baseline: EvidenceSide | None


async def side(
    session: AsyncSession, project_id: str, given: str, run_id: str | None = None, pointer: str = ""
) -> Side:
    """`<run>/<id>`, or an id of `run_id`: a candidate or a variant. Raises naming what the run has."""
    name = given
    if given.startswith("run_"):
        run_id, _, name = given.partition("/")
    if run_id is None:
        raise InvalidContentError.at(pointer, f"{given!r} names no run; write <run>/<id>, such as run_…/c1")
    loaded = await load(session, project_id, run_id)
    if loaded is None:
        raise RunNotFoundError(f"there is no run {run_id!r}")
    variants = loaded.spec.of(name)
    if not variants:
        known = ", ".join([*loaded.spec.candidates, *(v.id for v in loaded.spec.variants)])
        raise InvalidContentError.at(pointer, f"run {run_id} has no {name!r}; it has {known}")
    return Side(loaded, name, variants)


def pairs(candidate: Side, baseline: Side) -> list[tuple[int, int]]:
    """Variants paired by endpoint; two single variants are paired whatever their endpoints."""
    if len(candidate.variants) == len(baseline.variants) == 1:
        return [(candidate.variants[0], baseline.variants[0])]
    by_endpoint = {baseline.endpoint(n): n for n in baseline.variants}
    found = [
        (n, by_endpoint[candidate.endpoint(n)]) for n in candidate.variants if candidate.endpoint(n) in by_endpoint
    ]
    if not found:
        raise InvalidContentError(
            f"{candidate.id} and {baseline.id} share no endpoint; compare two variants to pair them by case alone"
        )
    return found


async def comparison(session: AsyncSession, candidate: Side, baseline: Side) -> Comparison:
    """Paired by case, per metric and per tag; with the cases that changed sides."""
    paired = pairs(candidate, baseline)
    order = _common_cases(candidate.run, baseline.run)
    cases = [candidate.run.cases[c] for c, _ in order]
    known = {metric.name: n for n, metric in enumerate(baseline.run.spec.metrics)}
    metrics: list[PairedMetric] = []
    flips: list[Flip] = []
    for number, metric in enumerate(candidate.run.spec.metrics):
        if metric.name not in known:
            continue
        both = []
        for c, b in paired:
            ours = _reduced(metric, await scores(session, candidate.run, c, number), [i for i, _ in order])
            theirs = _reduced(metric, await scores(session, baseline.run, b, known[metric.name]), [i for _, i in order])
            both.append((ours, theirs))
            ids = [case.id for case in cases]
            names = (candidate.run.spec.variants[c].id, baseline.run.spec.variants[b].id)
            flips += _flips(metric.name, ids, ours, theirs, names)
        seed = _seed(candidate, baseline, metric.name)
        metrics += await asyncio.to_thread(_compared, metric.of_cases, both, cases, seed)
    names_of = [(candidate.run.spec.variants[c].id, baseline.run.spec.variants[b].id) for c, b in paired]
    return Comparison(candidate.id, baseline.id, metrics, flips, names_of)


async def scores(
    session: AsyncSession, run: Loaded, variant_no: int, metric_no: int, some: Sequence[int] | None = None
) -> Scores:
    """All scores of a metric of a variant, or those of `some` cases, in their order."""
    shape = (len(run.cases), run.spec.repeats)
    return await columns.scores(session, run.row.project_id, run.row.id, variant_no, metric_no, shape, some)


def _reduced(metric: Metric, found: Scores, order: Sequence[int]) -> Scores:
    """The cases in another order, with their repeats as this metric counts them."""
    return _counted(metric, of_cases(found, order))


def _counted(metric: Metric, found: Scores) -> Scores:
    return Scores(*reduced(metric, found.values, found.passed), found.skipped)


def _common_cases(candidate: Loaded, baseline: Loaded) -> list[tuple[int, int]]:
    place = {case.id: n for n, case in enumerate(baseline.cases)}
    return [(n, place[case.id]) for n, case in enumerate(candidate.cases) if case.id in place]


def _compared(
    metric: Metric, both: Sequence[tuple[Scores, Scores]], cases: Sequence[Case], seed: int
) -> list[PairedMetric]:
    import numpy as np

    ours = _mean([_mean_of_repeats(c.values) for c, _ in both])
    theirs = _mean([_mean_of_repeats(b.values) for _, b in both])
    members: dict[str, list[int]] = {}
    for n, case in enumerate(cases):
        for tag in case.tags:
            members.setdefault(tag, []).append(n)
    clusters = [case.cluster for case in cases]
    single = len(both) == 1 and both[0][0].values.shape[1] == both[0][1].values.shape[1] == 1
    found = [_paired(metric, None, ours, theirs, clusters, seed, single)]
    for tag, numbers in sorted(members.items()):
        where = np.asarray(numbers)
        some = [clusters[n] for n in numbers]
        found.append(_paired(metric, tag, ours[where], theirs[where], some, seed, single))
    return found


def _paired(
    metric: Metric,
    slice_: str | None,
    ours: "NDArray[np.float64]",
    theirs: "NDArray[np.float64]",
    clusters: Sequence[str | None],
    seed: int,
    single: bool,
) -> PairedMetric:
    import numpy as np

    from app.stats.paired import FLIPS, mcnemar, p_worse

    kept = np.isfinite(ours) & np.isfinite(theirs)
    c, b = ours[kept], theirs[kept]
    d, n = c - b, int(kept.sum())
    alike = groups(clusters, kept)
    width = None if metric.high is None else metric.high - metric.low
    low, high = bounds_of(d, None if width is None else (-width, width), alike)
    p = p_mcnemar = None
    if n >= 2:
        flips = FLIPS if n <= MANY else FLIPS_OF_MANY
        p = p_worse(d if metric.direction == "maximize" else -d, alike, seed=seed, flips=flips)
    if metric.binary and single and n and np.isin(c, (0, 1)).all() and np.isin(b, (0, 1)).all():
        p_mcnemar = mcnemar(int(((c == 1) & (b == 0)).sum()), int(((c == 0) & (b == 1)).sum()))
    return PairedMetric(
        metric=metric.name,
        slice=slice_,
        n=n,
        candidate=float(c.mean()) if n else None,
        baseline=float(b.mean()) if n else None,
        difference=float(d.mean()) if n else None,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        p_worse=p,
        p_mcnemar=p_mcnemar,
    )


def _flips(metric: str, ids: Sequence[str], ours: Scores, theirs: Scores, names: tuple[str, str]) -> list[Flip]:
    """Cases where most repeats pass on one side and not on the other."""
    to, from_ = _mean_of_repeats(ours.values), _mean_of_repeats(theirs.values)
    return [Flip(ids[n], metric, float(from_[n]), float(to[n]), *names) for n in _changed(ours, theirs)]


def changed_sides(metric: Metric, ours: Scores, theirs: Scores) -> list[int]:
    """The positions of cases that `_flips` names, of scores as they are stored."""
    return _changed(_counted(metric, ours), _counted(metric, theirs))


def _changed(ours: Scores, theirs: Scores) -> list[int]:
    import numpy as np

    good, before = _mean_of_repeats(ours.passed), _mean_of_repeats(theirs.passed)
    changed = np.isfinite(good) & np.isfinite(before) & ((good >= 0.5) != (before >= 0.5))
    return np.flatnonzero(changed).tolist()


def _mean_of_repeats(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    counts = np.isfinite(values).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = np.where(counts > 0, np.nansum(values, axis=1) / np.maximum(counts, 1), np.nan)
    return means


def _mean(columns: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
    import numpy as np

    return columns[0] if len(columns) == 1 else _mean_of_repeats(np.stack(columns, axis=1))


def _seed(candidate: Side, baseline: Side, metric: str) -> int:
    text = f"{candidate.run.spec.dataset_digest} {candidate.id} {baseline.id} {metric}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


async def evidence(session: AsyncSession, candidate: Side, baseline: Side | None, cases: list[CaseInfo]) -> RunEvidence:
    """Both sides' cells. The cases are the candidate's; one that the baseline lacks is missing there."""
    paired = pairs(candidate, baseline) if baseline is not None else [(n, -1) for n in candidate.variants]
    labels = tuple(candidate.endpoint(c) for c, _ in paired)
    own = await _evidence_side(session, candidate, [c for c, _ in paired], labels, list(range(len(cases))))
    other = None
    if baseline is not None:
        place = {case.id: n for n, case in enumerate(baseline.run.cases)}
        order = [place.get(case.id, -1) for case in candidate.run.cases]
        other = await _evidence_side(session, baseline, [b for _, b in paired], labels, order)
    spec = candidate.run.spec
    first = spec.variants[candidate.variants[0]]
    return RunEvidence(
        name=first.prompt.partition("@")[0] if not first.prompt.startswith("sha256:") else first.prompt,
        dataset=spec.dataset_digest,
        repeats=spec.repeats,
        cases=cases,
        endpoints=labels,
        metrics=[metric.of_cases for metric in spec.metrics],
        candidate=own,
        baseline=other,
    )


async def _evidence_side(
    session: AsyncSession, chosen: Side, variants: Sequence[int], labels: Sequence[str], order: Sequence[int]
) -> EvidenceSide:
    import numpy as np

    run, spec = chosen.run, chosen.run.spec
    found: dict[tuple[str, str], Scores] = {}
    failed: dict[str, NDArray[np.float64]] = {}
    cost: dict[str, NDArray[np.float64]] = {}
    latency: dict[str, NDArray[np.float64]] = {}
    index = np.asarray(order, dtype=int)
    for number, label in zip(variants, labels, strict=True):
        for metric_no, metric in enumerate(spec.metrics):
            found[metric.name, label] = _reduced(metric, await scores(session, run, number, metric_no), order)
        cells = await _cells(session, run, number)
        for target, values in zip((failed, cost, latency), cells, strict=True):
            target[label] = np.where((index >= 0)[:, None], values[index], np.nan)
    counters = [
        row for row in await store.counters(session, run.row.project_id, run.row.id) if row.variant_no in variants
    ]
    total = store.total(counters)
    oldest = await session.scalar(
        select(func.min(col(AnswerRow.created_at)))
        .join(
            RunCellRow,
            (col(RunCellRow.project_id) == AnswerRow.project_id) & (col(RunCellRow.cell_key) == AnswerRow.cell_key),
        )
        .where(
            col(RunCellRow.project_id) == run.row.project_id,
            col(RunCellRow.run_id) == run.row.id,
            col(RunCellRow.variant_no).in_(list(variants)),
        )
    )
    bundles = [spec.variants[n].bundle for n in variants]
    return EvidenceSide(
        run=run.row.id,
        bundle=bundle_of(bundles),
        pins={"dataset": spec.dataset_digest, **{f"scorer/{m.name}": m.pin for m in spec.metrics}},
        planned=total.planned,
        finished=total.cached + total.answered + total.failed + total.errored,
        oldest=oldest,
        scores=found,
        failed=failed,
        cost_usd=cost,
        latency_ms=latency,
    )


async def _cells(session: AsyncSession, run: Loaded, variant_no: int) -> "tuple[Any, Any, Any]":
    """Per cell: 1 where the model failed and 0 where it answered (NaN: infrastructure), cost in dollars, latency in ms."""
    import numpy as np

    query = (
        select(
            col(RunCellRow.case_no), col(RunCellRow.repeat), col(AnswerRow.status), col(AnswerRow.cost_nano), col(AnswerRow.latency_ms)
        )
        .join(
            AnswerRow,
            (col(AnswerRow.project_id) == RunCellRow.project_id) & (col(AnswerRow.cell_key) == RunCellRow.cell_key),
        )
        .where(
            col(RunCellRow.project_id) == run.row.project_id,
            col(RunCellRow.run_id) == run.row.id,
            col(RunCellRow.variant_no) == variant_no,
            col(RunCellRow.status).in_(["cached", "answered", "failed"]),
        )
    )  # fmt: skip
    shape = (len(run.cases), run.spec.repeats)
    failed, cost, latency = (np.full(shape, np.nan) for _ in range(3))
    if rows := (await session.execute(query)).all():
        case_no, repeat, status, nano, ms = zip(*rows, strict=True)
        where = (list(case_no), list(repeat))
        failed[where] = [float(s == "failed") for s in status]
        cost[where] = [np.nan if v is None else v / NANO for v in nano]
        latency[where] = [np.nan if v is None else v for v in ms]
    return failed, cost, latency


def bundle_of(bundles: Sequence[str]) -> str:
    """What a candidate is: the digest of its one bundle, or one over those of all its endpoints."""
    from app.kit.digests import digest

    return bundles[0] if len(set(bundles)) == 1 else digest(sorted(bundles))
