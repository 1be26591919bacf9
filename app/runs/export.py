"""A run's cells as JSON lines (lossless), CSV or Parquet (a row per cell, a column per metric)."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from app.kit.db import Sessions
from app.runs import results
from app.runs.masking import Masking
from app.runs.schemas import ExportFormat, Result
from app.runs.store import Loaded

if TYPE_CHECKING:
    import pandas

MEDIA_TYPES: dict[ExportFormat, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
COLUMNS = {
    "variant": "string",
    "case": "string",
    "repeat": "Int64",
    "status": "string",
    "error": "string",
    "tags": "string",
    "inputs": "string",
    "reference": "string",
    "text": "string",
    "tool_calls": "string",
    "finish_reason": "string",
    "prompt_tokens": "Int64",
    "completion_tokens": "Int64",
    "cost_usd": "Float64",
    "latency_ms": "Float64",
    "ttft_ms": "Float64",
    "cached": "boolean",
}
_FORMULA = re.compile(r"^[\s\uff1d\uff0b\uff0d\uff20]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


async def export(sessions: Sessions, run: Loaded, kind: ExportFormat, masking: Masking) -> AsyncIterator[bytes]:
    """The file, in pieces: no more than a portion of the cells is held at once."""
    if kind == "jsonl":
        encode = msgspec.json.Encoder().encode
        async for some in results.each(sessions, run, evidence="stored"):
            yield b"".join(encode(result) + b"\n" for result in masking.of_all(some))
        return
    table: CSV | Parquet = await asyncio.to_thread(CSV if kind == "csv" else Parquet, columns(run))
    async for some in results.each(sessions, run):
        yield await asyncio.to_thread(table.piece, masking.of_all(some))
    yield await asyncio.to_thread(table.end)


def columns(run: Loaded) -> dict[str, str]:
    """The columns of a table with the types of pandas that hold missing values."""
    found = dict(COLUMNS)
    for metric in run.spec.metrics:
        parts = {"": "Float64", ".passed": "boolean", ".status": "string", ".label": "string"}
        found |= {f"{_column(metric.name)}{part}": kind for part, kind in parts.items()}
    return found


def _column(metric: str) -> str:
    """A metric's own name, unless a column has it already."""
    return f"score.{metric}" if metric in COLUMNS else metric


class Table:
    """A table that is written piece by piece; every piece has the same columns of the same types."""

    def __init__(self, columns: dict[str, str]) -> None:
        import pandas

        self._pandas, self._columns = pandas, columns

    def frame(self, some: Sequence[Result]) -> "pandas.DataFrame":
        rows = [_row(result) for result in some]
        return self._pandas.DataFrame.from_records(rows, columns=list(self._columns)).astype(self._columns)


class CSV(Table):
    def __init__(self, columns: dict[str, str]) -> None:
        super().__init__(columns)
        self._header = True

    def piece(self, some: Sequence[Result]) -> bytes:
        header, self._header = self._header, False
        frame = self.frame(some)
        texts = [name for name, kind in self._columns.items() if kind == "string"]
        frame[texts] = frame[texts].map(safe, na_action="ignore")
        head = {name: safe(name) for name in self._columns}
        return frame.rename(columns=head).to_csv(index=False, header=header).encode()

    def end(self) -> bytes:
        return b""


class Parquet(Table):
    def __init__(self, columns: dict[str, str]) -> None:
        super().__init__(columns)
        import pyarrow
        import pyarrow.parquet

        self._arrow, self._sink = pyarrow, Sink()
        schema = pyarrow.Schema.from_pandas(self.frame([]), preserve_index=False)
        self._writer = pyarrow.parquet.ParquetWriter(self._sink, schema)

    def piece(self, some: Sequence[Result]) -> bytes:
        table = self._arrow.Table.from_pandas(self.frame(some), schema=self._writer.schema, preserve_index=False)
        self._writer.write_table(table)
        return self._sink.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class Sink(io.RawIOBase):
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self._written += len(self._pieces[-1])
        return len(self._pieces[-1])

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


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
        "ttft_ms": None if answer is None else answer.ttft_ms,
        "cached": None if answer is None else answer.cached,
    }
    for metric, score in result.scores.items():
        name = _column(metric)
        row |= {
            name: score.value,
            f"{name}.passed": score.passed,
            f"{name}.status": score.status,
            f"{name}.label": score.label,
        }
    return row


def safe(text: str) -> str:
    """`text`, with an apostrophe in front when a spreadsheet would run it."""
    return "'" + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
