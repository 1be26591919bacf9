"""Retrieval: one index per corpus and chunking, built once, searched in microseconds."""

import asyncio
from collections import OrderedDict

import msgspec

from app.registry.kinds.rag_config import RAGConfig
from app.retrieval.index import Index
from app.retrieval.schemas import Chunk, LoadItems

MAX_INDEXES = 32
LARGE = 20_000
"""Chunks from which on a search takes long enough (about a millisecond) to leave the event loop."""


class Retrieval:
    """The indexes of this process; the most recently used stay. Lives on one event loop."""

    def __init__(self, load_items: LoadItems) -> None:
        self._load_items = load_items
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

    async def _build(self, project_id: str, rag: RAGConfig, corpus_digest: str) -> Index:
        items = await self._load_items(project_id, corpus_digest)
        return await asyncio.to_thread(Index.of, items, rag.chunking)

    async def close(self) -> None:
        """Ends what is still being built."""
        tasks, self._indexes = list(self._indexes.values()), OrderedDict()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
