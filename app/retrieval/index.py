"""A corpus, cut and indexed for BM25 (Robertson and Zaragoza 2009, in Lucene's form: k1 = 1.5, b = 0.75)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.kit.errors import FieldError, InvalidContentError
from app.registry.kinds.rag_config import Chunking
from app.retrieval.schemas import Chunk, CorpusItem
from app.retrieval.text import pieces, words

if TYPE_CHECKING:
    import numpy as np


class Index:
    """Built once and then only read. Building takes a while: do it off the event loop."""

    def __init__(self, chunks: list[Chunk]) -> None:
        import bm25s

        self.chunks = chunks
        self._engine: Any = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
        self._ids: dict[str, int] = {}
        texts = [words(f"{c.title}\n{c.text}") for c in chunks]
        if any(texts):  # without a single word there is nothing to weigh
            self._engine.index(texts, show_progress=False)
            self._ids = self._engine.vocab_dict

    @classmethod
    def of(cls, items: Sequence[CorpusItem], chunking: Chunking) -> "Index":
        """Raises `InvalidContentError` naming the item when the corpus is empty or an item has no text."""
        chunks = [chunk for i, item in enumerate(items) for chunk in _chunks(i, item, chunking)]
        if not chunks:
            detail = "the corpus of this RAG config is empty; its dataset needs items with a text in `inputs.text`"
            raise InvalidContentError(detail, [FieldError("/corpus", detail)])
        return cls(chunks)

    def search(self, query: str, top_k: int, min_score: float | None) -> list[Chunk]:
        """The best chunks, best first; of equal ones the earlier in the corpus. A chunk that shares no word is never one."""
        import msgspec
        import numpy as np

        known = [self._ids[word] for word in words(query) if word in self._ids]
        if not known:
            return []
        scores: np.ndarray[Any, Any] = self._engine.get_scores_from_ids(known)
        return [
            msgspec.structs.replace(self.chunks[i], score=round(float(scores[i]), 6))
            for i in _best(scores, top_k)
            if scores[i] > 0 and (min_score is None or scores[i] >= min_score)
        ]


def _best(scores: "np.ndarray[Any, Any]", top_k: int) -> list[int]:
    """Indices of the `top_k` largest, ties by index; sorts only those that can be among them."""
    import numpy as np

    candidates = np.arange(len(scores))
    if top_k < len(scores):
        least = np.partition(scores, len(scores) - top_k)[len(scores) - top_k]
        candidates = np.flatnonzero(scores >= least)
    order = np.argsort(-scores[candidates], kind="stable")[:top_k]
    return [int(i) for i in candidates[order]]


def _chunks(number: int, item: CorpusItem, chunking: Chunking) -> list[Chunk]:
    text, title = item.inputs.get("text"), item.inputs.get("title", "")
    if not isinstance(text, str):
        detail = f"item {item.id!r} of the corpus has no text; a corpus needs a text in every item's `inputs.text`"
        raise InvalidContentError(detail, [FieldError(f"/items/{number}/inputs/text", detail)])
    title = title if isinstance(title, str) else str(title)
    found = pieces(text, chunking)
    return [
        Chunk(
            item.id if len(found) == 1 else f"{item.id}#{n}",
            item.id,
            " > ".join(part for part in (title, piece.heading) if part),
            piece.text,
        )
        for n, piece in enumerate(found, 1)
    ]
