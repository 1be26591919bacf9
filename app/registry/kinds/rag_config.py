"""RAG configurations: which corpus, how it is cut, what is retrieved and how it is shown to the model."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from app.kit.errors import FieldError
from app.registry.kinds.base import Content, Kind, Reference, Tag, template_problems

DEFAULT_CONTEXT = "{% for chunk in chunks %}[{{ loop.index }}] {{ chunk.title }}\n{{ chunk.text }}\n\n{% endfor %}"


class Chunking(Content, frozen=True):
    """How a text is cut: `size` and `overlap` count tokens or sentences, as `by` says."""

    by: Literal["tokens", "sentences", "headings", "none"] = "none"
    size: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 200
    overlap: Annotated[int, msgspec.Meta(ge=0)] = 0


class Retriever(Content, frozen=True):
    kind: Literal["bm25", "embedding", "hybrid", "http"] = "bm25"
    top_k: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    endpoint: str | None = None
    url: str | None = None


class RAGConfig(Content, frozen=True):
    """`query` is a template over the prompt's variables, `context` one over `chunks` (title, text, score, id)."""

    corpus: str
    description: str = ""
    chunking: Chunking = msgspec.field(default_factory=Chunking)
    retriever: Retriever = msgspec.field(default_factory=Retriever)
    query: str = "{{ question }}"
    context: str = DEFAULT_CONTEXT
    min_score: float | None = None
    tags: list[Tag] = []


def references(config: RAGConfig) -> Iterable[Reference]:
    yield Reference("/corpus", "dataset", config.corpus)
    if config.retriever.endpoint is not None:
        yield Reference("/retriever/endpoint", "endpoint", config.retriever.endpoint)


def problems(config: RAGConfig) -> Iterable[FieldError]:
    if config.retriever.kind != "bm25":
        yield FieldError("/retriever/kind", f"{config.retriever.kind!r} is not available yet; use 'bm25'")
    yield from template_problems(config.query, "/query")
    yield from template_problems(config.context, "/context", known=["chunks"])
    if config.chunking.by in ("tokens", "sentences") and config.chunking.overlap >= config.chunking.size:
        yield FieldError("/chunking/overlap", "overlap must be smaller than size")


KIND = Kind(
    "rag_config",
    "rag-configs",
    ".rag.yaml",
    RAGConfig,
    ("corpus", "chunking", "retriever", "query", "context", "min_score"),
    references,
    problems,
)
