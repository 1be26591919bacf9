"""`demo-report.html`: one file that loads nothing. Everything from models and data is escaped text."""

from collections.abc import Iterator
from html import escape
from typing import Any

from app.cli.check_report import WORDS
from app.cli.demo.story import between, percent, points, short
from app.cli.output import dollars, share

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--pass:#1b7f4d;--fail:#b3261e;--hold:#9a6700;--mark:#2f5bd7}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#313a46;--paper:#12171e;--pass:#4cc38a;--fail:#ff7b72;--hold:#e3b341;--mark:#7aa2ff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2.2rem}p.lead,.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;margin:.8rem 0}th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.pass{color:var(--pass)}.fail{color:var(--fail)}.inconclusive{color:var(--hold)}
.verdict{font-weight:600}svg{width:100%;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}
.sides{display:grid;grid-template-columns:1fr 1fr;gap:.8rem}.sides div{border:1px solid var(--line);border-radius:6px;padding:.5rem .7rem;white-space:pre-wrap;overflow-wrap:anywhere}
.case{margin:1.1rem 0}.case b{font-weight:600}.wide{overflow-x:auto}
"""
SHOWN_FLIPS = 12
LEFT, WIDTH, ROW = 310, 900, 26


def rendered(told: dict[str, Any]) -> str:
    """The whole page from the acts' data."""
    evaluate, gate = told["evaluate"], told["gate"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width,initial-scale=1'>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Promptward demo</title><style>{STYLE}</style></head><body>",
        "<h1>Promptward demo</h1><p class='lead'>A documentation assistant for Promptward itself, offline. The models are the development "
        "model's, which is not a language model: it picks sentences out of the context.</p>",
        f"<h2>Is the change better, and is the difference real?</h2><p>{evaluate['cases']} questions, two models. "
        f"Differences in points of <i>{escape(evaluate['metric'])}</i> against the live prompt, paired by question; the interval runs between "
        "two one-sided 95 % bounds.</p>",
        *_candidates(evaluate),
        "<h2>Differences against the margin</h2>",
        *_plot(evaluate),
        "<h2>Which kind of question?</h2>",
        *_slices(evaluate),
        "<h2>Answers that changed sides</h2>",
        *_flips(evaluate),
        "<h2>Is the gate right?</h2>",
        *_gate(gate),
        "<h2>The door</h2>",
        *_door(told["door"]),
        "<h2>The people</h2>",
        *_people(told["people"]),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _candidates(act: dict[str, Any]) -> Iterator[str]:
    yield "<div class='wide'><table><tr><th>candidate</th><th>model</th><th class='n'>correct</th><th class='n'>difference</th>"
    yield "<th class='n'>interval</th><th>verdict</th><th class='n'>calls</th><th class='n'>cost</th></tr>"
    baseline = act["baseline"]
    for entry in baseline["endpoints"]:
        yield f"<tr><td>{escape(baseline['prompt'])}</td><td>{escape(short(entry['endpoint']))}</td><td class='n'>{share(entry['mean'])}</td>"
        yield "<td></td><td></td><td>live</td><td></td><td></td></tr>"
    for candidate in act["candidates"]:
        for entry in candidate["endpoints"]:
            yield f"<tr><td>{escape(candidate['prompt'])}</td><td>{escape(short(entry['endpoint']))}</td>{_numbers(entry)}"
            yield f"<td></td><td></td><td class='n'>{dollars(entry['cost_usd'])}</td></tr>"
        yield f"<tr><td class='soft'>{escape(candidate['title'])}</td><td>both</td>{_numbers(candidate['overall'])}"
        yield f"<td class='verdict {candidate['verdict']}'>{WORDS[candidate['verdict']]}</td><td class='n'>{candidate['calls']}</td>"
        yield f"<td class='n'>{dollars(candidate['cost_usd'])}</td></tr>"
    yield "</table></div>"
    for candidate in act["candidates"]:
        yield f"<p><b>{escape(candidate['prompt'])}</b>: {escape(candidate['headline'])}</p>"


def _numbers(row: dict[str, Any]) -> str:
    return f"<td class='n'>{share(row['candidate'])}</td><td class='n'>{points(row['difference'])}</td><td class='n'>{between(row)}</td>"


def _plot(act: dict[str, Any]) -> Iterator[str]:
    rows = []
    for candidate in act["candidates"]:
        rows += [(f"{candidate['prompt']} · {short(e['endpoint'])}", e, "") for e in candidate["endpoints"]]
        rows.append((f"{candidate['prompt']} · both", candidate["overall"], candidate["verdict"]))
        # What failed stands in the picture too: the whole can look fine while one kind of question breaks.
        failed = [r for r in candidate["rules"] if r["verdict"] == "fail" and r["slice"] and r["low"] is not None]
        rows += [(f"{candidate['prompt']} · {r['slice']}", {**r, "difference": r["estimate"]}, "fail") for r in failed]
    margin = act["margin"]
    low = min(-margin, *(r["low"] for _, r, _ in rows)) - 0.03
    high = max(0.0, *(r["high"] for _, r, _ in rows)) + 0.03

    def x(value: float) -> float:
        return float(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 20))

    height = ROW * len(rows) + 50
    yield f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='Paired differences with their intervals, against the margin'>"
    for value, name, dash, anchor in (
        (0.0, "no difference", "none", "start"),
        (-margin, f"margin {points(-margin)}", "5 4", "end"),
    ):
        yield f"<line x1='{x(value):.1f}' x2='{x(value):.1f}' y1='18' y2='{height - 26}' stroke='var(--soft)' stroke-dasharray='{dash}'/>"
        yield f"<text x='{x(value):.1f}' y='12' text-anchor='{anchor}' class='soft'>{name}</text>"
    for i, (label, row, verdict) in enumerate(rows):
        y = 34 + ROW * i
        colour = {"pass": "var(--pass)", "fail": "var(--fail)", "inconclusive": "var(--hold)"}.get(
            verdict, "var(--mark)"
        )
        yield f"<text x='{LEFT - 12}' y='{y + 4}' text-anchor='end'>{escape(label)}</text>"
        yield f"<line x1='{x(row['low']):.1f}' x2='{x(row['high']):.1f}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='3'/>"
        yield f"<circle cx='{x(row['difference']):.1f}' cy='{y}' r='5' fill='{colour}'/>"
    yield f"<text x='{LEFT}' y='{height - 6}' class='soft'>{points(low)} points</text>"
    yield f"<text x='{WIDTH - 20}' y='{height - 6}' text-anchor='end' class='soft'>{points(high)} points</text></svg>"


