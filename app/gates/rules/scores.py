"""Rules on scores: no_regression, improvement, floor, and the rate of the candidate's own errors."""

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, isfinite
from typing import NamedTuple

import numpy as np

from app.gates.evidence import Array, Flags, Metric
from app.gates.rules.finding import Finding, Setting, Test, too_few, too_many_lost
from app.gates.samples import ERRORS, Codes, Sample, UnusableError, spread
from app.gates.schemas import Needed
from app.registry.kinds.gate_policy import Rule
from app.stats.estimates import mean_se, plus_one, units
from app.stats.paired import FINEST_FLIP_LEVEL, p_worse, p_worse_t
from app.stats.planning import Runs, plan

# An estimate counts as beyond a limit when it is so by more than rounding, in widths of the scale.
_CLOSE = 1e-9


class _Scale(NamedTuple):
    """The ends of the oriented values, where higher is better."""

    worst: float
    best: float

    @property
    def width(self) -> float:
        return self.best - self.worst


def compared(
    setting: Setting, rule: Rule, endpoints: tuple[str, ...], finding: Finding, members: Flags, fewest: int
) -> Finding:
    """no_regression, improvement or floor, on the cases of `members`."""
    metric = setting.evidence.metrics.get(rule.metric or "")
    if metric is None:
        return finding.settle("inconclusive", f"the evidence has no metric {rule.metric}", "unmet")
    if rule.kind != "floor" and setting.evidence.baseline is None:
        return finding.settle("not_applicable", "nothing is live to compare with")
    measure = setting.samples.level if rule.kind == "floor" else setting.samples.difference
    try:
        sample = measure(metric, endpoints, members)
    except UnusableError as error:
        return finding.settle("inconclusive", str(error), "unmet")
    finding.count(sample)
    if too_many_lost(setting, finding, sample) or too_few(finding, sample, fewest):
        return finding
    if metric.self_judged:
        finding.notes.append(f"{metric.name} is judged by a model under test; models prefer their own answers")
    if metric.judge and not rule.accept_uncalibrated:
        finding.may_pass = False
        finding.notes.append(f"{metric.name} is a judge without calibration against human labels: it may block only")
    elif metric.judge:
        finding.notes.append(f"{metric.name} is a judge without calibration, accepted by the policy")
    if rule.no_regression is not None:
        return _difference(setting, finding, sample, metric, rule.no_regression.margin, -rule.no_regression.margin)
    if rule.improvement is not None:
        return _difference(setting, finding, sample, metric, rule.improvement.at_least, rule.improvement.at_least)
    return _floor(setting, finding, sample, metric, rule.floor or 0.0)


def errors(setting: Setting, most: float, endpoints: tuple[str, ...], finding: Finding) -> Iterator[Finding]:
    """Rate of runs that the candidate failed itself, and as a report how far it is from the baseline's."""
    everything = np.ones(len(setting.evidence.cases), dtype=bool)
    finding.metric = ERRORS.name
    change = replace(finding, id=f"{finding.id}/change", rule="no_regression", strength="report", notes=[])
    try:
        sample = setting.samples.level(ERRORS, endpoints, everything)
    except UnusableError as error:
        yield finding.settle("inconclusive", str(error), "unmet")
        return
    finding.count(sample)
    if not too_many_lost(setting, finding, sample) and not too_few(finding, sample, fewest=2):
        _floor(setting, finding, sample, ERRORS, most)
    yield finding
    try:
        sample = setting.samples.difference(ERRORS, endpoints, everything)
    except UnusableError:
        return  # nothing was recorded to compare with, and a report demands nothing
    change.count(sample)
    if not too_many_lost(setting, change, sample) and not too_few(change, sample, fewest=2):
        _difference(setting, change, sample, ERRORS, most, -most)
    yield change


def _difference(
    setting: Setting, finding: Finding, sample: Sample, metric: Metric, target: float, limit: float
) -> Finding:
    """Candidate minus baseline against `limit` (-margin, or the gain asked for)."""
    finding.target = target
    scale = _scale(metric)
    if scale is None:
        return _unbounded(setting, finding, sample, limit)
    width = finding.width = scale.width
    if target >= width:
        message = f"{target:g} is as wide as the whole scale of {metric.name}: the rule could never decide anything"
        return finding.settle("inconclusive", message, "unmet")
    differences = _Scale(-width, width)
    estimate = _bounds(setting, finding, sample, differences, limit)
    finding.test = _difference_test(setting, sample.values, sample.groups, width, limit)
    if sample.filled is not None:
        finding.filled = _difference_test(setting, sample.filled, sample.filled_groups, width, limit)
    if not finding.test.passes:
        # A no_regression is planned for the case that nothing changed, an improvement for the gain that was seen.
        assumed = 0.0 if limit < 0 else estimate
        finding.needed = _needed(setting, finding, sample, assumed - limit, width + max(assumed, 0.0))
    return finding


