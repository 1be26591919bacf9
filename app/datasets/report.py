"""What is wrong with a dataset that no schema says: duplicates, leakage, personal data and secrets."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import anyio.to_thread
import msgspec

from app.datasets.duplicates import EXAMPLE, Found, Text, near_duplicates
from app.datasets.schemas import Item
from app.datasets.sensitivity import MASK, above, highest, masked
from app.datasets.service import Datasets
from app.registry.composition import expanded
from app.registry.contents import plain
from app.registry.schemas import Artifact

MAX_PROMPTS = 500
SHOWN = 500


class Sensitive(msgspec.Struct, frozen=True):
    """How many items hold something that looks personal or secret, how many of each kind, and the first items' ids."""

    items: int
    kinds: dict[str, int]
    ids: list[str]


class DatasetReport(msgspec.Struct, frozen=True):
    """`duplicates` are pairs within a split, `leakage` pairs of different splits, and items that a prompt's messages hold (their
    group is `prompt <name>@<version> <pointer>`)."""

    digest: str
    items: int
    erased: int
    splits: dict[str, int]
    duplicates: Found
    leakage: Found
    sensitive: Sensitive


class Reporter:
    """Reports on versions of one project."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets, self._registry = datasets, datasets.registry

    async def report(
        self, dataset: Artifact, threshold: float, prompts: Sequence[str], clearance: str
    ) -> DatasetReport:
        """`prompts` are those whose messages are compared; none named: all that are in use (the first 500 by name). Values above
        `clearance` are not compared: that a text is like one that somebody chose would tell what it is.

        Raises `InvalidContentError` for a threshold outside of 0.5 to 1, `NotFoundError` for an unknown prompt.
        """
        items = await self._datasets.items(dataset)
        here = [item for item in items if not item.erased]
        hidden = above(highest(dataset.content), clearance)
        shown = [masked(item, dataset.content, clearance) for item in here]
        texts = [Text(item.id, item.split, text) for item in shown if (text := text_of(item)) or not hidden]
        examples = await self._examples(prompts)
        duplicates = await anyio.to_thread.run_sync(lambda: near_duplicates(texts, threshold=threshold, limit=SHOWN))
        leakage = await anyio.to_thread.run_sync(
            lambda: near_duplicates([*texts, *examples], threshold=threshold, across=True, limit=SHOWN)
        )
        return DatasetReport(
            digest=dataset.digest,
            items=len(items),
            erased=len(items) - len(here),
            splits=dict(sorted(Counter(item.split for item in here if item.split).items())),
            duplicates=_told(duplicates, hidden),
            leakage=_told(leakage, hidden),
            sensitive=await anyio.to_thread.run_sync(_sensitive, here),
        )

    async def _examples(self, named: Sequence[str]) -> list[Text]:
        found = []
        for name in named or (await self._registry.repository.names("prompt"))[:MAX_PROMPTS]:
            artifact = await self._registry.resolve("prompt", name)
            prompt = await expanded(artifact, self._registry.by_digest)
            for index, message in enumerate(prompt.messages):
                if message.content is not None:
                    pointer = f"/messages/{index}"
                    found.append(
                        Text(f"{artifact.ref}{pointer}", f"{EXAMPLE}{artifact.ref} {pointer}", message.content)
                    )
        return found


def _told(found: Found, hidden: bool) -> Found:
    """The same, saying that not all was looked at."""
    if not hidden:
        return found
    reason = f"{found.reason} Values above this key's clearance were not compared.".strip()
    return msgspec.structs.replace(found, complete=False, reason=reason)


def text_of(item: Item) -> str:
    """What is compared of an item: the texts of its inputs, in the order of their names; masks are no texts."""
    return "\n".join(text for text in _texts(item.inputs) if not text.startswith(MASK))


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _texts(value[key])
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield str(value)


def _sensitive(items: Sequence[Item]) -> Sensitive:
    from app.registry.scanning import scan

    kinds: Counter[str] = Counter()
    ids = []
    for item in items:
        data = plain(msgspec.structs.replace(item, digest=""))
        found = scan(data, msgspec.json.encode(data))
        if found:
            ids.append(item.id)
            kinds.update({one.kind for one in found})
    return Sensitive(len(ids), dict(kinds.most_common()), ids[:SHOWN])
