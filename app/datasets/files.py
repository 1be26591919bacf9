"""Datasets' files in a project's folder, for `app/registry/sync`."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.datasets.parsing import Parsed, parse
from app.datasets.service import About, Datasets, content_of


class DatasetFiles:
    """Reads and keeps the items of dataset files; a card becomes the description."""

    suffixes: Mapping[str, str] = {
        ".jsonl": "application/x-ndjson",
        ".csv": "text/csv",
        ".parquet": "application/vnd.apache.parquet",
    }

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    def parse(self, data: bytes, media_type: str) -> list[Parsed]:
        return parse(data, media_type)

    def content(self, items: Sequence[Parsed], description: str) -> dict[str, Any]:
        return content_of(items, About(description=description))

    async def store(self, items: Sequence[Parsed]) -> None:
        await self._datasets.store(items)
