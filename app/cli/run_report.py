"""A finished run as tables: what each variant scored, and how each candidate stands against the baseline."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from promptward import AsyncClient
from promptward.shapes import Cells, PairedMetric, Run

from app.cli.exits import Exit
from app.cli.output import Output, dollars, shown

BASELINE = "baseline"
FIGURES: tuple[Literal["n", "mean", "low", "high", "missing"], ...] = ("n", "mean", "low", "high", "missing")


def exit_code(run: Run) -> Exit:
    """A run is no gate: what its scores are never decides the code, only whether it could be finished."""
    match run["status"]:
        case "budget":
            return Exit.BUDGET
        case "cancelled":
            return Exit.INTERRUPTED
        case "failed":
            return Exit.TROUBLE
        case _:
            return Exit.TROUBLE if run["cells"]["errored"] else Exit.PASS


async def show(out: Output, client: AsyncClient, run: Run) -> None:
    """Prints a run; with a baseline also every candidate's comparison with it."""
    candidates = [c["id"] for c in run["candidates"] if c["id"] != BASELINE]
    compared = len(candidates) < len(run["candidates"])
    comparisons = [
        await client.runs.comparison(run["id"], candidate=candidate, baseline=BASELINE)
        for candidate in (candidates if compared else [])
    ]
    out.data({**run, "comparisons": comparisons})
    _metrics(out, run)
    if comparisons:
        rows = [
            [comparison["candidate"], *paired_row(metric)]
            for comparison in comparisons
            for metric in comparison["metrics"]
            if metric["slice"] is None
        ]
        out.table(["candidate", *PAIRED_COLUMNS], rows)
    out.line(
        f"{run['status']}: {told(run['cells'])}; {dollars(run['cost_usd'])} for answers, {dollars(run['judge_cost_usd'])} for judging"
    )
    if run["reason"]:
        out.note(run["reason"])
    if run["errors"]:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in run["errors"].items())
        out.note(f"errored cells ({kinds}) have no score; see: promptward results {run['id']} --status errored")
    elif missing := _missing(run):  # a cell without an answer lacks every score, which is said already
        counted = ", ".join(f"{count} x {name}" for name, count in missing.items())
        out.note(
            f"scores are missing ({counted}): a judge or a scorer failed; see: promptward results {run['id']} --json"
        )


PAIRED_COLUMNS = ["metric", ">n", ">baseline", ">candidate", ">difference", ">low", ">high", ">p worse", ">p McNemar"]


def paired_row(metric: PairedMetric) -> list[object]:
    """The figures of `PAIRED_COLUMNS`."""
    numbers = (metric["baseline"], metric["candidate"])
    signed = (metric["difference"], metric["low"], metric["high"])
    chances = (metric["p_worse"], metric["p_mcnemar"])
    return [
        metric["metric"],
        metric["n"],
        *(shown(n) for n in numbers),
        *("-" if n is None else f"{n:+.4g}" for n in signed),
        *("-" if p is None else f"{p:.3g}" for p in chances),
    ]


def told(cells: Cells | Mapping[str, int]) -> str:
    """Counters as a sentence; those that are zero are left out."""
    counts = dict(cells)
    planned = counts.pop("planned")
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    return f"{planned} cells" + (f" ({', '.join(parts)})" if parts else "")


def _missing(run: Run) -> dict[str, int]:
    """How many cases lack each metric, over all variants; without those that none lacks."""
    counts: Counter[str] = Counter()
    for variant in run["variants"]:
        counts.update({name: metric["missing"] for name, metric in variant["metrics"].items() if metric["missing"]})
    return dict(counts)


def _metrics(out: Output, run: Run) -> None:
    """A line per variant and metric; what is the variant's own stands on its first line alone."""
    rows: list[list[object]] = []
    for variant in run["variants"]:
        own = [variant["id"], variant["prompt"], variant["endpoint"], dollars(variant["cost_usd"])]
        for name, metric in variant["metrics"].items():
            rows.append([*own, name, *(metric[figure] for figure in FIGURES)])
            own = [""] * len(own)
    out.table(["variant", "prompt", "endpoint", ">cost", "metric", *(f">{figure}" for figure in FIGURES)], rows)
