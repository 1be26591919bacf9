"""The figures of a calibration, and how they moved since the one before. Pure; loads numpy and scipy when called."""

from collections.abc import Sequence
from typing import NamedTuple

from app.calibration.pairs import Pair, Verdicts
from app.calibration.schemas import Drift, Figures, Table
from evaluators.metrics.agreement import Level, accuracy, corrected_rate, krippendorff_alpha, rates
from evaluators.metrics.confusion import confusion
from evaluators.metrics.correlation import Method, correlation
from evaluators.metrics.estimate import Estimate
from evaluators.metrics.kappa import Weighting, cohen_kappa, kappa_difference
from evaluators.metrics.resampling import Sampling


class Earlier(NamedTuple):
    """The calibration before, with its digests."""

    id: str
    rubric_digest: str
    judge_digest: str
    pairs: list[Pair]


def figures(pairs: Sequence[Pair], verdicts: Verdicts, threshold: float, seed: int) -> Figures:
    """How far people and judge agree on these answers."""
    judged = [pair for pair in pairs if pair.judge is not None]
    human, judge = [pair.human for pair in judged], [pair.judge or "" for pair in judged]
    sampling = _sampling(judged, seed)
    scores = {verdict: verdicts.score(verdict) for verdict in {*human, *judge, *(verdicts.order or ())}}
    ours, theirs = [scores[v] for v in human], [scores[v] for v in judge]
    good, said = [v >= threshold for v in ours], [v >= threshold for v in theirs]
    weighting: Weighting = "quadratic" if verdicts.ordered else "none"
    level: Level = "interval" if verdicts.interval else "ordinal" if verdicts.ordered else "nominal"
    both = rates(good, said, sampling)
    rated: list[list[float] | list[str]] = [ours, theirs] if verdicts.ordered else [human, judge]
    table = confusion(human, judge, verdicts.order or sorted(scores, key=lambda v: scores[v]))
    judge_rate = _rate(said, judged)
    corrected = None
    if judge_rate is not None and both.tpr.value is not None and both.tnr.value is not None:
        corrected = corrected_rate(judge_rate, both.tpr.value, both.tnr.value)
    return Figures(
        n=len(judged),
        unjudged=len(pairs) - len(judged),
        accuracy=accuracy(human, judge, sampling),
        tpr=both.tpr,
        tnr=both.tnr,
        kappa=cohen_kappa(human, judge, weighting=weighting, scores=scores, sampling=sampling),
        weighting=weighting,
        alpha=krippendorff_alpha(rated, level=level, sampling=sampling),
        level=level,
        pearson=_correlation("pearson", ours, theirs, sampling),
        spearman=_correlation("spearman", ours, theirs, sampling),
        kendall=_correlation("kendall", ours, theirs, sampling),
        confusion=Table(table.labels, table.counts),
        human_rate=_rate(good, judged),
        judge_rate=judge_rate,
        corrected_rate=corrected,
    )


def drift(earlier: Earlier, pairs: Sequence[Pair], rubric: str, judge: str, verdicts: Verdicts, seed: int) -> Drift:
    """Kappa on the answers that both calibrations judged, by the labels that people give them now.

    `rubric` and `judge` are digests. A verdict that the rubric does not know any more is none.
    """
    before = {pair.id: pair.judge for pair in earlier.pairs}
    common = []
    for pair in pairs:
        if pair.judge is not None and (was := before.get(pair.id)) is not None and _known(verdicts, was):
            common.append((pair, was))
    kept = [pair for pair, _ in common]
    human, now, then = [p.human for p in kept], [p.judge or "" for p in kept], [was for _, was in common]
    scores = {verdict: verdicts.score(verdict) for verdict in {*human, *now, *then}}
    sampling = _sampling(kept, seed)
    weighting: Weighting = "quadratic" if verdicts.ordered else "none"
    changed = [
        name
        for name, old, new in (("rubric", earlier.rubric_digest, rubric), ("judge", earlier.judge_digest, judge))
        if old != new
    ]
    kappas = [cohen_kappa(human, each, weighting=weighting, scores=scores, sampling=sampling) for each in (then, now)]
    difference = kappa_difference(human, then, now, weighting=weighting, scores=scores, sampling=sampling)
    return Drift(earlier.id, changed, len(common), kappas[0].value, kappas[1].value, difference)  # type: ignore[arg-type]


def _known(verdicts: Verdicts, verdict: str) -> bool:
    try:
        return verdicts.read(verdict) == verdict
    except ValueError:
        return False


def _sampling(pairs: Sequence[Pair], seed: int) -> Sampling:
    weights, clusters = [pair.weight for pair in pairs], [pair.cluster for pair in pairs]
    return Sampling(
        weights=weights if len(set(weights)) > 1 else None,
        clusters=clusters if any(cluster is not None for cluster in clusters) else None,
        seed=seed,
    )


def _correlation(method: Method, ours: list[float], theirs: list[float], sampling: Sampling) -> Estimate:
    return correlation(ours, theirs, method, weights=sampling.weights, clusters=sampling.clusters, seed=sampling.seed)


def _rate(positive: Sequence[bool], pairs: Sequence[Pair]) -> float | None:
    total = sum(pair.weight for pair in pairs)
    return sum(pair.weight for pair, good in zip(pairs, positive, strict=True) if good) / total if total else None
