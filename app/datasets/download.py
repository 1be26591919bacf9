"""A dataset version as a file: JSON lines that give the same version again, CSV and Parquet for tables elsewhere.

Read back, Parquet keeps numbers, truth values, lists and objects, and empty texts apart from missing ones; what is null becomes
missing, and a column of several types, or with an empty object, is refused. CSV keeps texts alone: numbers and truth values come
back as text, lists and objects as their JSON (but for tags and the history), an empty text as missing, and of recorded answers
the text. Nothing is put before texts that a spreadsheet would take for formulas (`=`, `+`, `-`, `@`), so that they stay what
they are: import the file as text.
"""

import csv
import io
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import msgspec

from app.datasets.schemas import Entry, Item, ItemBody
from app.datasets.sensitivity import masked
from app.datasets.service import Datasets
from app.kit.db import Sessions
from app.kit.errors import InvalidContentError
from app.registry.contents import plain
from app.registry.schemas import Artifact

Format = Literal["jsonl", "csv", "parquet"]
MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
PORTION = 1_000


class Download:
    """One version for one caller: values above the clearance are masked, erased items are left out.

    Between two portions no session is open: who reads slowly, or goes away, keeps no connection from others.
    """

    def __init__(self, sessions: Sessions, project_id: str, dataset: Artifact, clearance: str) -> None:
        self._sessions, self._project_id, self._dataset, self._clearance = sessions, project_id, dataset, clearance

    async def pieces(self, form: Format) -> AsyncGenerator[bytes, None]:
        """The file, a portion of the items at a time. Raises `InvalidContentError` for what a table cannot hold."""
        async with self._sessions() as session:
            entries = await Datasets(session, self._project_id).entries(self._dataset)
        if form == "jsonl":
            async for some in self._portions(entries):
                yield await anyio.to_thread.run_sync(_lines, some)
            return
        whole = form == "parquet"
        columns = {
            name: None async for some in self._portions(entries) for item in some for name in row_of(item, whole)
        }
        order = sorted(columns, key=_place)
        if form == "csv":
            yield _csv_row(order)
            async for some in self._portions(entries):
                yield await anyio.to_thread.run_sync(_csv_rows, some, order)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "items.parquet"
            rows = [row_of(item, whole) async for some in self._portions(entries) for item in some]
            await anyio.to_thread.run_sync(_write_parquet, path, rows, order)
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    yield piece

    async def _portions(self, entries: Sequence[Entry]) -> AsyncIterator[list[Item]]:
        for start in range(0, len(entries), PORTION):
            async with self._sessions() as session:
                items = await Datasets(session, self._project_id).some(entries[start : start + PORTION])
            yield [masked(item, self._dataset.content, self._clearance) for item in items if not item.erased]


def line_of(item: Item) -> dict[str, Any]:
    """An item as it was sent: its id unless that is its digest, and every part that is not empty."""
    body: dict[str, Any] = plain(
        msgspec.convert({name: getattr(item, name) for name in ItemBody.__struct_fields__}, ItemBody)
    )
    return ({} if item.id == item.digest else {"id": item.id}) | body


def row_of(item: Item, whole: bool = False) -> dict[str, Any]:
    """An item as columns. Of recorded answers it has the text, or with `whole` all."""
    row: dict[str, Any] = {}
    for name, value in line_of(item).items():
        if name in ("inputs", "metadata"):
            row |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name == "recorded":
            row |= {f"{name}.{model}": answer if whole else answer.get("text") for model, answer in value.items()}
        else:
            row[name] = value
    return row


def _lines(items: Sequence[Item]) -> bytes:
    return b"".join(msgspec.json.encode(line_of(item)) + b"\n" for item in items)


def _csv_rows(items: Sequence[Item], order: Sequence[str]) -> bytes:
    return b"".join(_csv_row([_cell(name, row.get(name)) for name in order]) for row in map(row_of, items))


def _csv_row(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    # The writer does not quote a carriage return that ends no line, and the reader takes it for the end of one.
    if any("\r" in cell for cell in cells):
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(cells)
    else:
        csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cell(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if name == "tags":
        return ";".join(value)
    return msgspec.json.encode(value).decode()


def _write_parquet(path: Path, rows: list[dict[str, Any]], order: Sequence[str]) -> None:
    import pyarrow
    from pyarrow import parquet

    arrays = []
    for name in order:
        values = [row.get(name) for row in rows]
        try:
            arrays.append(pyarrow.array(values))
        except (pyarrow.ArrowException, OverflowError) as error:
            detail = f"the column {name!r} holds values of several types, which Parquet cannot; take jsonl"
            raise InvalidContentError.at("/format", detail) from error
    try:
        parquet.write_table(pyarrow.table(dict(zip(order, arrays, strict=True))), path)
    except pyarrow.ArrowNotImplementedError as error:
        detail = "an empty object {} stands in a column, which Parquet cannot hold; take jsonl"
        raise InvalidContentError.at("/format", detail) from error


def _place(name: str) -> tuple[int, str]:
    """The order of columns: own parts first, then inputs, the reference, and the rest."""
    leading = ("id", "split", "inputs", "history", "reference", "tags", "cluster", "metadata", "recorded")
    return leading.index(name.partition(".")[0]), name
