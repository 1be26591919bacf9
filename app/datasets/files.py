"""Datasets' files in a project's folder, for `app/registry/sync`."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.datasets.parsing import Parsed, parse
from app.datasets.service import About, Datasets, content_of
from app.kit.errors import FieldError


class DatasetFiles:
    """Reads and keeps the items of dataset files; a card says what they are."""

    suffixes: Mapping[str, str] = {
        ".jsonl": "application/x-ndjson",
        ".csv": "text/csv",
        ".parquet": "application/vnd.apache.parquet",
    }

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    def parse(self, data: bytes, media_type: str) -> list[Parsed]:
        return parse(data, media_type)

    def content(self, items: Sequence[Parsed], card: Mapping[str, Any]) -> dict[str, Any]:
        """The content of items with what their card says; a bad card is found when the content is parsed."""
        content = content_of([item.entry for item in items], items, About(schema=card.get("schema")))
        return {**card, "items": content["items"]}

    async def store(self, items: Sequence[Parsed], content: Any) -> list[FieldError]:
        warnings = await self._datasets.scanned(items, About.of(content))
        return warnings + await self._datasets.store([item.entry for item in items], items)
