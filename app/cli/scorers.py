from typing import Literal

import click
from promptward.shapes import Scorer

from app.cli.command import Session, common
from app.cli.output import Output, shown


@click.command()
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(["code", "judge"]), help="Only those that compute, or that ask a model.")
@click.option("--needs", metavar="NEED", help="Only those that read this: reference, chunks, judge, …")
@click.option("-q", "text", metavar="TEXT", help="Only those whose name or documentation has this text.")
@common
async def scorers(
    session: Session, name: str | None, kind: Literal["code", "judge"] | None, needs: str | None, text: str | None
) -> None:
    """List the scorers by family, or show one with its arguments."""
    async with session.client() as client:
        if name is not None:
            scorer = await client.scorers.get(name)
            session.out.data(scorer)
            _describe(session.out, scorer)
            return
        found = (await client.scorers.list(kind=kind, needs=needs, q=text))["items"]
    session.out.data(found)
    rows = [
        [s["family"], s["name"], ", ".join(s["needs"]) or "output alone", _values(s), _summary(s)]
        for s in sorted(found, key=lambda s: (s["family"], s["name"]))
    ]
    session.out.table(["family", "name", "needs", "values", "summary"], rows)


def _summary(scorer: Scorer) -> str:
    return scorer["summary"] if scorer["available"] else f"needs promptward[{scorer['extra']}]: {scorer['summary']}"


def _describe(out: Output, scorer: Scorer) -> None:
    out.line(f"{scorer['name']} (version {scorer['version']}, {scorer['kind']})")
    out.line()
    out.line(scorer["doc"])
    out.line()
    lacks = None if scorer["available"] else f"packages that promptward[{scorer['extra']}] installs"
    out.fields(
        [
            ("values", _values(scorer)),
            ("reads", scorer["needs"] or None),
            ("lacks", lacks),
            ("defined in", scorer["origin"]),
        ]
    )
    required = scorer["schema"].get("required", [])
    rows = [
        [argument, _type(schema), "" if argument in required else schema.get("default"), schema.get("description", "")]
        for argument, schema in scorer["schema"].get("properties", {}).items()
    ]
    out.table(["argument", "type", "default", "description"], rows)


def _values(scorer: Scorer) -> str:
    scale = scorer["value_range"]
    top = "" if scale["high"] is None else shown(scale["high"])
    better = "higher" if scale["direction"] == "maximize" else "lower"
    return f"{shown(scale['low'])} to {top or 'any'}{' ' + scale['unit'] if scale['unit'] else ''}, {better} is better"


def _type(schema: dict[str, object]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])  # type: ignore[attr-defined]
    options = schema.get("anyOf")
    if isinstance(options, list):
        return " | ".join(_type(option) for option in options)
    return str(schema.get("type", schema.get("$ref", "any"))).rpartition("/")[2]
