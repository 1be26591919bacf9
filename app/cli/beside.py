"""What `promptward results` shows beside its list: cases side by side, and metrics by slice."""

from collections.abc import Sequence

from promptward.shapes import CaseCell, RunCase, SliceMetric

from app.cli.command import Session
from app.cli.output import Output, share, shown

TEXT = 300


async def side_by_side(
    session: Session, run_id: str, case: str | None, tag: str | None, part: str | None, variant: str | None, limit: int
) -> None:
    """Each case with the answers of all variants, and what differs."""
    found: list[RunCase] = []
    async with session.client() as client:
        variants = [] if variant is None else [variant]
        async for one in client.runs.each_case(run_id, case=case, tag=tag, slice=part, variants=variants):
            if len(found) == limit:
                session.out.note(f"only the first {limit} cases are shown; see --limit")
                break
            found.append(one)
    session.out.data(found)
    for one in found:
        _case(session.out, one)
    if not found:
        session.out.note("nothing found")


def _case(out: Output, case: RunCase) -> None:
    differs = ", ".join(case["differs"])
    out.line(f"{case['case']}: {'differs in ' + differs if differs else 'all alike'}")
    out.fields([*((f"  {name}", _short(shown(value))) for name, value in case["inputs"].items())])
    if case["reference"] is not None:
        out.fields([("  reference", _short(shown(case["reference"])))])
    rows = [[_name(cell, case["cells"]), cell["status"], _scores(cell), _answer(cell)] for cell in case["cells"]]
    out.table(["variant", "status", "scores", "answer"], rows)


def _name(cell: CaseCell, cells: Sequence[CaseCell]) -> str:
    return f"{cell['variant']} #{cell['repeat']}" if any(other["repeat"] for other in cells) else cell["variant"]


def _scores(cell: CaseCell) -> str:
    return "  ".join(
        f"{name} {shown(score['value']) if score['status'] == 'ok' else score['status']}"
        for name, score in cell["scores"].items()
    )


def _answer(cell: CaseCell) -> str:
    answer = cell["answer"]
    return _short((answer["text"] if answer else None) or cell["error"] or "")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


async def by_slice(session: Session, run_id: str, by: str) -> None:
    """Each metric of each variant over all cases and over those of each slice."""
    async with session.client() as client:
        found = await client.runs.summary(run_id, by)
    session.out.data(found)
    columns = ["variant", "metric", by, ">n", ">missing", ">mean", ">low", ">high", ""]
    session.out.table(columns, [_row(one) for one in found["slices"]])


def _row(one: SliceMetric) -> list[object]:
    name = "all" if one["slice"] is None else one["slice"]
    figures = [share(one["mean"]), share(one["low"]), share(one["high"])]
    return [
        one["variant"],
        one["metric"],
        name,
        one["n"],
        one["missing"],
        *figures,
        "few cases" if one["small"] else "",
    ]
