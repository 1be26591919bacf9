"""`promptward run`: evaluate a suite, watch it, and see what came of it."""

import click

from app.cli.command import Session, allow_code, common
from app.cli.parts import Parts, parsed_candidate
from app.cli.progress import follow
from app.cli.run_report import exit_code, show


@click.command()
@click.argument("suite", metavar="SUITE")
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    required=True,
    metavar="FILE|REF|prompt=…,endpoint=…",
    help="What to evaluate; may be given several times. Also rag_config=… and tool_config=… (a reference, a file, none).",
)
@click.option("--baseline", metavar="FILE|REF|prompt=…", help="What to compare with.")
@click.option("--repeats", type=click.IntRange(1, 100), help="Answers per case, in place of the suite's.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="Stop at this cost.")
@click.option("--max-cases", type=click.IntRange(min=1), help="Take only so many cases, always the same ones.")
@click.option("--fresh", is_flag=True, help="Ask again for answers that are known.")
@click.option(
    "--batch/--no-batch", default=None, help="Wait for Batch APIs, which cost less; or do not, whatever the suite says."
)
@allow_code
@common
async def run(
    session: Session,
    suite: str,
    candidates: tuple[str, ...],
    baseline: str | None,
    repeats: int | None,
    budget: float | None,
    max_cases: int | None,
    fresh: bool,
    batch: bool | None,
) -> int:
    """Evaluate candidates on a suite, and compare them with the baseline.

    SUITE is a reference or a file. A file stands for the files as they are: the project is kept as drafts, without
    version numbers, and names that it declares mean its files.
    """
    asked = [parsed_candidate(text) for text in candidates]
    against = None if baseline is None else parsed_candidate(baseline)
    words = [suite, *(word for each in [*asked, against or {}] for word in each.values())]
    async with session.client() as client:
        parts = await Parts.of(client, words)
        started = await client.runs.create(
            parts.reference("suite", suite),
            [parts.candidate(each) for each in asked],
            baseline=None if against is None else parts.candidate(against),
            repeats=repeats,
            budget_usd=budget,
            max_cases=max_cases,
            fresh=fresh,
            batch=batch,
        )
        for warning in started["warnings"]:
            session.out.note(f"warning: {warning}")
        session.out.note(f"run {started['id']}")
        found = await follow(session, client, started["id"], suite)
        await show(session.out, client, found)
    return exit_code(found)
