"""How a check is told: on the terminal, as JSON, as JUnit, as Markdown. Nothing here decides anything."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

import msgspec

from app.cli.output import Output, share

SHOWN_FLIPS = 10
ANSWER_CHARACTERS = 600
WORDS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "not_applicable": "not applicable"}
# A fail outweighs trouble: it is what a merge must not hide. Trouble outweighs what could not be decided.
SEVERITY = (1, 4, 5, 3, 2, 0)


class Flip(NamedTuple):
    """A case that one side got right and the other wrong, with both answers."""

    case: str
    metric: str
    endpoint: str
    before: float
    after: float
    inputs: dict[str, Any]
    reference: Any
    baseline_answer: str
    candidate_answer: str


class Check(NamedTuple):
    """One prompt on one suite."""

    prompt: str
    suite: str
    run: str
    status: str
    verdict: dict[str, Any]
    metrics: list[dict[str, Any]]
    flips: list[Flip]
    cost_usd: float
    lost: str


class Report(NamedTuple):
    against: str
    checks: list[Check]
    unchanged: list[str]

    @property
    def exit_code(self) -> int:
        codes = {check.verdict["exit_code"] for check in self.checks}
        return next((code for code in SEVERITY if code in codes), 0)

    @property
    def verdict(self) -> str:
        found = {check.verdict["verdict"] for check in self.checks}
        return next((v for v in ("fail", "inconclusive") if v in found), "pass")


def as_json(report: Report) -> str:
    """The whole report; the same verdict records that the API gives."""
    body = {
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "against": report.against,
        "checks": [{**check._asdict(), "flips": [flip._asdict() for flip in check.flips]} for check in report.checks],
        "unchanged": report.unchanged,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode() + "\n"


def text(report: Report, out: Output) -> None:
    """For the terminal."""
    for check in report.checks:
        verdict = check.verdict
        out.line(f"{check.prompt} on {check.suite}: {WORDS[verdict['verdict']]}. {verdict['headline']}")
        out.line(f"  against {report.against}; run {check.run}, ${check.cost_usd:.4f}")
        if check.lost:
            out.line(f"  {check.lost}")
        out.table(
            ["rule", "where", ">n", ">estimate", ">low", ">high", ">target", "verdict"],
            [
                (
                    r["rule"],
                    where(r),
                    r["n"],
                    number(r["estimate"]),
                    number(r["low"]),
                    number(r["high"]),
                    number(r["target"]),
                    WORDS[r["verdict"]],
                )
                for r in verdict["rules"]
            ],
        )
        for rule in verdict["rules"]:
            if rule["verdict"] in ("fail", "inconclusive") and rule["reason"]:
                out.line(f"  {rule['rule']} {where(rule)}: {rule['reason']}")
        if check.flips:
            out.line(f"  {flip_count(check)}; the first:")
        for flip in check.flips[:3]:
            out.line(f"    {flip.case} ({flip.endpoint}) {flip.metric} {flip.before:g} -> {flip.after:g}")
            out.line(f"      before: {one_line(flip.baseline_answer)}")
            out.line(f"      after:  {one_line(flip.candidate_answer)}")
        out.line()
    if report.unchanged:
        out.line(f"unchanged, not evaluated: {', '.join(report.unchanged)} (--all evaluates them too)")
    if not report.checks:
        out.line(f"nothing to judge: no prompt differs from the {report.against}")
    out.line(f"{WORDS[report.verdict]} (exit {report.exit_code})")


def junit(report: Report) -> str:
    """A test suite per check, a test case per rule: `fail` is a failure, an evaluation that did not finish an error."""
    root = ElementTree.Element("testsuites", name="promptward check")
    for check in report.checks:
        rules = check.verdict["rules"]
        suite = ElementTree.SubElement(
            root, "testsuite", name=clean(f"{check.prompt} on {check.suite}"), tests=str(len(rules) or 1)
        )
        counts = {"failure": 0, "error": 0, "skipped": 0}
        for rule in rules or [_whole(check)]:
            case = ElementTree.SubElement(
                suite, "testcase", classname=clean(check.prompt), name=clean(f"{rule['rule']} {where(rule)}")
            )
            if (kind := _junit_kind(rule, check)) is not None:
                counts[kind] += 1
                entry = ElementTree.SubElement(case, kind, message=clean(rule["reason"] or WORDS[rule["verdict"]]))
                entry.text = (
                    clean(check.lost)
                    if kind == "error" and check.lost
                    else clean(
                        "\n".join(_flip_lines(check, rule.get("metric"))) if kind == "failure" else rule["reason"]
                    )
                )
        for kind, count in counts.items():
            suite.set({"failure": "failures", "error": "errors", "skipped": "skipped"}[kind], str(count))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def markdown(report: Report) -> str:
    """For a pull request's comment. What a model wrote stands in code fences: it cannot render as a link or an image."""
    lines = [f"## Promptward: {WORDS[report.verdict]}", "", f"Compared with {escaped(report.against)}.", ""]
    for check in report.checks:
        verdict = check.verdict
        lines += [
            f"### {escaped(check.prompt)} on {escaped(check.suite)}: {WORDS[verdict['verdict']]}",
            "",
            escaped(verdict["headline"]),
            "",
        ]
        if check.lost:
            lines += [escaped(check.lost), ""]
        lines += [
            "| rule | where | n | estimate | low | high | target | verdict |",
            "|---|---|--:|--:|--:|--:|--:|---|",
        ]
        lines += [
            f"| {r['rule']} | {escaped(where(r))} | {r['n']} | {number(r['estimate'])} | {number(r['low'])} | {number(r['high'])} "
            f"| {number(r['target'])} | {WORDS[r['verdict']]} |"
            for r in verdict["rules"]
        ]
        lines += [""] + [
            f"- {r['rule']} {escaped(where(r))}: {escaped(r['reason'])}"
            for r in verdict["rules"]
            if r["verdict"] in ("fail", "inconclusive")
        ]
        if check.flips:
            lines += ["", f"<details><summary>{flip_count(check)}</summary>", ""]
            for flip in check.flips[:SHOWN_FLIPS]:
                lines += [
                    f"**{escaped(flip.case)}** ({escaped(flip.endpoint)}), {escaped(flip.metric)} {flip.before:g} → {flip.after:g}",
                    "",
                ]
                for name, answer in (("before", flip.baseline_answer), ("after", flip.candidate_answer)):
                    lines += [f"{name}:", *fenced(answer[:ANSWER_CHARACTERS]), ""]
            lines += ["</details>"]
        lines += [""]
    if report.unchanged:
        lines += [f"Unchanged, not evaluated: {', '.join(escaped(name) for name in report.unchanged)}.", ""]
    return "\n".join(lines)


