"""Artifacts of any kind: list, show, history, diff, label."""

from collections.abc import Callable
from typing import Any

import click
from promptward.artifacts import KINDS
from promptward.shapes import VersionSummary

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
@click.option("--owner", help="Only this owner's.")
@click.option("--folder", help="Only those in this folder: what stands before a slash in names.")
@click.option("--archived", is_flag=True, help="Those that were archived instead.")
@click.option(
    "--sort", default="name", show_default=True, help="name, created_at or updated_at; - before it: downwards."
)
@common
async def list_(
    session: Session,
    kind: str,
    query: str | None,
    tag: str | None,
    label: str | None,
    owner: str | None,
    folder: str | None,
    archived: bool,
    sort: str,
) -> None:
    """List or search the artifacts of a kind.

    KIND is one of prompts, rag-configs, tool-configs, endpoints, datasets, suites, rubrics, gate-policies.
    """
    async with session.client() as client:
        chosen = client.artifacts(kind).each(
            query, tag=tag, label=label, owner=owner, folder=folder, archived=archived, sort=sort
        )
        found = [artifact async for artifact in chosen]
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
    rows = [
        [
            v["version"],
            short(v["digest"]),
            v["labels"],
            made_at(v),
            v["source"].get("author", v["author"]),
            v["message"],
        ]
        for v in found
    ]
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


def made_at(version: VersionSummary) -> str:
    """When a version was made: of an imported one, where it came from."""
    return str(version["source"].get("date", version["created_at"]))


@click.command()
@kind_argument
@click.argument("reference")
@click.option("--transitive", is_flag=True, help="Also what its dependencies depend on.")
@common
async def lineage(session: Session, kind: str, reference: str, transitive: bool) -> None:
    """Show what a version is made of, and what was made of it, run with it or released with it."""
    name, ref = split(reference)
    async with session.client() as client:
        artifacts = client.artifacts(kind)
        below = await artifacts.dependencies(name, ref or "latest", transitive=transitive)
        above = await artifacts.dependents(name, ref or "latest")
    session.out.data({"dependencies": below["items"], "dependents": above["items"], "used_by": above["used_by"]})
    out = session.out
    out.line(f"{name} refers to")
    rows = [[d["kind"], (d["versions"] or [short(d["digest"])])[0], d["path"], d["depth"]] for d in below["items"]]
    out.table(["kind", "version", "at", ">depth"], rows)
    out.line(f"{name} is referred to by")
    rows = [[d["kind"], f"{d['name']}@{d['version']}", d["path"], d["created_at"]] for d in above["items"]]
    out.table(["kind", "version", "at", "made at"], rows)
    if above["next_cursor"] is not None:
        out.note("only the first versions are shown; the API has all")
    used = above["used_by"]
    newest = {
        noun: f"{used[noun]['count']}  {', '.join(used[noun]['newest'][:3])}".strip() for noun in ("runs", "releases")
    }
    out.fields([("labels", used["labels"] or None), ("environments", used["environments"] or None), *newest.items()])


@click.command()
@named
@click.option("--reason", help="Why; kept in the audit.")
@common
async def archive(session: Session, kind: str, name: str, reason: str | None) -> None:
    """Take a name out of lists. Its versions stay, and references to them resolve."""
    async with session.client() as client:
        await client.artifacts(kind).archive(name, reason=reason)
    session.out.data({"name": name, "archived": True})
    session.out.line(f"archived {name}; `promptward restore {kind} {name}` brings it back")


@click.command()
@named
@click.option("--reason", help="Why; kept in the audit.")
@common
async def restore(session: Session, kind: str, name: str, reason: str | None) -> None:
    """Bring an archived name back into use."""
    async with session.client() as client:
        found = await client.artifacts(kind).restore(name, reason=reason)
    session.out.data(found)
    session.out.line(f"{name} is in use again, at version {found['version']}")
