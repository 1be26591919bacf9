"""`promptward datasets`: files into versions and out of them, items, what a dataset holds, and what it must not."""

from pathlib import Path
from typing import Any, BinaryIO

import click

from app.cli.artifacts import split
from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.files import replacing
from app.cli.output import shown

MEDIA_TYPES = {".jsonl": "application/x-ndjson", ".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
SHOWN = 20


@click.group()
def datasets() -> None:
    """Upload and download datasets, look into them, erase from them."""


def _media_type(file: Path) -> str:
    kind = MEDIA_TYPES.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"{file}: the ending says the format; use {', '.join(MEDIA_TYPES)}")
    return kind


@datasets.command()
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@click.option("--map", "columns", multiple=True, metavar="COLUMN:PART", help="Such as Question:inputs.question.")
@click.option("--message", help="Kept with the version.")
@click.option("--description", help="What it is.")
@click.option(
    "--sensitivity",
    type=click.Choice(["public", "internal", "confidential", "personal"]),
    help="Of all values; who may see less gets them masked.",
)
@common
async def upload(
    session: Session,
    name: str,
    file: BinaryIO,
    columns: tuple[str, ...],
    message: str | None,
    description: str | None,
    sensitivity: str | None,
) -> None:
    """Make a version from a file: .jsonl, .csv or .parquet."""
    media_type = _media_type(Path(file.name))
    placed: dict[str, str] = {}
    for text in columns:
        column, colon, part = text.rpartition(":")
        if not colon or not column or column in placed:
            raise UserError(
                f"--map {text!r}: write COLUMN:PART once per column, such as --map Question:inputs.question"
            )
        placed[column] = part
    async with session.client() as client:
        version = await client.datasets.upload(
            name,
            file.read(),
            media_type,
            columns=placed,
            message=message,
            description=description,
            sensitivity=sensitivity,
        )
    session.out.data(version)
    session.out.line(f"{name}@{version['version']}: {version['content']['items']['count']:,} items")
    for warning in version.get("warnings", []):
        session.out.note(f"{warning['pointer']}: {warning['detail']}")


@datasets.command()
@click.argument("reference")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common
async def download(session: Session, reference: str, file: Path) -> None:
    """Write a version to FILE: .jsonl (gives the same version again), .csv or .parquet."""
    _media_type(file)
    name, ref = split(reference)
    size = 0
    async with session.client() as client:
        with replacing(file) as out:
            async for piece in client.datasets.export(name, ref or "latest", file.suffix.lower()[1:]):
                size += out.write(piece)
    session.out.data({"file": str(file), "bytes": size})
    session.out.line(f"wrote {file} ({size:,} bytes)")


@datasets.command()
@click.argument("reference")
@click.option("--tag", help="Only items with this tag.")
@click.option("--split", "part", help="Only items of this split.")
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True)
@common
async def items(session: Session, reference: str, tag: str | None, part: str | None, limit: int) -> None:
    """Show the items of a version."""
    name, ref = split(reference)
    found: list[dict[str, Any]] = []
    async with session.client() as client:
        async for item in client.datasets.items(name, ref or "latest", tag=tag, split=part):
            if len(found) == limit:
                session.out.note(f"only the first {limit} are shown; --limit shows more")
                break
            found.append(item)
    session.out.data(found)
    rows = [
        [i["id"], i["split"], i["tags"], "erased" if i["erased"] else shown(i["inputs"]), shown(i["reference"])]
        for i in found
    ]
    session.out.table(["id", "split", "tags", "inputs", "reference"], rows)


@datasets.command()
@click.argument("reference")
@click.option(
    "--threshold", type=click.FloatRange(0.5, 1.0), default=0.9, show_default=True, help="How alike is alike."
)
@common
async def report(session: Session, reference: str, threshold: float) -> None:
    """Show duplicates, leakage between splits and into prompts' examples, and what looks personal or secret."""
    name, ref = split(reference)
    async with session.client() as client:
        found = await client.datasets.report(name, ref or "latest", threshold=threshold)
    out = session.out
    out.data(found)
    out.fields([("items", found["items"]), ("splits", found["splits"] or None), ("erased", found["erased"] or None)])
    for title, key in (("alike", "duplicates"), ("leaks: alike across splits, or in a prompt's examples", "leakage")):
        part = found[key]
        out.line(f"{part['total']} pairs {title}")
        rows = [[p["a"], p["a_group"], p["b"], p["b_group"], f"{p['similarity']:.2f}"] for p in part["pairs"][:SHOWN]]
        out.table(["item", "of", "item ", "of ", ">alike"], rows)
        if not part["complete"]:
            out.note(part["reason"])
    sensitive = found["sensitive"]
    out.line(f"{sensitive['items']} items with something that looks personal or secret")
    out.table(["kind", ">items"], [[kind, count] for kind, count in sensitive["kinds"].items()])


@datasets.command()
@click.argument("name")
@click.option("--id", "ids", multiple=True, help="An item's id; may come several times.")
@click.option("--field", help="Items where this part, such as metadata.person …")
@click.option("--equals", help="… is this.")
@click.option("--reason", required=True, help="Why; kept in the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
async def erase(
    session: Session, name: str, ids: tuple[str, ...], field: str | None, equals: str | None, reason: str, yes: bool
) -> None:
    """Erase a person's items from every version, for good. Digests stay."""
    if not yes:
        click.confirm(f"Erase items of {name} for good?", abort=True, err=True)
    async with session.client() as client:
        done = await client.datasets.erase(name, reason, ids=ids, field=field, equals=equals)
    session.out.data(done)
    session.out.line(f"erased {done['items']} items, which were in {done['versions']} versions")
