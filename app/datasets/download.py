"""A dataset version as a file: JSON lines that give the same version again, CSV and Parquet for tables elsewhere."""

import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import msgspec

from app.datasets.schemas import Entry, Item, ItemBody
from app.datasets.sensitivity import masked
from app.datasets.service import Datasets
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
    """One version for one caller: values above the clearance are masked, erased items are left out."""

    def __init__(self, datasets: Datasets, dataset: Artifact, clearance: str) -> None:
        self._datasets, self._dataset, self._clearance = datasets, dataset, clearance

    async def pieces(self, form: Format) -> AsyncIterator[bytes]:
        """The file, a portion of the items at a time. Raises `InvalidContentError` for what a table cannot hold."""
        entries = await self._datasets.entries(self._dataset)
        if form == "jsonl":
            async for some in self._portions(entries):
                yield await anyio.to_thread.run_sync(_lines, some)
            return
        columns = {name: None async for some in self._portions(entries) for item in some for name in row_of(item)}
        order = sorted(columns, key=_place)
        if form == "csv":
            yield _csv_row(order)
            async for some in self._portions(entries):
                yield await anyio.to_thread.run_sync(_csv_rows, some, order)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "items.parquet"
            rows = [row_of(item) async for some in self._portions(entries) for item in some]
            await anyio.to_thread.run_sync(_write_parquet, path, rows, order)
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    yield piece

    async def _portions(self, entries: Sequence[Entry]) -> AsyncIterator[list[Item]]:
        for start in range(0, len(entries), PORTION):
            items = await self._datasets.some(entries[start : start + PORTION])
            yield [masked(item, self._dataset.content, self._clearance) for item in items if not item.erased]


def line_of(item: Item) -> dict[str, Any]:
    """An item as it was sent: its id unless that is its digest, and every part that is not empty."""
    body: dict[str, Any] = plain(
        msgspec.convert({name: getattr(item, name) for name in ItemBody.__struct_fields__}, ItemBody)
    )
    return ({} if item.id == item.digest else {"id": item.id}) | body


def row_of(item: Item) -> dict[str, Any]:
    """An item as columns that are read back as the same item."""
    row: dict[str, Any] = {}
    for name, value in line_of(item).items():
        if name in ("inputs", "metadata"):
            row |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name == "recorded":
            row |= {f"{name}.{model}": answer.get("text", answer) for model, answer in value.items()}
        else:
            row[name] = value
    return row


def _lines(items: Sequence[Item]) -> bytes:
    return b"".join(msgspec.json.encode(line_of(item)) + b"\n" for item in items)


def _csv_rows(items: Sequence[Item], order: Sequence[str]) -> bytes:
    return b"".join(_csv_row([_cell(row.get(name)) for name in order]) for row in map(row_of, items))


def _csv_row(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(part, str) and ";" not in part for part in value):
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
        except pyarrow.ArrowException as error:
            detail = f"the column {name!r} holds values of several types, which Parquet cannot; take jsonl"
            raise InvalidContentError.at("/format", detail) from error
    parquet.write_table(pyarrow.table(dict(zip(order, arrays, strict=True))), path)


def _place(name: str) -> tuple[int, str]:
    """The order of columns: own parts first, then inputs, the reference, and the rest."""
    leading = ("id", "split", "inputs", "history", "reference", "tags", "cluster", "metadata", "recorded")
    return leading.index(name.partition(".")[0]), name
