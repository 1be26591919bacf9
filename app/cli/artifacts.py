"""Artifacts of any kind: list, show, history, diff, label."""

from collections.abc import Callable
from typing import Any

import click
from promptward.artifacts import KINDS

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.output import short

kind_argument = click.argument("kind", type=click.Choice(KINDS), metavar="KIND")


def split(reference: str) -> tuple[str, str | None]:
    """`docs/answer@7` is `docs/answer` and `7`; without `@` there is no second part."""
    name, at, ref = reference.partition("@")
    if at and not ref:
        raise UserError(f"{reference!r} ends with @; write a number, a label or a digest after it")
    return name, ref or None


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    return kind_argument(click.argument("name")(function))


@click.command("list")
@kind_argument
@click.argument("query", required=False)
@click.option("--tag", help="Only those with this tag.")
@click.option("--label", help="Only those with this label.")
@common
async def list_(session: Session, kind: str, query: str | None, tag: str | None, label: str | None) -> None:
    """List or search the artifacts of a kind.

    KIND is one of prompts, rag-configs, tool-configs, endpoints, datasets, suites, rubrics, gate-policies.
    """
    async with session.client() as client:
        found = [a async for a in client.artifacts(kind).each(query, tag=tag, label=label)]
    session.out.data(found)
    rows = [
        [a["name"], a["version"], short(a["digest"]), [f"{k}={v}" for k, v in a["labels"].items()], a["description"]]
        for a in found
    ]
    session.out.table(["name", ">version", "digest", "labels", "description"], rows)


@click.command()
@kind_argument
@click.argument("reference")
@common
async def show(session: Session, kind: str, reference: str) -> None:
    """Show an artifact. REFERENCE is a name, name@7, name@label or name@sha256:…."""
    name, ref = split(reference)
    async with session.client() as client:
        version = await client.artifacts(kind).get(name, ref)
    session.out.data(version)
    session.out.fields(
        [
            ("name", version["name"]),
            ("version", version["version"]),
            ("digest", version["digest"]),
            ("labels", version["labels"] or None),
            ("message", version["message"] or None),
            ("author", version["author"]),
            ("created at", version["created_at"]),
            *((f"pin {pointer}", digest) for pointer, digest in version["pins"].items()),
        ]
    )
    session.out.line()
    session.out.yaml(version["content"])


@click.command()
@named
@click.option("--label", help="The moves of this label instead of the versions.")
@common
async def history(session: Session, kind: str, name: str, label: str | None) -> None:
    """List the versions of an artifact, or every move of one of its labels."""
    async with session.client() as client:
        artifacts = client.artifacts(kind)
        if label is not None:
            moves = [m async for m in artifacts.each_label_move(name, label)]
            session.out.data(moves)
            columns = ["from", "to", "who", "when", "reason"]
            session.out.table(columns, [[dict(m).get(c) for c in columns] for m in moves])
            return
        found = [v async for v in artifacts.each_version(name)]
    session.out.data(found)
    rows = [[v["version"], short(v["digest"]), v["labels"], v["created_at"], v["author"], v["message"]] for v in found]
    session.out.table([">version", "digest", "labels", "created at", "author", "message"], rows)


@click.command()
@named
@click.argument("from_", metavar="FROM")
@click.argument("to")
@common
async def diff(session: Session, kind: str, name: str, from_: str, to: str) -> None:
    """Show what changed between two versions: numbers, labels or digests."""
    async with session.client() as client:
        found = await client.artifacts(kind).diff(name, from_, to)
    session.out.data(found)
    session.out.unified(found["unified"])


@click.command()
@named
@click.argument("label")
@click.argument("version", required=False)
@click.option("--remove", is_flag=True, help="Remove the label instead.")
@click.option("--reason", help="Why; kept in the label's history.")
@common
async def label(
    session: Session, kind: str, name: str, label: str, version: str | None, remove: bool, reason: str | None
) -> None:
    """Put a label on a version, or remove it. An environment's label moves by a release alone."""
    if remove == (version is not None):
        raise UserError("give either a VERSION or --remove")
    async with session.client() as client:
        artifacts = client.artifacts(kind)
        if version is None:
            await artifacts.unlabel(name, label, reason=reason)
            session.out.data({"label": label, "version": None})
            session.out.line(f"removed the label {label} from {name}")
            return
        moved = await artifacts.label(name, label, int(version) if version.isdigit() else version, reason=reason)
    session.out.data(moved)
    session.out.line(f"{name}@{label} is now version {moved['version']}")
