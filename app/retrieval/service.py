"""Retrieval: one index per corpus and chunking, built once, searched in microseconds."""

import asyncio
import math
import time
from collections import OrderedDict

import msgspec

from app.registry.kinds.rag_config import RAGConfig
from app.retrieval.index import Index
from app.retrieval.schemas import Chunk, CountErased, LoadItems

MAX_INDEXES = 32
CHECK_S = 10.0
"""After this long an index is asked about again: items that were erased are in it no longer than that."""
LARGE = 20_000
"""Chunks from which on a search takes long enough (about a millisecond) to leave the event loop."""


class Retrieval:
    """The indexes of this process; the most recently used stay. Lives on one event loop."""

    def __init__(
        self, load_items: LoadItems, count_erased: CountErased | None = None, *, check_s: float = CHECK_S
    ) -> None:
        self._load_items, self._count_erased, self._check_s = load_items, count_erased, check_s
        self._checked: dict[tuple[str, str], tuple[float, int | None]] = {}
        self._indexes: OrderedDict[tuple[str, str, bytes], asyncio.Task[Index]] = OrderedDict()

    async def retrieve(self, project_id: str, rag: RAGConfig, corpus_digest: str, query: str) -> list[Chunk]:
        """The chunks for `query`, best first, ties in the corpus's order; none when no word of it is in the corpus.

        Raises `InvalidContentError` when the corpus is empty or an item has no text.
        """
        index = await self._index(project_id, rag, corpus_digest)
        if len(index.chunks) >= LARGE:
            return await asyncio.to_thread(index.search, query, rag.retriever.top_k, rag.min_score)
        return index.search(query, rag.retriever.top_k, rag.min_score)

    async def _index(self, project_id: str, rag: RAGConfig, corpus_digest: str) -> Index:
        await self._forget_erased(project_id, corpus_digest)
        key = (project_id, corpus_digest, msgspec.json.encode(rag.chunking))
        building = self._indexes.get(key)
        if building is None:
            building = self._indexes[key] = asyncio.create_task(self._build(project_id, rag, corpus_digest))
            if len(self._indexes) > MAX_INDEXES:
                self._indexes.popitem(last=False)
        else:
            self._indexes.move_to_end(key)
        try:
            return await asyncio.shield(building)  # one caller's end is not the others'
        except BaseException:
            if building.done() and (building.cancelled() or building.exception()):
                self._indexes.pop(key, None)  # the next caller tries again
            raise

    async def _forget_erased(self, project_id: str, corpus_digest: str) -> None:
        """Drops a corpus's indexes when other items of it are erased than before."""
        if self._count_erased is None:
            return
        corpus, now = (project_id, corpus_digest), time.monotonic()
        at, before = self._checked.get(corpus, (-math.inf, None))
        if now - at < self._check_s:
            return
        self._checked[corpus] = (now, before)  # of many who come at once one asks
        try:
            count = await self._count_erased(project_id, corpus_digest)
        except BaseException:
            self._checked.pop(corpus, None)
            raise
        self._checked[corpus] = (now, count)
        if before is not None and count != before:
            for key in [key for key in self._indexes if key[:2] == corpus]:
                del self._indexes[key]
        while len(self._checked) > 4 * MAX_INDEXES:
            self._checked.pop(next(iter(self._checked)))

    async def _build(self, project_id: str, rag: RAGConfig, corpus_digest: str) -> Index:
        items = await self._load_items(project_id, corpus_digest)
        return await asyncio.to_thread(Index.of, items, rag.chunking)

    async def close(self) -> None:
        """Ends what is still being built."""
        tasks, self._indexes = list(self._indexes.values()), OrderedDict()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
