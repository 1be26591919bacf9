"""Answers to label, as a CSV file that people fill in: out of a queue, and back."""

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
from promptward import AsyncClient

from app.cli.exits import UserError

COLUMNS = ("item", "human", "inputs", "reference", "output", "context", "case", "variant", "repeat")
_RUN = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A cell that begins with one of these is a formula for a spreadsheet."""


async def write(client: AsyncClient, rubric: str, queue: str, file: Path) -> int:
    """Writes a queue's answers with an empty column `human`, or what was said before; returns how many. What a spreadsheet
    would run is written with an apostrophe in front."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    count = 0
    async for item in client.calibrations.queued(rubric, queue):
        writer.writerow({name: _cell(item.get(name)) for name in COLUMNS})
        count += 1
    _keep(file, out.getvalue())
    return count


def _keep(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error}") from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "'" + text if text.lstrip().startswith(_RUN) else text


async def read(client: AsyncClient, rubric: str, file: Path) -> tuple[str, int]:
    """Sends the labels of a file that `write` made and people filled in; returns the queue, and how many labels it got."""
    rows = list(csv.DictReader(io.StringIO(_text(file), newline="")))
    if not rows or not {"item", "human"} <= set(rows[0]):
        raise UserError(f"{file} has no columns `item` and `human`, as --export writes them")
    labelled = [
        (row["item"].strip(), row["human"].strip().removeprefix("'")) for row in rows if (row["human"] or "").strip()
    ]
    if not labelled:
        raise UserError(f"{file} has no label yet: fill in its column `human`, then import it again")
    queues = {item.rpartition("-")[0] for item, _ in labelled}
    if len(queues) != 1:
        raise UserError(f"{file} holds labels of {len(queues)} queues; import each queue from a file of its own")
    for item, human in labelled:
        await client.calibrations.label(rubric, item, human)
    return queues.pop(), len(labelled)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
