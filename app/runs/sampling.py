"""Which items of a dataset are the cases of a run: its filters, then its sample."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.kit.errors import InvalidContentError
from app.runs.asked import Only
from app.runs.schemas import RunCreate
from app.runs.spec import sample, stratified

AT_ONCE = 1_000
"""Items that are read at once in search of a text."""


async def chosen(datasets: Datasets, entries: Sequence[Entry], asked: RunCreate) -> list[Entry]:
    """The entries that the run is about, in their order. Raises `InvalidContentError` at the filter that leaves none."""
    if asked.only is not None:
        entries = await _filtered(datasets, entries, asked.only)
    ids = [entry.id for entry in entries]
    if asked.stratify:
        # The first tag is the stratum: whole sets of tags would often leave a stratum per item.
        strata = [entry.tags[0] if entry.tags else "" for entry in entries]
        return [entries[i] for i in stratified(ids, strata, asked.max_cases, asked.seed)]
    return [entries[i] for i in sample(ids, asked.max_cases, asked.seed)]


async def _filtered(datasets: Datasets, entries: Sequence[Entry], only: Only) -> list[Entry]:
    if unknown := {*only.ids} - {entry.id for entry in entries}:
        named = ", ".join(repr(i) for i in sorted(unknown)[:3])
        raise InvalidContentError.at("/only/ids", f"{len(unknown)} of the ids are no cases of the suite: {named}")
    ids = set(only.ids)
    left = [entry for entry in entries if not ids or entry.id in ids]
    if only.tags:
        tagged = [entry for entry in left if not set(only.tags).isdisjoint(entry.tags)]
        if not tagged:
            there = ", ".join(sorted({tag for entry in left for tag in entry.tags})[:20]) or "none"
            raise InvalidContentError.at("/only/tags", f"no case has one of these tags; there is: {there}")
        left = tagged
    if only.text is not None:
        wanted = only.text.casefold()
        found: list[Entry] = []
        for start in range(0, len(left), AT_ONCE):
            some = left[start : start + AT_ONCE]
            items = await datasets.some(some)
            found += [entry for entry, item in zip(some, items, strict=True) if _holds(item, wanted)]
        if not found:
            raise InvalidContentError.at("/only/text", f"no case holds the text {only.text!r}")
        left = found
    return left


def _holds(item: Item, text: str) -> bool:
    return any(text in word.casefold() for word in words((item.inputs, item.history, item.reference)))


def words(value: Any) -> Iterable[str]:
    """All texts and numbers within plain data; names of fields are left out."""
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from words(each)
        case list() | tuple():
            for each in value:
                yield from words(each)
        case bool() | None:
            return
        case _:
            yield str(value)
