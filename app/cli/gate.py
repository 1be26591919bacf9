"""`promptward gate`: check policies before they judge anything, and see how often a gate would have blocked."""

from pathlib import Path
from typing import Any

import click
from promptward import AsyncClient, FieldProblem, PromptwardError

from app.cli.artifacts import split
from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.project import File, packed
from app.settings import PROJECT_FILE

SENT_AS = "prompts/policy.policy.yaml"


@click.group()
def gate() -> None:
    """Work on gate policies."""


@gate.command()
@click.argument("given", metavar="FILE|NAME")
@common
async def lint(session: Session, given: str) -> None:
    """Check a policy file, every policy in a promptward.yaml, or one in the registry. Nothing is kept."""
    file = _read(given)
    async with session.client() as client:
        if file is not None:
            found = await _in_file(client, file, given)
        else:
            stored = await client.artifacts("gate-policies").get(*split(given))
            found = [(f"{stored['name']}@{stored['version']}", stored["content"])]
    session.out.data([{"name": name, "content": content} for name, content in found])
    for name, content in found:
        count = len(content.get("rules", []))
        session.out.line(f"{name}: valid, {count} rule{'s' * (count != 1)}")


def _read(given: str) -> File | None:
    """The file as it is sent, at the place where the service looks for its kind; None when a name was given."""
    path = Path(given)
    if path.is_file():
        return packed(PROJECT_FILE if path.name == PROJECT_FILE else SENT_AS, path.read_bytes())
    if path.suffix in (".yaml", ".yml"):
        raise UserError(f"there is no file {given}")
    return None


async def _in_file(client: AsyncClient, file: File, shown: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        found = await client.sync([file.payload()], "plan")
    except PromptwardError as error:
        if error.slug != "invalid-content":
            raise
        places = [FieldProblem(e.pointer.replace(file.path, shown), e.detail) for e in error.errors]
        raise UserError(error.detail.replace(file.path, shown), places) from error
    policies = [item for item in found["items"] if item["kind"] == "gate-policies"]
    if not policies:
        raise UserError(f"{shown} declares no gate policies")
    return [(item["name"] if file.path == PROJECT_FILE else shown, item["content"]) for item in policies]


@gate.command()
@click.argument("run_id", metavar="RUN")
@click.argument("metric")
@click.option(
    "--change",
    "changes",
    nargs=2,
    multiple=True,
    metavar="CANDIDATE BASELINE",
    help="Two variants of the run, or <run>/<variant>; may be given several times.",
)
@click.option(
    "--neutral",
    "neutrals",
    nargs=2,
    multiple=True,
    metavar="VARIANT VARIANT",
    help="The same, taken in both orders: a change that does nothing.",
)
@click.option("--margin", type=float, help="The drop that the gate tolerates.  [default: 0.05]")
@click.option("--size", type=int, help="Cases in each suite.  [default: 50]")
@click.option("--suites", type=int, help="How many suites are drawn.  [default: 200]")
@click.option("--seed", type=int, help="Decides which cases are drawn.  [default: 0]")
@common
async def backtest(
    session: Session,
    run_id: str,
    metric: str,
    changes: tuple[tuple[str, str], ...],
    neutrals: tuple[tuple[str, str], ...],
    margin: float | None,
    size: int | None,
    suites: int | None,
    seed: int | None,
) -> None:
    """How often would which gate have blocked? From the recorded answers of RUN many small suites are drawn.

    Variants are such as c1:dev/large; `promptward runs show RUN` lists them.
    """
    if not changes and not neutrals:
        raise UserError("give at least one --change CANDIDATE BASELINE or --neutral VARIANT VARIANT")
    asked = [_change(run_id, f"{one} against {other}", one, other) for one, other in changes]
    asked += [_change(run_id, f"{one} and {other} in both orders", one, other, neutral=True) for one, other in neutrals]
    async with session.client() as client:
        found = await client.gates.backtest(metric, asked, margin=margin, size=size, suites=suites, seed=seed)
    session.out.data(found)
    session.out.line(
        f"{found['suites']} suites of {found['size']} cases; metric {found['metric']}, margin {found['margin']:g}"
    )
    rows = [
        [
            row["change"],
            f"{row['true_change']:+.4f}",
            row["gate"],
            *(f"{row[outcome] / row['suites']:.1%}" for outcome in ("blocked", "passed", "inconclusive")),
        ]
        for row in found["rows"]
    ]
    session.out.table(["change", ">true change", "gate", ">blocked", ">passed", ">inconclusive"], rows)


def _change(run_id: str, name: str, *sides: str, neutral: bool = False) -> dict[str, Any]:
    candidate, baseline = (side if side.startswith("run_") else f"{run_id}/{side}" for side in sides)
    return {"name": name, "candidate": candidate, "baseline": baseline, "neutral": neutral}
