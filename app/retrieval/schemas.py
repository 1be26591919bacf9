"""What retrieval takes and gives."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec


class CorpusItem(Protocol):
    """What retrieval needs of a dataset item: `inputs.text`, and `inputs.title` if there is one."""

    @property
    def id(self) -> str: ...

    @property
    def inputs(self) -> Mapping[str, Any]: ...


LoadItems = Callable[[str, str], Awaitable[Sequence[CorpusItem]]]
"""`await load_items(project_id, corpus_digest)`: the items of a dataset version, in its order."""
CountErased = Callable[[str, str], Awaitable[int]]
"""`await count_erased(project_id, corpus_digest)`: how many items of a dataset version were erased by now."""


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a corpus. `id` is its item's id, with `#<n>` when the item has several; `score` is BM25's."""

    id: str
    item: str
    title: str
    text: str
    score: float = 0.0