def _slices(act: dict[str, Any]) -> Iterator[str]:
    names = sorted({s["slice"] for c in act["candidates"] for s in c["slices"]})
    yield "<div class='wide'><table><tr><th>tag</th><th class='n'>answers</th>"
    yield "".join(f"<th class='n'>{escape(c['prompt'])}</th>" for c in act["candidates"]) + "</tr>"
    for name in names:
        found = [next((s for s in c["slices"] if s["slice"] == name), None) for c in act["candidates"]]
        n = next((s["n"] for s in found if s is not None), 0)
        cells = "".join(f"<td class='n'>{'-' if s is None else points(s['difference'])}</td>" for s in found)
        yield f"<tr><td>{escape(name)}</td><td class='n'>{n}</td>{cells}</tr>"
    yield "</table></div>"


def _flips(act: dict[str, Any]) -> Iterator[str]:
    for candidate in act["candidates"]:
        found = [flip for flip in act["flips"] if flip["candidate"] == candidate["prompt"]]
        if not found:
            continue
        yield f"<p><b>{escape(candidate['prompt'])}</b>: {candidate['flips']['worse']} for the worse, {candidate['flips']['better']} for the better."
        yield f"{'' if len(found) <= SHOWN_FLIPS else f' The first {SHOWN_FLIPS}:'}</p>"
        for flip in found[:SHOWN_FLIPS]:
            reference = flip["reference"]
            wanted = " / ".join(str(r) for r in reference) if isinstance(reference, list) else str(reference)
            kind = "fail" if flip["after"] < flip["before"] else "pass"
            yield f"<div class='case'><b>{escape(str(flip['inputs'].get('question', flip['case'])))}</b>"
            yield f"<span class='soft'> {escape(flip['case'])} · {escape(flip['endpoint'])} · wanted: {escape(wanted)}</span>"
            yield f"<div class='sides'><div><span class='soft'>live</span>\n{escape(flip['baseline_answer'])}</div>"
            yield f"<div><span class='{kind}'>candidate</span>\n{escape(flip['candidate_answer'])}</div></div></div>"


