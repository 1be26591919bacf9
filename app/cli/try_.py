"""`promptward try`: one answer, streamed; several endpoints side by side."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import click
import msgspec
from promptward import AsyncClient, PromptwardError
from promptward.client import Generation
from promptward.shapes import Generated

from app.cli.command import Session, common
from app.cli.exits import Exit, UserError, exit_code
from app.cli.output import Output, dollars
from app.cli.parts import Parts


class _Column:
    """One endpoint's answer, as far as it is there."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.text = ""
        self.answer: Generated | None = None
        self.error: PromptwardError | None = None


@click.command("try")
@click.argument("prompt", metavar="PROMPT|FILE")
@click.option("--var", "pairs", multiple=True, metavar="NAME=TEXT", help="A variable; NAME:=JSON for other values.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="REF", help="May be given several times.")
@click.option("--rag-config", metavar="REF|FILE|none", help="In place of the prompt's own.")
@click.option("--tool-config", metavar="REF|FILE|none", help="In place of the prompt's own.")
@common
async def try_(
    session: Session,
    prompt: str,
    pairs: tuple[str, ...],
    endpoints: tuple[str, ...],
    rag_config: str | None,
    tool_config: str | None,
) -> int:
    """Ask once and see the answer as it is written; the answer is not kept.

    A FILE is taken as it is now, and names that its project declares mean the project's files.
    """
    variables = variables_of(pairs)
    words = {"prompt": prompt, "rag_config": rag_config, "tool_config": tool_config}
    given = {part: word for part, word in words.items() if word is not None}
    async with session.client() as client:
        parts = await Parts.of(client, [*given.values(), *endpoints])
        candidate = parts.candidate(given)
        asked = {word: parts.reference("endpoint", word) for word in endpoints} or await _only_endpoint(client, parts)
        rest = Generation(variables=variables)
        for part in ("rag_config", "tool_config"):
            if part in candidate:
                rest[part] = candidate[part]
        columns = [_Column(word) for word in asked]

        async def ask(column: _Column, said: Callable[[str], None]) -> None:
            try:
                async with aclosing(
                    client.generate_stream(candidate["prompt"], asked[column.endpoint], **rest)
                ) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, str):
                            column.text += piece
                            said(piece)
                        else:
                            column.answer = piece
            except PromptwardError as error:
                column.error = error

        if len(columns) == 1:
            await ask(columns[0], _writer(session.out))
            session.out.line()
        else:
            await _side_by_side(session.out, columns, ask)
    return _ending(session.out, columns)


def variables_of(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`name=text` and `name:=json` as variables."""
    variables: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip(":"):
            raise UserError(f"--var {pair!r} is not NAME=TEXT or NAME:=JSON")
        if not name.endswith(":"):
            variables[name] = value
            continue
        try:
            variables[name.removesuffix(":")] = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise UserError(f"--var {pair!r}: what follows := is not JSON ({error})") from error
    return variables


async def _only_endpoint(client: AsyncClient, parts: Parts) -> dict[str, str]:
    known = {name: ref for (kind, name), ref in parts.names.items() if kind == "endpoints"}
    if not known:
        known = {e["name"]: e["name"] async for e in client.artifacts("endpoints").each()}
    if len(known) != 1:
        choice = f"one of {', '.join(sorted(known))}" if known else "one; none is known, declare it in promptward.yaml"
        raise UserError(f"say with --endpoint whom to ask: {choice}")
    return known


def _writer(out: Output) -> Callable[[str], None]:
    def say(piece: str) -> None:
        if not out.as_json:
            click.echo(piece, nl=False)

    return say


async def _side_by_side(
    out: Output, columns: list[_Column], ask: Callable[[_Column, Callable[[str], None]], Any]
) -> None:
    if out.as_json or not out.console.is_terminal:
        await asyncio.gather(*(ask(column, lambda _: None) for column in columns))
        for column in columns:
            out.line(f"== {column.endpoint}")
            out.line(column.text)
        return
    from rich.live import Live

    with Live(_table(columns), console=out.console, refresh_per_second=12) as live:
        await asyncio.gather(*(ask(column, lambda _: live.update(_table(columns))) for column in columns))
        live.update(_table(columns))


def _table(columns: list[_Column]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(expand=True)
    for column in columns:
        table.add_column(Text(column.endpoint), ratio=1, overflow="fold")
    table.add_row(*(Text(column.text) for column in columns))
    return table


def _ending(out: Output, columns: list[_Column]) -> int:
    """What each answer cost, the errors, and the exit code."""
    failed = [c.error for c in columns if c.error is not None]
    if len(columns) == 1 and failed:
        raise failed[0]
    out.data([{"endpoint": c.endpoint, **(c.answer or {}), "problem": _problem(c.error)} for c in columns])
    for column in columns:
        if column.error is not None:
            out.note(f"error: {column.endpoint}: {column.error.detail}")
        elif column.answer is not None and not out.as_json:
            out.note(f"{column.endpoint}: {_figures(column.answer)}")
    return max((exit_code(error) for error in failed), default=Exit.PASS)


def _problem(error: PromptwardError | None) -> dict[str, str] | None:
    return None if error is None else {"type": f"urn:promptward:{error.slug}", "detail": error.detail}


def _figures(answer: Generated) -> str:
    usage = answer["usage"] or {}
    parts = [answer["model"] or ""]
    if answer["latency_ms"] is not None:
        parts.append(f"{answer['latency_ms']:.0f} ms")
    if usage:
        parts.append(f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens")
    if answer["cost_usd"] is not None:
        parts.append(dollars(answer["cost_usd"]))
    if answer["error"]:
        parts.append(f"failed: {answer['error']}")
    return ", ".join(part for part in parts if part)
