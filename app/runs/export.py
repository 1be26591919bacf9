"""A run's cells as JSON lines (lossless), CSV or Parquet (a row per cell, a column per metric)."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.runs import results
from app.runs.schemas import ExportFormat, Result
from app.runs.store import Loaded

if TYPE_CHECKING:
    import pandas

MEDIA_TYPES: dict[ExportFormat, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_FORMULA = re.compile(r"^[\s\uff1d\uff0b\uff0d\uff20]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


async def export(session: AsyncSession, run: Loaded, kind: ExportFormat) -> AsyncIterator[bytes]:
    """The file, in pieces."""
    if kind == "jsonl":
        encode = msgspec.json.Encoder().encode
        async for some in results.each(session, run):
            yield b"".join(encode(result) + b"\n" for result in some)
        return
    rows = [row async for some in results.each(session, run) for row in map(_row, some)]
    yield await asyncio.to_thread(_table, rows, kind)


def _row(result: Result) -> dict[str, Any]:
    answer = result.answer
    row: dict[str, Any] = {
        "variant": result.variant,
        "case": result.case,
        "repeat": result.repeat,
        "status": result.status,
        "error": result.error,
        "tags": ";".join(result.tags),
        "inputs": msgspec.json.encode(result.inputs).decode(),
        "reference": None if result.reference is None else msgspec.json.encode(result.reference).decode(),
        "text": None if answer is None else answer.text,
        "tool_calls": None
        if answer is None or answer.tool_calls is None
        else msgspec.json.encode(answer.tool_calls).decode(),
        "finish_reason": None if answer is None else answer.finish_reason,
        "prompt_tokens": None if answer is None or answer.usage is None else answer.usage.get("prompt_tokens"),
        "completion_tokens": None if answer is None or answer.usage is None else answer.usage.get("completion_tokens"),
        "cost_usd": None if answer is None else answer.cost_usd,
        "latency_ms": None if answer is None else answer.latency_ms,
        "cached": None if answer is None else answer.cached,
    }
    for name, score in result.scores.items():
        row |= {
            name: score.value,
            f"{name}.passed": score.passed,
            f"{name}.status": score.status,
            f"{name}.label": score.label,
        }
    return row


def _table(rows: list[dict[str, Any]], kind: ExportFormat) -> bytes:
    import pandas

    frame = pandas.DataFrame.from_records(rows).convert_dtypes()
    if kind == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    return _safe(frame).to_csv(index=False).encode()


def _safe(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """No cell that a spreadsheet would take for a formula: such text gets an apostrophe in front (OWASP)."""
    return frame.map(lambda value: safe(value) if isinstance(value, str) else value)


def safe(text: str) -> str:
    """`text`, with an apostrophe in front when a spreadsheet would run it."""
    return "'" + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
