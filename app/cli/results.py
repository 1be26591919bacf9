"""`promptward results`, `compare` and `export`: reading a run."""

from pathlib import Path
from typing import cast

import click
from promptward.runs import ExportFormat, Filters
from promptward.shapes import Result

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.files import replacing
from app.cli.output import Output, shown
from app.cli.run_report import PAIRED_COLUMNS, paired_row

TEXT = 70
FLIPS = 30
FORMATS = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}

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
    limit: int,
) -> None:
    """List the cells of a run: answers and scores."""
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


@click.command()
@run_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common
async def export(session: Session, run_id: str, file: Path) -> None:
    """Write all cells of a run to FILE: .jsonl, .csv or .parquet."""
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"{file}: the ending says the format; use {', '.join(FORMATS)}")
    size = 0
    async with session.client() as client:
        with replacing(file) as target:
            async for piece in client.runs.export(run_id, cast("ExportFormat", kind)):
                size += target.write(piece)
    session.out.data({"file": str(file), "format": kind, "bytes": size})
    session.out.line(f"wrote {file} ({size:,} bytes)")


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