def where(rule: dict[str, Any]) -> str:
    """What a rule was judged on: metric, slice, endpoint."""
    return " · ".join(str(rule[key]) for key in ("metric", "slice", "endpoint") if rule.get(key)) or "all"


def number(value: float | None) -> str:
    return share(value) if value is None or abs(value) < 100 else f"{value:.0f}"


def flip_count(check: Check) -> str:
    worse = sum(flip.after < flip.before for flip in check.flips)
    return f"{len(check.flips)} answers changed sides: {worse} for the worse, {len(check.flips) - worse} for the better"


def one_line(answer: str, width: int = 140) -> str:
    flat = " ".join(answer.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def escaped(value: str) -> str:
    """Plain text in Markdown: nothing in it links, embeds or formats."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", " ".join(str(value).split()))


def fenced(value: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + "text", *value.splitlines(), fence]


def clean(value: str) -> str:
    """Without the control characters and lone surrogates that XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", value)


def _whole(check: Check) -> dict[str, Any]:
    return {
        "rule": "evaluation",
        "verdict": check.verdict["verdict"],
        "reason": check.verdict["headline"],
        "cause": "incomplete",
    }


def _junit_kind(rule: dict[str, Any], check: Check) -> str | None:
    if rule["verdict"] == "fail":
        return "failure"
    if rule["verdict"] == "inconclusive":
        return "error" if check.verdict["exit_code"] in (4, 5) and rule.get("cause") == "incomplete" else "skipped"
    return "skipped" if rule["verdict"] == "not_applicable" else None


def _flip_lines(check: Check, metric: str | None) -> Iterator[str]:
    for flip in [f for f in check.flips if f.after < f.before and metric in (None, f.metric)][:SHOWN_FLIPS]:
        yield f"{flip.case} ({flip.endpoint}) {flip.metric} {flip.before:g} -> {flip.after:g}"
        yield f"  before: {one_line(flip.baseline_answer)}"
        yield f"  after:  {one_line(flip.candidate_answer)}"