def _difference_test(setting: Setting, values: Array, groups: Codes | None, width: float, limit: float) -> Test:
    sample = units(values, groups)

    def p(level: float) -> tuple[float, str]:
        if limit >= 0:
            return float(plus_one(sample, width).below(limit)), "plus-one t"
        if level < FINEST_FLIP_LEVEL:
            return p_worse_t(values, groups), "t"
        return p_worse(values, groups, setting.seed), "sign-flip"

    return Test(bool(plus_one(sample, -width).lower(setting.alpha) > limit), p)


def _unbounded(setting: Setting, finding: Finding, sample: Sample, limit: float) -> Finding:
    """A scale without ends has no worst case: such a rule may be shown broken, never shown to hold."""
    if finding.strength == "prove" or limit >= 0:
        message = f"{finding.metric} declares no range: nothing can be proven about it"
        return finding.settle("inconclusive", message, "unmet")
    finding.estimate = float(mean_se(units(sample.values, sample.groups)).mean)
    finding.beyond = finding.estimate < limit

    def p(level: float) -> tuple[float, str]:
        if level < FINEST_FLIP_LEVEL:
            return p_worse_t(sample.values, sample.groups), "t"
        return p_worse(sample.values, sample.groups, setting.seed), "sign-flip"

    finding.test, finding.may_pass = Test(passes=False, p=p), False
    finding.notes.append(f"{finding.metric} declares no range: it may block, not prove")
    return finding


def _floor(setting: Setting, finding: Finding, sample: Sample, metric: Metric, target: float) -> Finding:
    """The candidate's mean against the worst value that is acceptable (an upper limit for metrics to minimise)."""
    finding.target = target
    scale = _scale(metric)
    if scale is None:
        return finding.settle(
            "inconclusive", f"{metric.name} declares no range: nothing can be proven about it", "unmet"
        )
    finding.width = scale.width
    minimize = metric.direction == "minimize"
    limit = -target if minimize else target
    if not scale.worst < limit <= scale.best:
        message = f"a floor of {target:g} is not within the scale of {metric.name}: it can decide nothing"
        return finding.settle("inconclusive", message, "unmet")
    _judge_level(setting, finding, sample, scale, limit)
    return _mirror(finding) if minimize else finding


def _judge_level(setting: Setting, finding: Finding, sample: Sample, scale: _Scale, limit: float) -> None:
    estimate = _bounds(setting, finding, sample, scale, limit)
    finding.test = _level_test(setting, sample.values, sample.groups, scale, limit)
    if sample.filled is not None:
        finding.filled = _level_test(setting, sample.filled, sample.filled_groups, scale, limit)
    if not finding.test.passes:
        finding.needed = _needed(setting, finding, sample, estimate - limit, estimate - scale.worst)


def _level_test(setting: Setting, values: Array, groups: Codes | None, scale: _Scale, limit: float) -> Test:
    sample = units(values, groups)
    p = float(plus_one(sample, scale.best).below(limit))
    return Test(bool(plus_one(sample, scale.worst).lower(setting.alpha) >= limit), lambda _: (p, "plus-one t"))


def _bounds(setting: Setting, finding: Finding, sample: Sample, scale: _Scale, limit: float) -> float:
    """Fill in the estimate and its plus-one bounds, none beyond the ends of the scale; returns the estimate."""
    these = units(sample.values, sample.groups)
    down, up = plus_one(these, scale.worst), plus_one(these, scale.best)
    estimate = float(these.sums.sum() / these.sizes.sum())
    finding.estimate = estimate
    finding.low = max(float(down.lower(setting.alpha)), scale.worst)
    finding.high = min(float(up.upper(setting.alpha)), scale.best)
    finding.assurance = float(down.below(limit))
    finding.beyond = estimate < limit - _CLOSE * scale.width
    return estimate


def _needed(setting: Setting, finding: Finding, sample: Sample, distance: float, worst: float) -> Needed:
    """More cases or repeats, unless the estimate itself is on the wrong side: then more data is unlikely to help."""
    provable = None
    if finding.rule == "no_regression" and finding.low is not None:
        provable = max(-finding.low, 0.0)
    if finding.beyond or distance <= 0:
        return Needed(provable_margin=provable)
    sd, count, size = spread(sample.values, sample.groups)
    runs = sample.runs and Runs(sample.runs.within / size, sample.runs.noise / size, sample.runs.repeats)
    advice = plan(sd, distance, count, 1 - setting.policy.confidence.pass_, worst, runs)
    more = None if advice.units is None else max(1, ceil((advice.units - count) * size))
    return Needed(cases=more, repeats=advice.repeats, provable_margin=provable)


def _mirror(finding: Finding) -> Finding:
    """Turn oriented amounts of a metric to minimise back into plain ones."""
    if finding.estimate is not None and finding.low is not None and finding.high is not None:
        # Adding zero spares the reader a -0.
        finding.estimate = 0.0 - finding.estimate
        finding.low, finding.high = 0.0 - finding.high, 0.0 - finding.low
    return finding


def _scale(metric: Metric) -> _Scale | None:
    """The oriented scale; None when an end is missing."""
    if metric.low is None or metric.high is None or not isfinite(metric.high - metric.low):
        return None
    return _Scale(metric.low, metric.high) if metric.direction == "maximize" else _Scale(-metric.high, -metric.low)
