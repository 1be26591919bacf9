"""What a run will take, shown before it begins; and whether to begin."""

import sys
from pathlib import Path
from typing import Any

import click
from promptward.shapes import RunPlan

from app.cli.command import Session
from app.cli.exits import UserError
from app.cli.output import Output, dollars
from app.cli.project import find_root
from app.settings import PROJECT_FILE

CONFIRM_ABOVE_USD = 1.0
"""Where the project file does not say `budgets: {confirm_above_usd: …}`."""
COLUMNS = ["endpoint", "for", ">cells", ">known", ">calls", ">tokens in", ">tokens out", ">cost", ">time", "based on"]


def show_plan(out: Output, plan: RunPlan, *, aside: bool) -> None:
    """A line per endpoint, and one for all. `aside`: on stderr, before the results."""
    rows = [
        [
            row["endpoint"],
            row["role"],
            row["cells"],
            row["cached"],
            row["calls"],
            row["prompt_tokens"],
            row["completion_tokens"],
            dollars(row["cost_usd"]),
            duration(row["seconds"]),
            row["based_on"] if row["calls"] else "",
        ]
        for row in plan["endpoints"]
    ]
    if plan["calls"] or not aside:
        out.table(COLUMNS, rows, aside=aside)
    expected, most = dollars(plan["expected_cost_usd"]), dollars(plan["estimated_cost_usd"])
    cost = "no price" if plan["expected_cost_usd"] is None else f"about {expected} (at most {most})"
    told = f"plan: {plan['cells']} cells, {plan['cached']} known, {plan['calls']} calls, {cost}, {duration(plan['estimated_s'])}"
    if aside:
        out.note(told)
    else:
        out.line(told)


def confirm(session: Session, plan: RunPlan, *, bounded: bool) -> bool:
    """Whether to begin: a run that is expected to cost more than the project's limit is asked about on a terminal.

    `bounded`: the user has said yes, or set a budget. Raises `UserError` where nobody can be asked.
    """
    limit, cost = confirm_above(), plan["expected_cost_usd"]
    if bounded or cost is None or cost <= limit or not plan["calls"]:
        return True
    if session.out.as_json or not sys.stdin.isatty():
        raise UserError(
            f"the run is expected to cost {dollars(cost)}, more than {dollars(limit)} (budgets.confirm_above_usd of "
            f"{PROJECT_FILE}): start it with --yes, or bound it with --budget USD"
        )
    return click.confirm(f"Expected to cost {dollars(cost)}. Go on?", default=False, err=True)


def confirm_above() -> float:
    """The limit of the project that the working folder lies in."""
    import yaml

    try:
        file: Path = find_root() / PROJECT_FILE
    except UserError:
        return CONFIRM_ABOVE_USD
    try:
        content: Any = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    budgets = content.get("budgets") if isinstance(content, dict) else None
    limit = budgets.get("confirm_above_usd", CONFIRM_ABOVE_USD) if isinstance(budgets, dict) else CONFIRM_ABOVE_USD
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0:
        raise UserError(f"{file}: budgets.confirm_above_usd is {limit!r}; it is dollars, 0 or more")
    return float(limit)


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.1f} s"
    if seconds < 3_600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"
