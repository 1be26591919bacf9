"""`promptward run`: evaluate a suite, watch it, and see what came of it."""

import json
from typing import Any

import click

from app.cli.command import Session, allow_code, common
from app.cli.exits import Exit, UserError
from app.cli.parts import NONE, Parts, parsed_candidate
from app.cli.plan import confirm, show_plan
from app.cli.progress import follow
from app.cli.run_report import exit_code, show

LISTS = {"prompt": "prompts", "rag_config": "rag_configs", "tool_config": "tool_configs", "endpoint": "endpoints"}


@click.command()
@click.argument("suite", metavar="SUITE")
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="FILE|REF|prompt=…,endpoint=…",
    help="What to evaluate; may be given several times. Also rag_config=… and tool_config=… (a reference, a file, none).",
)
@click.option("--prompt", "prompts", multiple=True, metavar="FILE|REF", help="Every combination with the next four.")
@click.option("--rag", "rag_configs", multiple=True, metavar="FILE|REF|none", help="Several times: each of them.")
@click.option("--tools", "tool_configs", multiple=True, metavar="FILE|REF|none", help="Likewise.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="REF", help="Likewise; else the suite's.")
@click.option("--params", "params", multiple=True, metavar="JSON", help='Likewise, such as {"temperature": 0}.')
@click.option("--baseline", metavar="FILE|REF|prompt=…", help="What to compare with.")
@click.option("--repeats", type=click.IntRange(1, 100), help="Answers per case, in place of the suite's.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="Stop at this cost.")
@click.option("--max-cases", type=click.IntRange(min=1), help="Take only so many cases, always the same ones.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Take others, for a seed always the same ones.")
@click.option("--stratify", is_flag=True, help="Take them in the shares of their first tags.")
@click.option("--tag", "tags", multiple=True, help="Only cases with one of these tags.")
@click.option("--case", "ids", multiple=True, metavar="ID", help="Only these cases.")
@click.option("--match", metavar="TEXT", help="Only cases with this text.")
@click.option("--fresh", is_flag=True, help="Ask again for answers that are known.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what the run would take, and do not begin.")
@click.option("--yes", is_flag=True, help="Begin without asking, whatever it is expected to cost.")
@click.option(
    "--batch/--no-batch", default=None, help="Wait for Batch APIs, which cost less; or do not, whatever the suite says."
)
@allow_code
@common
async def run(
    session: Session,
    suite: str,
    candidates: tuple[str, ...],
    params: tuple[str, ...],
    baseline: str | None,
    tags: tuple[str, ...],
    ids: tuple[str, ...],
    match: str | None,
    budget: float | None,
    only_plan: bool,
    yes: bool,
    **options: Any,
) -> int:
    """Evaluate candidates on a suite, and compare them with the baseline.

    SUITE is a reference or a file. A file stands for the files as they are: the project is kept as drafts, without
    version numbers, and names that it declares mean its files.
    """
    lists: dict[str, tuple[str, ...]] = {part: options.pop(name) for part, name in LISTS.items()}
    if not candidates and not lists["prompt"]:
        raise UserError("name what to evaluate: --candidate …, or --prompt … with --endpoint … and others")
    if not lists["prompt"] and (any(lists.values()) or params):
        raise UserError("--rag, --tools, --endpoint and --params are combined with --prompt; give at least one")
    asked = [parsed_candidate(text) for text in candidates]
    against = None if baseline is None else parsed_candidate(baseline)
    words = [suite, *(word for each in [*asked, against or {}] for word in each.values())]
    words += [word for given in lists.values() for word in given]
    only = {"tags": [*tags], "ids": [*ids], "text": match}
    async with session.client() as client:
        parts = await Parts.of(client, words)
        more: Any = {name: value for name, value in options.items() if value is not False or name == "batch"}
        more |= {
            "baseline": None if against is None else parts.candidate(against),
            "matrix": _matrix(parts, lists, params) if lists["prompt"] else None,
            "budget_usd": budget,
            "only": {name: value for name, value in only.items() if value} or None,
        }
        about = (parts.reference("suite", suite), [parts.candidate(each) for each in asked])
        plan = await client.runs.plan(*about, **more)
        if only_plan:
            session.out.data(plan)
            show_plan(session.out, plan, aside=False)
            return Exit.PASS
        show_plan(session.out, plan, aside=True)
        if not confirm(session, plan, bounded=yes or budget is not None):
            session.out.note("Nothing was started.")
            return Exit.INTERRUPTED
        started = await client.runs.create(*about, **more)
        for warning in started["warnings"]:
            session.out.note(f"warning: {warning}")
        session.out.note(f"run {started['id']}")
        found = await follow(session, client, started["id"], suite)
        await show(session.out, client, found)
    return exit_code(found)


def _matrix(parts: Parts, lists: dict[str, tuple[str, ...]], params: tuple[str, ...]) -> dict[str, Any]:
    def sent(part: str, word: str) -> str | None:
        return None if word == NONE and part in ("rag_config", "tool_config") else parts.reference(part, word)

    matrix: dict[str, Any] = {LISTS[part]: [sent(part, word) for word in given] for part, given in lists.items()}
    matrix["params"] = []
    for text in params:
        try:
            given = json.loads(text)
        except ValueError as error:
            raise UserError(f"--params {text!r} is not JSON: {error}") from error
        if not isinstance(given, dict):
            raise UserError(f'--params {text!r} is no object, such as {{"temperature": 0}}')
        matrix["params"].append(given)
    return matrix
