"""What a verdict means to people and to processes: sentences and exit codes. Loads nothing heavy."""

from collections.abc import Iterable, Iterator

from app.gates.schemas import RuleVerdict, Verdict
from app.registry.kinds.gate_policy import GatePolicy, Stage

PASS, FAIL, HELD, UNFINISHED = 0, 1, 3, 4


def exit_code(verdict: Verdict, policy: GatePolicy, stage: Stage) -> int:
    """0 pass, 1 fail, 3 inconclusive where the policy holds, 4 the evaluation is not complete.

    `lean` and `allow` settle only what more evidence could have settled. A lost cell, a stale run or a changed digest
    holds whatever the policy says about inconclusive results.
    """
    if verdict.verdict == "pass":
        return PASS
    if verdict.verdict == "fail":
        return FAIL
    holding = list(holds(verdict.rules))
    if any(rule.cause == "incomplete" for rule in holding):
        return UNFINISHED
    decision = policy.at(stage).on_inconclusive
    if decision not in ("lean", "allow") or any(rule.cause != "undecided" for rule in holding):
        return HELD
    return FAIL if decision == "lean" and any(rule.beyond for rule in holding) else PASS


def holds(rules: Iterable[RuleVerdict]) -> Iterator[RuleVerdict]:
    """The rules that keep a verdict from passing without failing it."""
    return (rule for rule in rules if _holds(rule))


def _holds(rule: RuleVerdict) -> bool:
    if rule.verdict != "inconclusive" or rule.strength == "report":
        return False
    return rule.strength in ("prove", "precondition") or rule.cause != "undecided"


def incomplete(verdict: Verdict) -> bool:
    """Whether something that was lost, or never came, is what holds it."""
    return verdict.verdict == "inconclusive" and any(rule.cause == "incomplete" for rule in holds(verdict.rules))


def headline(verdict: Verdict, trouble: str | None = None) -> str:
    """One line: the verdict and what it rests on. `trouble`: what kept cells from their answers or scores.

    Only a proven no_regression is worded "no regression"; everything else that is not a fail is at most "no regression
    shown".
    """
    compared = [rule for rule in verdict.rules if rule.rule == "no_regression" and rule.strength == "prove"]
    if verdict.verdict == "fail":
        failed = [rule for rule in verdict.rules if rule.verdict == "fail" and rule.strength != "report"]
        return "fail: " + "; ".join(f"{place(rule)} {rule.reason}" for rule in failed)
    if verdict.verdict == "pass":
        sure = [rule for rule in compared if rule.verdict == "pass"]
        if not sure:
            return "pass: every demand is met"
        return f"pass: no regression, {min(sure, key=lambda rule: rule.assurance or 0.0).reason}"
    # What was lost comes first: nothing else is settled before it is there.
    holding = sorted(holds(verdict.rules), key=lambda rule: rule.cause != "incomplete")
    beyond = any(rule.beyond for rule in holding)
    undecided = [rule for rule in compared if rule.verdict == "inconclusive" and rule.cause == "undecided"]
    opening = "no regression shown, " if undecided and not beyond else ""
    reasons = "; ".join(([trouble] if trouble else []) + [f"{place(rule)} {rule.reason}" for rule in holding[:3]])
    more = f"; and {len(holding) - 3} more" if len(holding) > 3 else ""
    return f"inconclusive: {opening}{reasons}{more}"


def place(rule: RuleVerdict) -> str:
    """What a rule is about: its name or metric, with slice and endpoint."""
    about = rule.metric or rule.rule.replace("_", " ")
    parts = [part for part in (rule.slice, rule.endpoint) if part]
    return f"{about} ({', '.join(parts)}):" if parts else f"{about}:"


def explain(rule: RuleVerdict) -> str:
    """Why a rule that was judged by numbers came out as it did."""
    if rule.estimate is None or rule.target is None:
        return ""
    if rule.rule == "no_regression":
        return _explain_drop(rule)
    measured = f"{_plain(rule, rule.estimate)} against {_plain(rule, rule.target)}"
    if rule.verdict == "pass":
        return f"{measured}, {_sure(rule)}"
    if rule.verdict == "fail":
        return f"{measured}{_p(rule)}"
    return f"{measured} is not settled{_needed(rule)}"


def _explain_drop(rule: RuleVerdict) -> str:
    margin = amount(rule, rule.target or 0.0)
    change = rule.estimate or 0.0
    moved = f"{amount(rule, abs(change))} {'worse' if change < 0 else 'better'}" if change else "no difference"
    if rule.verdict == "pass":
        return f"{_sure(rule)} that the drop in {rule.metric} is smaller than {margin} ({moved})"
    if rule.verdict == "fail":
        return f"{moved}{_p(rule)}"
    could = ""
    if rule.needed is not None and rule.needed.provable_margin is not None:
        could = f"; the largest drop it could have missed: {amount(rule, rule.needed.provable_margin)}"
    return f"{moved}, not settled for a margin of {margin}{_needed(rule)}{could}"


def amount(rule: RuleVerdict, value: float) -> str:
    """A difference in points (hundredths of the metric's scale), or in the metric's own unit when it has no scale."""
    if rule.width is None:
        return f"{value:.4g}"
    points = f"{100 * value / rule.width:.1f}".removesuffix(".0")
    return f"{points} point{'' if points == '1' else 's'}"


def _plain(rule: RuleVerdict, value: float) -> str:
    if rule.rule == "improvement":
        return amount(rule, value)
    return f"{value:.4g}"


def _sure(rule: RuleVerdict) -> str:
    if rule.assurance is None:
        return "shown"
    # Rounded down, so that what is printed is never more than what was shown.
    sure = min(int(1000 * rule.assurance), 999) / 10
    return f"{sure:g}% sure" if rule.assurance < 0.999 else "more than 99.9% sure"


def _p(rule: RuleVerdict) -> str:
    return "" if rule.p_worse_holm is None else f" (adjusted p {rule.p_worse_holm:.2g})"


def _needed(rule: RuleVerdict) -> str:
    if rule.beyond:
        return "; more data is unlikely to turn this into a pass"
    if rule.needed is None:
        return ""
    ways = []
    if rule.needed.cases is not None:
        ways.append(f"{rule.needed.cases:,} more case{'' if rule.needed.cases == 1 else 's'}")
    if rule.needed.repeats is not None:
        ways.append(f"{rule.needed.repeats} repeats")
    if ways:
        return "; needs " + " or ".join(ways)
    return "; no number of cases up to a million would do"
