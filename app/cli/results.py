"""`promptward results` and `compare`: reading a run."""

from typing import Literal

import click
from promptward.runs import Filters
from promptward.shapes import Result

from app.cli import beside
from app.cli.command import Session, common
from app.cli.output import Output, shown
from app.cli.run_report import PAIRED_COLUMNS, paired_row

TEXT = 70
FLIPS = 30

run_argument = click.argument("run_id", metavar="RUN")


@click.command()
@run_argument
@click.option("--variant", help="Only this variant or candidate.")
@click.option("--case", help="Only this case.")
@click.option("--status", help="Only cells that are cached, answered, failed, errored or cancelled.")
@click.option("--tag", help="Only cases with this tag.")
@click.option("--metric", help="With --passed or --not-passed: the metric that is meant.")
@click.option("--passed/--not-passed", default=None, help="Only cells whose --metric passed, or did not.")
@click.option("--failed", is_flag=True, help="Only cells where some metric did not pass.")
@click.option(
    "--flipped-against",
    metavar="BASELINE",
    help="Only cases that changed sides against this candidate or variant; goes with --variant.",
)
@click.option("--q", metavar="TEXT", help="Only answers with this text.")
@click.option("--q-in", type=click.Choice(["answer", "inputs", "explanation", "any"]), help="Where --q is sought.")
@click.option("--slice", "part", metavar="FIELD=VALUE", help="Only cases with metadata.<field>=<value>, or tag=<tag>.")
@click.option("--min", "least", type=float, help="Only cells whose --metric is at least this.")
@click.option("--max", "most", type=float, help="Only cells whose --metric is at most this.")
@click.option("--error-kind", help="Only cells that were lost to this kind of error.")
@click.option("--slower-than", type=float, metavar="MS", help="Only answers that took longer.")
@click.option(
    "--side-by-side", is_flag=True, help="Cases with all variants beside each other; goes with --case, --tag, --slice."
)
@click.option("--by", metavar="FIELD", help="Metrics by slice instead: tag, or metadata.<field>.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@common
async def results(
    session: Session,
    run_id: str,
    variant: str | None,
    case: str | None,
    status: str | None,
    tag: str | None,
    metric: str | None,
    passed: bool | None,
    failed: bool,
    flipped_against: str | None,
    q: str | None,
    q_in: Literal["answer", "inputs", "explanation", "any"] | None,
    part: str | None,
    least: float | None,
    most: float | None,
    error_kind: str | None,
    slower_than: float | None,
    side_by_side: bool,
    by: str | None,
    limit: int,
) -> None:
    """List the cells of a run: answers and scores. Or its cases side by side, or its metrics by slice."""
    of_cells = [status, metric, passed, failed or None, flipped_against, q, q_in, least, most, error_kind, slower_than]
    if (by is not None or side_by_side) and any(given is not None for given in of_cells):
        raise click.UsageError("--side-by-side and --by show whole cases; leave out the options that choose cells")
    if by is not None:
        await beside.by_slice(session, run_id, by)
        return
    if side_by_side:
        await beside.side_by_side(session, run_id, case, tag, part, variant, limit)
        return
    filters = Filters(
        variant=variant,
        case=case,
        status=status,
        tag=tag,
        metric=metric,
        passed=passed,
        failed=failed or None,
        flipped_against=flipped_against,
        q=q,
        q_in=q_in,
        slice=part,
        min=least,
        max=most,
        error_kind=error_kind,
        slower_than_ms=slower_than,
    )
    found: list[Result] = []
    async with session.client() as client:
        async for result in client.runs.each_result(run_id, **filters):
            if len(found) == limit:
                session.out.note(f"only the first {limit} are shown; see --limit, or `promptward export {run_id} FILE`")
                break
            found.append(result)
    session.out.data(found)
    rows = [[r["variant"], r["case"], r["repeat"], r["status"], _scores(r), _text(r)] for r in found]
    session.out.table(["variant", "case", ">repeat", "status", "scores", "answer"], rows)


@click.command()
@run_argument
@click.option("--candidate", help="A candidate or variant; by default the run's only candidate.")
@click.option("--baseline", help="Likewise, or `<run>/<id>` of another run; by default the run's baseline.")
@click.option("--slices", is_flag=True, help="Also every tag apart.")
@common
async def compare(session: Session, run_id: str, candidate: str | None, baseline: str | None, slices: bool) -> None:
    """Compare two candidates or variants, paired by case, and show the cases that changed sides."""
    async with session.client() as client:
        found = await client.runs.comparison(run_id, candidate=candidate, baseline=baseline)
    out = session.out
    out.data(found)
    metrics = [m for m in found["metrics"] if slices or m["slice"] is None]
    out.line(f"{found['candidate']} against {found['baseline']}")
    out.table(["slice", *PAIRED_COLUMNS], [[m["slice"] or "all", *paired_row(m)] for m in metrics])
    _flips(out, [[f["case"], f["metric"], f["from"], f["to"], f["candidate"], f["baseline"]] for f in found["flips"]])


def _flips(out: Output, rows: list[list[object]]) -> None:
    out.line(f"{len(rows)} cases changed sides")
    if rows:
        out.table(["case", "metric", ">from", ">to", "candidate", "baseline"], rows[:FLIPS])
    if len(rows) > FLIPS:
        out.note(f"only the first {FLIPS} are shown; --json has all")


def _scores(result: Result) -> str:
    return "  ".join(
        f"{name} {shown(score['value']) if score['status'] == 'ok' else score['status']}"
        for name, score in result["scores"].items()
    )


def _text(result: Result) -> str:
    answer = result["answer"]
    text = " ".join(((answer["text"] if answer else None) or result["error"] or "").split())
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"
