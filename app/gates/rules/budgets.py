"""Budgets for cost and latency."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from app.gates.evidence import Array
from app.gates.rules.finding import Finding, Setting, Test
from app.gates.samples import UnusableError
from app.registry.kinds.gate_policy import Latency
from app.stats import ratio

_P95 = 0.95


def cost(setting: Setting, most: float, endpoints: tuple[str, ...], finding: Finding) -> Finding:
    """Ratio of what the two sides cost in all."""
    finding.metric, finding.target = "cost", most
    if (baseline := setting.evidence.baseline) is None:
        return finding.settle("not_applicable", "nothing is live to compare with")
    try:
        c = setting.samples.amounts("the costs", setting.evidence.candidate.cost_usd, endpoints).sum(axis=1)
        b = setting.samples.amounts("the costs", baseline.cost_usd, endpoints).sum(axis=1)
        c, b = _both(finding, c, b)
        if c.size and not c.any() and not b.any():
            finding.estimate = 1.0
            return finding.settle("pass", "neither side cost anything")
        return _ratio(setting, finding, ratio.of_totals(c, b), most)
    except (UnusableError, ValueError) as error:
        return finding.settle("inconclusive", f"no cost ratio: {error}", "unmet")


def latency(setting: Setting, rule: Latency, endpoints: tuple[str, ...], finding: Finding) -> Iterator[Finding]:
    """The p95 budget at each endpoint, then the ratio over all of them."""
    finding.metric = "latency"
    if rule.p95_max_ms is not None:
        for endpoint in endpoints:
            place = replace(finding, id=f"{finding.id}/p95_max_ms/{endpoint}", endpoint=endpoint, notes=[])
            yield _p95(setting, rule.p95_max_ms, endpoint, place)
    if rule.max_ratio is not None:
        yield _latency_ratio(
            setting, rule.max_ratio, endpoints, replace(finding, id=f"{finding.id}/max_ratio", notes=[])
        )


def _p95(setting: Setting, budget: float, endpoint: str, finding: Finding) -> Finding:
    """The 95th percentile of one call per case, because repeats of a case are not independent calls."""
    finding.rule, finding.target, finding.method = "latency.p95_max_ms", budget, "order statistic"
    recorded = setting.evidence.candidate.latency_ms.get(endpoint)
    if recorded is None or not np.isfinite(recorded).any():
        return finding.settle("inconclusive", f"the latencies at {endpoint} were not recorded", "unmet")
    first = recorded[np.arange(recorded.shape[0]), np.isfinite(recorded).argmax(axis=1)]
    known = first[np.isfinite(first)]
    finding.n = finding.n_clusters = int(known.size)
    finding.missing = int(first.size - known.size)
    if _lost(setting, finding):
        return finding
    upper, p = ratio.quantile_upper(known, _P95, setting.alpha), ratio.quantile_p_above(known, _P95, budget)
    finding.estimate = float(np.quantile(known, _P95))
    finding.high = upper if np.isfinite(upper) else None
    finding.beyond = finding.estimate > budget
    finding.test = Test(upper <= budget, lambda _: (p, "order statistic"))
    return finding


def _latency_ratio(setting: Setting, most: float, endpoints: tuple[str, ...], finding: Finding) -> Finding:
    finding.rule, finding.target = "latency.max_ratio", most
    if (baseline := setting.evidence.baseline) is None:
        return finding.settle("not_applicable", "nothing is live to compare with")
    try:
        sides = [
            setting.samples.amounts("the latencies", side.latency_ms, endpoints)
            for side in (setting.evidence.candidate, baseline)
        ]
        c, b = (np.exp(np.log(np.where(side > 0, side, np.nan)).mean(axis=1)) for side in sides)
        return _ratio(setting, finding, ratio.of_means(*_both(finding, c, b)), most)
    except (UnusableError, ValueError) as error:
        return finding.settle("inconclusive", f"no latency ratio: {error}", "unmet")


def _both(finding: Finding, c: Array, b: Array) -> tuple[Array, Array]:
    """The pairs that both sides have, in an order that does not depend on the order of the cases."""
    known = np.isfinite(c) & np.isfinite(b)
    finding.n = finding.n_clusters = int(known.sum())
    finding.missing = int(c.size - known.sum())
    order = np.lexsort((b[known], c[known]))
    return c[known][order], b[known][order]


def _ratio(setting: Setting, finding: Finding, estimate: ratio.Ratio, most: float) -> Finding:
    if _lost(setting, finding):
        return finding
    p = estimate.p_above(most)
    finding.estimate, finding.assurance = estimate.value, 1 - p
    finding.low, finding.high = estimate.lower(setting.alpha), estimate.upper(setting.alpha)
    finding.beyond = finding.estimate > most
    finding.test = Test(finding.high <= most, lambda _: (p, "log-ratio t"))
    return finding


def _lost(setting: Setting, finding: Finding) -> bool:
    if finding.missing <= setting.policy.data.max_missing * (finding.n + finding.missing):
        return False
    finding.settle("inconclusive", f"lost: {finding.missing} of {finding.n + finding.missing} cases", "incomplete")
    return True
