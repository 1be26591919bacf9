"""The decision: policy + evidence -> verdict. Pure: the same inputs give the same verdict, bit for bit.

Loads numpy and scipy; import it inside the function that decides.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

import msgspec

from app.gates.evidence import Evidence, Look, Side
from app.gates.outcome import explain, holds
from app.gates.rules import Finding, Setting, findings
from app.gates.rules.finding import Test
from app.gates.samples import Samples, UnusableError
from app.gates.schemas import Cause, Outcome, RuleOutcome, RuleVerdict, Verdict
from app.registry.kinds.gate_policy import GatePolicy, Stage, check_policy, duration
from app.stats.paired import holm
from app.stats.sequential import gs_levels

# Pins that name one side's bundle rather than something both sides share.
_SIDES = ("candidate", "baseline")


def decide(policy: GatePolicy, evidence: Evidence, stage: Stage) -> Verdict:
    """Judge `evidence` by `policy` at `stage`.

    Any rule that fails makes the verdict `fail`; else any demand of strength `prove` that is not shown, any precondition
    that is not met and any rule that could not be judged makes it `inconclusive`; `pass` needs at least one rule that
    passed. Raises PolicyError for a policy that contradicts itself.
    """
    check_policy(policy)
    pointer = "/ci/rules" if stage == "ci" and policy.ci is not None and policy.ci.rules is not None else "/rules"
    policy = policy.at(stage)
    rows = list(_digests(evidence))
    if not rows:
        rows = [*_conditions(policy, evidence), *_judged(policy, evidence, stage, pointer)]
        rows += _nothing_shown(rows, evidence)
    return Verdict(
        verdict=_overall(rows),
        stage=stage,
        rules=tuple(rows),
        pins=dict(evidence.pins),
        looks=evidence.look.number + 1,
        tries=evidence.tries,
    )


def _overall(rows: Sequence[RuleVerdict]) -> Outcome:
    if any(row.verdict == "fail" and row.strength != "report" for row in rows):
        return "fail"
    return "inconclusive" if any(holds(rows)) else "pass"


def _unmet(name: str, reason: str, cause: Cause = "unmet") -> RuleVerdict:
    return RuleVerdict(
        id=f"/{name}", rule=name, strength="precondition", verdict="inconclusive", cause=cause, reason=reason
    )


def _digests(evidence: Evidence) -> Iterator[RuleVerdict]:
    """Evidence about other content than the verdict is for is no evidence at all, so that nothing else is judged."""
    sides: list[tuple[str, Side]] = [("candidate", evidence.candidate)]
    if evidence.baseline is not None:
        sides.append(("baseline", evidence.baseline))
    for name, side in sides:
        if not evidence.pins.get(name) or side.pins.get("bundle") != evidence.pins.get(name):
            yield _unmet("digests", f"the {name} was evaluated with other content than the verdict is about")
    if evidence.baseline is None and "baseline" in evidence.pins:
        yield _unmet("digests", "the baseline that the verdict is to compare with was not evaluated")
    shared = {key: digest for key, digest in evidence.pins.items() if key not in _SIDES}
    keys = {key for _, side in sides for key in side.pins if key != "bundle"} | set(shared)
    for key in sorted(keys):
        found = {side.pins.get(key) for _, side in sides} | ({shared[key]} if key in shared else set())
        if len(found) > 1:
            yield _unmet("digests", f"not everything was evaluated with the same {key}: evaluate again")


def _conditions(policy: GatePolicy, evidence: Evidence) -> Iterator[RuleVerdict]:
    """What must be true of the evidence besides its numbers."""
    data = policy.data
    sides: list[tuple[str, Side]] = [("candidate", evidence.candidate)]
    if evidence.baseline is not None:
        sides.append(("baseline", evidence.baseline))
    for name, side in sides:
        if side.finished < side.planned or side.planned == 0:
            done = f"{side.finished} of {side.planned} cells of the {name} are there"
            yield _unmet("coverage", f"{done}: resume the run", "incomplete")
        if data.max_age is not None and not _within(side.age_s, data.max_age):
            yield _unmet("max_age", f"the {name} was not evaluated within {data.max_age}: evaluate again")
        repeats = min((scores.values.shape[1] for scores in side.scores.values()), default=0)
        if repeats < data.repeats and evidence.look.number + 1 == len(evidence.look.fractions):
            yield _unmet("repeats", f"the {name} has {repeats} runs per case, the policy asks for {data.repeats}")
    if evidence.baseline is not None and data.fresh_baseline and not evidence.baseline.fresh:
        yield _unmet("fresh_baseline", "these answers won the baseline its promotion: evaluate the baseline afresh")


def _within(age_s: float | None, limit: str) -> bool:
    """False for an unknown age too."""
    return age_s is not None and age_s <= duration(limit).total_seconds()


def _judged(policy: GatePolicy, evidence: Evidence, stage: Stage, pointer: str) -> Iterator[RuleVerdict]:
    confidence, look = policy.confidence, evidence.look
    setting = Setting(
        policy=policy,
        evidence=evidence,
        samples=Samples(evidence, policy.data.cluster),
        stage=stage,
        alpha=gs_levels(look.fractions, _alpha(confidence.pass_))[look.number],
        seed=_seed(evidence),
    )
    found: list[Finding] = []
    for index, rule in enumerate(policy.rules):
        if rule.approvals is not None:
            yield _approvals(f"{pointer}/{index}", evidence, stage, rule.approvals.role, rule.approvals.count)
            continue
        found.extend(_found(setting, policy, index, pointer))
    yield from _weighed(setting, found)
    for index, rule in enumerate(policy.rollout_rules):
        yield RuleVerdict(
            id=f"/rollout_rules/{index}",
            rule=rule.kind,
            strength=rule.strength_at(stage),
            verdict="not_applicable",
            metric=rule.metric,
            reason="judged at each step of the rollout",
        )


def _found(setting: Setting, policy: GatePolicy, index: int, pointer: str) -> list[Finding]:
    rule, place = policy.rules[index], f"{pointer}/{index}"
    try:
        return list(findings(setting, rule, place))
    except UnusableError as error:
        finding = Finding(id=place, rule=rule.kind, strength=rule.strength_at(setting.stage), metric=rule.metric)
        return [finding.settle("inconclusive", str(error), "unmet")]


def _weighed(setting: Setting, found: list[Finding]) -> Iterator[RuleVerdict]:
    """The rules of a gate together: any of them can block, so their p-values are adjusted for one another."""
    look, block = setting.evidence.look, _alpha(setting.policy.confidence.block)
    settled = _outcomes(look, block, found, [finding.test for finding in found])
    worst = [finding.filled or finding.test for finding in found]
    filled = _outcomes(look, block, found, worst) if any(finding.filled for finding in found) else settled
    for finding, (outcome, p, adjusted, method), (at_worst, *_) in zip(found, settled, filled, strict=True):
        notes = list(finding.notes)
        if at_worst != outcome:
            notes.append(f"if the {finding.missing} lost cases had gone as badly as possible: {at_worst}")
        cause = finding.cause or ("undecided" if outcome == "inconclusive" else None)
        row = RuleVerdict(
            id=finding.id,
            rule=finding.rule,
            strength=finding.strength,
            verdict=outcome,
            metric=finding.metric,
            endpoint=finding.endpoint,
            slice=finding.slice,
            target=finding.target,
            estimate=finding.estimate,
            low=finding.low,
            high=finding.high,
            confidence=None if finding.test is None else 1 - setting.alpha,
            assurance=finding.assurance,
            p_worse=p,
            p_worse_holm=adjusted,
            n=finding.n,
            n_clusters=finding.n_clusters,
            repeats=finding.repeats,
            missing=finding.missing,
            skipped=finding.skipped,
            width=finding.width,
            beyond=finding.beyond,
            needed=finding.needed if outcome == "inconclusive" else None,
            method=method or finding.method,
            seed=setting.seed if method == "sign-flip" else None,
            cases=finding.cases,
            cause=cause,
        )
        # A test that holds where the rule may not pass needs no words of its own; the note says why it may not.
        held_back = outcome == "inconclusive" and finding.test is not None and finding.test.passes
        words = [explain(row)] if finding.outcome is None and not held_back else []
        if outcome == "pass" and adjusted is not None and adjusted <= block and finding.rule == "no_regression":
            words.append("a real drop, but smaller than the margin")
        yield msgspec.structs.replace(row, reason="; ".join([word for word in words if word] + notes))


def _outcomes(
    look: Look, block: float, found: Sequence[Finding], tests: Sequence[Test | None]
) -> list[tuple[RuleOutcome, float | None, float | None, str | None]]:
    """Outcome, p-value, adjusted p-value and method of every finding, with `tests` as what was seen."""
    judged = [i for i, test in enumerate(tests) if test is not None and found[i].outcome is None]
    family = [i for i in judged if found[i].strength != "report"]
    size = max(1, len(family))
    several, final = len(look.fractions) > 1, look.number + 1 == len(look.fractions)
    level = gs_levels(look.fractions, block / size)[look.number] if several else block
    p: dict[int, float] = {}
    methods: dict[int, str] = {}
    for i in judged:
        if (test := tests[i]) is not None:
            # 9,999 flips resolve Holm's strictest step of up to a hundred rules; beyond that the t p-value is asked.
            p[i], methods[i] = test.p(level if several or size <= 100 else block / size)
    # With early looks Holm's steps would need a spending function each; Bonferroni's single level needs one.
    raw = [p[i] for i in family]
    adjusted = dict(
        zip(family, [min(1.0, value * size) for value in raw] if several else map(float, holm(raw)), strict=True)
    )
    outcomes: list[tuple[RuleOutcome, float | None, float | None, str | None]] = []
    for i, (finding, test) in enumerate(zip(found, tests, strict=True)):
        if finding.outcome is not None or test is None:
            outcomes.append((finding.outcome or "inconclusive", None, None, None))
            continue
        worse = p[i] <= level and (final or finding.beyond) if several else adjusted.get(i, p[i]) <= block
        outcome: RuleOutcome = "inconclusive"
        if test.passes or finding.id in look.passed:
            outcome = "pass" if finding.may_pass else "inconclusive"
        elif worse:
            outcome = "fail"
        outcomes.append((outcome, p[i], adjusted.get(i), methods[i]))
    return outcomes


def _approvals(pointer: str, evidence: Evidence, stage: Stage, role: str, count: int) -> RuleVerdict:
    row = RuleVerdict(id=pointer, rule="approvals", strength="precondition", verdict="pass", target=float(count))
    if stage == "ci":
        return msgspec.structs.replace(row, verdict="not_applicable", reason="asked for when it is released")
    given = 0 if evidence.approvals is None else evidence.approvals.get(role, 0)
    if given >= count:
        return msgspec.structs.replace(row, estimate=float(given), reason=f"{given} of {count} by {role}")
    reason = f"needs {count - given} more approval{'' if count - given == 1 else 's'} by {role}"
    return msgspec.structs.replace(row, verdict="inconclusive", estimate=float(given), cause="unmet", reason=reason)


def _nothing_shown(rows: Sequence[RuleVerdict], evidence: Evidence) -> Iterator[RuleVerdict]:
    """A gate on which nothing was shown must not pass, whatever did not fail."""
    if any(row.verdict == "fail" and row.strength != "report" for row in rows):
        return
    absolute = [row for row in rows if row.strength == "prove" and row.rule in ("floor", "must_pass")]
    if evidence.baseline is None:
        if not any(row.verdict in ("pass", "inconclusive") for row in absolute):
            reason = "nothing is live to compare with: a first release needs a floor or must_pass of strength prove"
            yield _unmet("first_release", reason)
    elif not any(holds(rows)) and not any(row.verdict == "pass" and row.strength in ("prove", "guard") for row in rows):
        undecided = any(row.verdict == "inconclusive" and row.cause == "undecided" for row in rows)
        yield _unmet("nothing_shown", "no rule was shown to hold", "undecided" if undecided else "unmet")


def _alpha(confidence: float) -> float:
    """0.05 for 0.95, without the last bits that the subtraction would leave."""
    return round(1 - confidence, 12)


def _seed(evidence: Evidence) -> int:
    """The same two runs give the same flips, today and on another machine."""
    runs = [evidence.candidate.run] + ([evidence.baseline.run] if evidence.baseline is not None else [])
    return int.from_bytes(sha256("\n".join(runs).encode()).digest()[:6])
