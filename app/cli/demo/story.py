"""What the demo says on the terminal."""

from typing import Any

from app.cli.check_report import WORDS, one_line, where
from app.cli.output import Output, dollars, share

SHOWN_FLIPS = 2


def opening(out: Output) -> None:
    out.line("Promptward demo: a documentation assistant for Promptward itself, offline.")
    out.line(
        "The two models are the development model's. It is not a language model: it picks sentences out of the context."
    )
    out.line()


def evaluate(out: Output, act: dict[str, Any]) -> None:
    cells = act["cells"]
    out.line("ACT ONE: is the change better, on which model, for which kind of question, and is the difference real?")
    out.line(
        f"{act['cases']} questions, 2 models, 3 candidates against the live prompt: {cells['planned']:,} cells, "
        f"{cells['answered']:,} calls ({cells['cached']:,} answers were known already)"
    )
    rows: list[tuple[object, ...]] = []
    for entry in act["baseline"]["endpoints"]:
        rows.append((act["baseline"]["prompt"], short(entry["endpoint"]), share(entry["mean"]), "", "", "live"))
    for candidate in act["candidates"]:
        for entry in candidate["endpoints"]:
            rows.append(
                (
                    candidate["prompt"],
                    short(entry["endpoint"]),
                    share(entry["candidate"]),
                    points(entry["difference"]),
                    between(entry),
                    "",
                )
            )
        overall = candidate["overall"]
        rows.append(
            (
                "  " + candidate["title"],
                "both",
                share(overall["candidate"]),
                points(overall["difference"]),
                between(overall),
                WORDS[candidate["verdict"]],
            )
        )
    out.table(["candidate", "model", ">correct", ">difference", ">90 % interval", "verdict"], rows)
    for candidate in act["candidates"]:
        out.line(
            f"{candidate['prompt']}: {WORDS[candidate['verdict']]}; {candidate['calls']} calls, {dollars(candidate['cost_usd'])} at the example's prices"
        )
        for rule in candidate["rules"]:
            if rule["verdict"] == "fail":
                out.line(
                    f"  {rule['rule']} {where(rule)}: {points(rule['estimate'])}, at best {points(rule['high'])} on {rule['n']} questions"
                )
    shown = [
        flip
        for flip in act["flips"]
        if flip["after"] < flip["before"] and flip["candidate"] == act["candidates"][-1]["prompt"]
    ]
    if shown:
        last = act["candidates"][-1]
        out.line()
        out.line(
            f"{last['prompt']} changed sides on {last['flips']['worse']} answers for the worse and {last['flips']['better']} for the better; two of them:"
        )
    for flip in shown[:SHOWN_FLIPS]:
        out.line(f"  {flip['case']} on {flip['endpoint']}: {flip['inputs'].get('question', '')}")
        out.line(f"    live:       {one_line(flip['baseline_answer'], 110)}")
        out.line(f"    candidate:  {one_line(flip['candidate_answer'], 110)}")
    out.line()


def gate(out: Output, act: dict[str, Any]) -> None:
    out.line(
        "ACT TWO: is the gate right? "
        f"{act['suites']} small suites of {act['size']} questions, drawn from the answers just made"
    )
    changes = list(dict.fromkeys(row["change"] for row in act["rows"]))
    true = {row["change"]: row["true_change"] for row in act["rows"]}
    names = list(dict.fromkeys(row["gate"] for row in act["rows"]))
    found = {(row["gate"], row["change"]): row for row in act["rows"]}
    rows = []
    for name in names:
        cells: list[object] = [name]
        for change in changes:
            row = found[name, change]
            cells += [
                percent(row["blocked"], row["suites"]),
                percent(row["inconclusive"], row["suites"]),
                percent(row["passed"], row["suites"]),
            ]
        rows.append(cells)
    columns = ["gate"]
    for change in changes:
        columns += [f">{change}: blocked", ">undecided", ">passed"]
    out.line("; ".join(f"{change}: the true difference is {points(true[change])}" for change in changes))
    out.table(columns, rows)
    noop, regression = (found["promptward", change] for change in changes[:2])
    out.line(
        f"promptward blocked {percent(noop['blocked'], noop['suites'])} of the edits that did nothing and passed "
        f"{percent(regression['passed'], regression['suites'])} of the regressions; it said so when {act['size']} questions could not tell."
    )
    out.line()


def door(out: Output, act: dict[str, Any]) -> None:
    out.line("ACT THREE: the door. Nothing reaches production but a release whose gate passed on exactly that content")
    ways = {"rest": "REST, PUT its label", "cli": "promptward label", "sync": "a label in a synced file"}
    for problem in act["refused"]:
        out.line(f"  {ways[problem['way']]:<26} {problem['status']} {problem['type']}")
    out.line(f"  why: {act['refused'][0]['detail']}")
    release = act["release"]
    for verdict in release["verdicts"]:
        out.line(
            f"promptward ship: {release['prompt']} on {release['endpoint']}, {verdict['suite']}: {verdict['headline']}"
        )
    out.line(f"  {release['state']}; the label production is on version {act['label']['version']}")
    answer = one_line(act["served"]["answer"], 100)
    out.line(f"Served through the official openai client, model {act['served']['model']}, with a signed receipt:")
    out.line(f"  {act['served']['question']}")
    out.line(f"  {answer}")
    out.line()


def people(out: Output, act: dict[str, Any]) -> None:
    release = act["release"]
    out.line(
        "ACT FOUR: the people. A release that tested fine is shown to half of them, and they decide (ratings simulated)"
    )
    out.line(
        f"{release['prompt']} passed its gate ({WORDS[act['tested']]}) and is rolled out beside what is live; "
        f"{act['ratings']} simulated ratings come in through POST /api/v1/feedback"
    )
    out.line(
        f"  paused after {act['paused_after']} ratings: {points(act['estimate'])} points of thumbs, at most {points(act['high'])} "
        f"whenever one looks; it would take {act['flip_cost']} raters to change that verdict"
    )
    out.line(
        f"  one key with {act['stuffed_votes']:,} votes under invented names moved the estimate by {act['stuffed_votes_effect']:g}"
    )
    out.line(f"  {act['rollout'].replace('_', ' ')} when the stars agreed; what was live before is live for everybody")
    audit = act["audit"]
    out.line(f"  every step is in the audit: {'the chain is whole' if audit['ok'] else 'THE CHAIN IS BROKEN'}")
    out.line()


def ending(out: Output, report: str, seconds: float) -> None:
    out.line(f"Written: {report}. Took {seconds:.1f} s. Next: `promptward init` in a folder of your own.")


def short(ref: str) -> str:
    return ref.partition("@")[0]


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "-" if value is None else f"{100 * value:+.1f}"


def between(row: dict[str, Any]) -> str:
    return f"{points(row['low'])} to {points(row['high'])}"


def percent(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %"
