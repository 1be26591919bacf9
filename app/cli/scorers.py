import click
from promptward.shapes import Scorer

from app.cli.command import Session, common
from app.cli.output import Output, shown


@click.command()
@click.argument("name", required=False)
@common
async def scorers(session: Session, name: str | None) -> None:
    """List the scorers, or show one with its arguments."""
    async with session.client() as client:
        if name is not None:
            scorer = await client.scorers.get(name)
            session.out.data(scorer)
            _describe(session.out, scorer)
            return
        found = (await client.scorers.list())["items"]
    session.out.data(found)
    rows = [[s["name"], s["kind"], _values(s), s["summary"]] for s in found]
    session.out.table(["name", "kind", "values", "summary"], rows)


def _describe(out: Output, scorer: Scorer) -> None:
    out.line(f"{scorer['name']} (version {scorer['version']}, {scorer['kind']})")
    out.line()
    out.line(scorer["doc"])
    out.line()
    out.fields([("values", _values(scorer)), ("reads", scorer["needs"] or None), ("defined in", scorer["origin"])])
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
