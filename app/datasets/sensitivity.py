"""Who may see which value of an item: what lies above a caller's clearance is masked, wherever items are shown."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.datasets.schemas import Item
from app.registry.kinds.dataset import LEVELS, Dataset, Level

MASK = "[masked: "
"""What a masked value begins with. An item that is sent with it is refused: it would overwrite the value by its mask."""

PARTS = ("inputs", "reference", "history", "metadata", "cluster", "recorded")
_WHOLE = frozenset({"reference", "history", "cluster"})
"""Parts that are masked as one value."""


def above(level: Level, clearance: str) -> bool:
    return LEVELS.index(level) > LEVELS.index(clearance)


def highest(dataset: Dataset) -> Level:
    """The sensitivity of the most sensitive value that there may be: that of an answer, which may repeat any of them."""
    return max((dataset.sensitivity, *dataset.fields.values()), key=LEVELS.index)


def masked(item: Item, dataset: Dataset, clearance: str) -> Item:
    """The item with every value masked that lies above `clearance`, and their paths in `masked`."""
    if item.erased or not above(highest(dataset), clearance):
        return item
    hidden: list[str] = []
    changed = {
        part: _shown(getattr(item, part), part, dataset, clearance, hidden) for part in PARTS if getattr(item, part)
    }
    if not isinstance(changed.get("history", []), list):
        changed["history"] = [{"role": "user", "content": changed["history"]}]
    # A digest tells a value that has few possible ones: whoever sees all else tries them. One that is the id stays.
    digest = item.digest if not hidden or item.id == item.digest else mask_of(highest(dataset))
    return msgspec.structs.replace(item, **changed, digest=digest, masked=hidden)


def mask_of(level: Level) -> str:
    return f"{MASK}{level}]"


def masks_in(value: Any, path: str = "") -> Iterator[str]:
    """The paths of values that are masks."""
    if isinstance(value, str):
        if value.startswith(MASK):
            yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from masks_in(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from masks_in(inner, f"{path}/{index}")


def _shown(value: Any, path: str, dataset: Dataset, clearance: str, hidden: list[str]) -> Any:
    if isinstance(value, dict) and path not in _WHOLE:
        return {key: _shown(inner, f"{path}.{key}", dataset, clearance, hidden) for key, inner in value.items()}
    level = _level(path, dataset)
    if not above(level, clearance):
        return value
    hidden.append(path)
    return mask_of(level)


def _level(path: str, dataset: Dataset) -> Level:
    """The level of the longest declared field that a path lies in, else the dataset's."""
    fitting = [field for field in dataset.fields if path == field or path.startswith(f"{field}.")]
    return dataset.fields[max(fitting, key=len)] if fitting else dataset.sensitivity
