"""What each rule of a policy finds in the evidence, before the rules of a gate are weighed against each other."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from app.gates.rules.budgets import cost, latency
from app.gates.rules.finding import Finding, Setting
from app.gates.rules.must_pass import must_pass
from app.gates.rules.scores import compared, errors
from app.gates.samples import UnusableError, slices
from app.registry.kinds.gate_policy import Rule, Slices

__all__ = ["Finding", "Setting", "findings"]


def findings(setting: Setting, rule: Rule, pointer: str) -> Iterator[Finding]:
    """Everything that `rule` is judged on: once, or once per endpoint and slice."""
    endpoints = setting.evidence.endpoints
    each = rule.endpoints == "each"
    for group in [(endpoint,) for endpoint in endpoints] if each else [endpoints]:
        finding = Finding(
            id=f"{pointer}/{group[0]}" if each else pointer,
            rule=rule.kind,
            strength=rule.strength_at(setting.stage),
            metric=rule.metric,
            endpoint=group[0] if each else None,
        )
        if rule.slices is not None:
            yield from _sliced(setting, rule, rule.slices, group, finding)
        elif rule.must_pass is not None:
            yield must_pass(setting, rule.must_pass, group, finding, accepted=rule.accept_uncalibrated)
        elif rule.errors is not None:
            yield from errors(setting, rule.errors.max_rate, group, finding)
        elif rule.cost is not None:
            yield cost(setting, rule.cost.max_ratio, group, finding)
        elif rule.latency is not None:
            yield from latency(setting, rule.latency, group, finding)
        else:
            yield compared(setting, rule, group, finding, np.ones(len(setting.evidence.cases), dtype=bool), fewest=2)


def _sliced(
    setting: Setting, rule: Rule, sliced: Slices, endpoints: tuple[str, ...], whole: Finding
) -> Iterator[Finding]:
    for name in sliced.by:
        try:
            parts = slices(setting.evidence.cases, name)
        except UnusableError as error:
            place = replace(whole, id=f"{whole.id}/{name}", slice=name, notes=[])
            yield place.settle("inconclusive", str(error), "unmet")
            continue
        for value, members in parts.items():
            label = f"{name}={value}"
            place = replace(whole, id=f"{whole.id}/{label}", slice=label, notes=[])
            yield compared(setting, rule, endpoints, place, members, fewest=sliced.min_cases)