def _gate(act: dict[str, Any]) -> Iterator[str]:
    yield f"<p>{act['suites']} suites of {act['size']} questions for each change, drawn from the answers just made; margin {points(-act['margin'])}.</p>"
    yield "<div class='wide'><table><tr><th>change</th><th class='n'>true difference</th><th>gate</th><th class='n'>blocked</th>"
    yield "<th class='n'>undecided</th><th class='n'>passed</th></tr>"
    for row in act["rows"]:
        yield f"<tr><td>{escape(row['change'])}</td><td class='n'>{points(row['true_change'])}</td><td>{escape(row['gate'])}</td>"
        yield (
            "".join(
                f"<td class='n'>{percent(row[key], row['suites'])}</td>"
                for key in ("blocked", "inconclusive", "passed")
            )
            + "</tr>"
        )
    yield "</table></div>"


def _door(act: dict[str, Any]) -> Iterator[str]:
    ways = {"rest": "REST: PUT the label", "cli": "promptward label", "sync": "a label in a synced file"}
    yield "<p>Three ways to move <i>production</i> round a release, and what they are answered:</p>"
    yield "<div class='wide'><table><tr><th>way</th><th class='n'>status</th><th>why</th></tr>"
    for problem in act["refused"]:
        yield f"<tr><td>{escape(ways[problem['way']])}</td><td class='n fail'>{problem['status']}</td><td>{escape(problem['detail'])}</td></tr>"
    yield "</table></div>"
    yield from _timeline(act["release"])
    served = act["served"]
    yield f"<p>Then served through the official <i>openai</i> client as <i>{escape(served['model'])}</i>:</p>"
    yield f"<div class='sides'><div><b>{escape(served['question'])}</b></div><div>{escape(served['answer'] or '')}</div></div>"


def _people(act: dict[str, Any]) -> Iterator[str]:
    yield (
        f"<p>{act['ratings']} <b>simulated</b> ratings. Paused after {act['paused_after']}: {points(act['estimate'])} points of thumbs, "
        f"at most {points(act['high'])} at every look; it would take {act['flip_cost']} raters to change that verdict. One key with "
        f"{act['stuffed_votes']:,} votes under invented names moved the estimate by {act['stuffed_votes_effect']:g}.</p>"
    )
    yield from _timeline(act["release"])


def _timeline(release: dict[str, Any]) -> Iterator[str]:
    """What happened to a release, oldest first."""
    yield f"<p class='soft'>Release of {escape(release['prompt'])} on {escape(release['endpoint'])}, content {escape(release['bundle'][:19])}…</p>"
    yield "<div class='wide'><table><tr><th>time</th><th>state</th><th class='n'>share</th><th>by</th><th>why</th></tr>"
    for event in release["timeline"]:
        colour = {"live": "pass", "rolling_out": "pass", "paused": "inconclusive", "rolled_back": "fail"}.get(
            event["to"], ""
        )
        share_ = "" if event["share"] is None else f"{100 * event['share']:g} %"
        yield f"<tr><td>{escape(event['at'][11:19])}</td><td class='verdict {colour}'>{escape(event['to'].replace('_', ' '))}</td>"
        yield f"<td class='n'>{share_}</td><td>{escape(event['by'])}</td><td>{escape(event['reason'])}</td></tr>"
    yield "</table></div>"
