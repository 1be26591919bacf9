"""Cases that must pass, with flaky ones told from broken ones."""

import numpy as np

from app.gates.evidence import Array, Evidence
from app.gates.rules.finding import Finding, Setting
from app.gates.samples import never_applies
from app.gates.schemas import Needed
from app.registry.kinds.gate_policy import MustPass

_LISTED = 5


def must_pass(
    setting: Setting, rule: MustPass, endpoints: tuple[str, ...], finding: Finding, *, accepted: bool
) -> Finding:
    """Every case with the tag, on every endpoint, all of its runs counted.

    A run passes when every metric with a pass mark (or the rule's own metric) says so. A case that never fails passes; one
    with more than `allow_failures` failures is broken; one that fails less often is open until it has `1 + confirm` runs.
    """
    evidence = setting.evidence
    critical = [index for index, case in enumerate(evidence.cases) if rule.tag in case.tags]
    finding.n = finding.n_clusters = len(critical)
    finding.method, finding.target = "count", float(rule.allow_failures)
    if not critical:
        return finding.settle("inconclusive", f"no case has the tag {rule.tag}", "unmet")
    metrics = _metrics_with_a_pass_mark(evidence, finding.metric, endpoints)
    if not metrics:
        return finding.settle("inconclusive", "no metric says what passing is: give a scorer a threshold", "unmet")
    confirmed = 1 + rule.confirm
    broken: list[str] = []
    unsettled: list[str] = []
    lost: list[str] = []
    for endpoint in endpoints:
        runs = _runs(evidence, metrics, endpoint)[critical]
        finding.repeats = max(finding.repeats, runs.shape[1])
        for index, row in zip(critical, runs, strict=True):
            case = evidence.cases[index].id if len(endpoints) == 1 else f"{evidence.cases[index].id} at {endpoint}"
            done, failures = int(np.isfinite(row).sum()), int((row == 0).sum())
            if done == 0:
                lost.append(case)
            elif failures > rule.allow_failures:
                broken.append(case)
            elif failures and failures + max(0, confirmed - done) > rule.allow_failures:
                unsettled.append(case)
    finding.missing = len(lost)
    finding.estimate = len(broken) / (len(critical) * len(endpoints))
    finding.cases = tuple(sorted(broken or lost or unsettled))
    listed = ", ".join(finding.cases[:_LISTED]) + (", …" if len(finding.cases) > _LISTED else "")
    if broken:
        finding.beyond = True
        return finding.settle("fail", f"{len(broken)} of {len(critical)} critical cases broken: {listed}")
    if lost:
        return finding.settle("inconclusive", f"{len(lost)} critical cases have no result: {listed}", "incomplete")
    if unsettled:
        finding.needed = Needed(repeats=confirmed)
        return finding.settle("inconclusive", f"failed, but not yet run {confirmed} times: {listed}", "undecided")
    if not accepted and all(evidence.metrics[name].judge for name in metrics):
        note = "only judges without calibration against human labels say so: they may block only"
        return finding.settle("inconclusive", note, "undecided")
    return finding.settle("pass", f"none of {len(critical)} critical cases is broken")


def _metrics_with_a_pass_mark(evidence: Evidence, metric: str | None, endpoints: tuple[str, ...]) -> list[str]:
    def says(name: str) -> bool:
        found = [evidence.candidate.scores.get((name, endpoint)) for endpoint in endpoints]
        return any(scores is not None and scores.passed is not None for scores in found)

    return [name for name in sorted(evidence.metrics) if metric in (None, name) and says(name)]


def _runs(evidence: Evidence, metrics: list[str], endpoint: str) -> Array:
    """[cases, runs]: 0 where a metric says the run failed, NaN where one is missing, 1 where all say it passed."""
    parts = []
    for name in metrics:
        scores = evidence.candidate.scores.get((name, endpoint))
        if scores is None or scores.passed is None:
            parts.append(np.full((len(evidence.cases), 1), np.nan))
            continue
        said = scores.passed if scores.confirmed is None else np.hstack((scores.passed, scores.confirmed))
        # A metric that does not apply to a case has no say in it; infinity marks that until all have been heard.
        parts.append(np.where(never_applies(scores)[:, None], np.inf, said))
    most = max(part.shape[1] for part in parts)
    heard = np.stack([np.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values=np.nan) for part in parts])
    silent = np.isnan(heard).any(axis=0) | np.isinf(heard).all(axis=0)
    return np.where((heard == 0).any(axis=0), 0.0, np.where(silent, np.nan, 1.0))
