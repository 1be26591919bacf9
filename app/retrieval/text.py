"""Words and chunks of a text. Whatever changes here changes answers: raise `GENERATION_VERSION` with it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from app.registry.kinds.rag_config import Chunking

_SYMBOLS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts that are written without spaces: each of their characters is a word."""
_WORD = re.compile(rf"[{_SYMBOLS}]|[^\W{_SYMBOLS}]+")
_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』）]*|\n\s*\n)\s*")
_HEADING = re.compile(r"#{1,6}[ \t]+(?P<title>.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")


class Piece(NamedTuple):
    """A part of a text; `heading` is what it stands under, if chunks are cut at headings."""

    text: str
    heading: str = ""


def words(text: str) -> list[str]:
    """The words that are searched for, in lower case."""
    return _WORD.findall(text.casefold())


def pieces(text: str, chunking: Chunking) -> list[Piece]:
    """`text` cut as `chunking` says; empty pieces are left out."""
    if chunking.by == "none":
        found = [Piece(text)]
    elif chunking.by == "headings":
        found = list(_sections(text))
    else:
        starts = _sentence_starts(text) if chunking.by == "sentences" else [m.start() for m in _WORD.finditer(text)]
        found = [Piece(part) for part in _windows(text, starts, chunking.size, chunking.overlap)]
    return [piece._replace(text=piece.text.strip()) for piece in found if piece.text.strip() or piece.heading]


def _windows(text: str, starts: list[int], size: int, overlap: int) -> Iterator[str]:
    """Runs of `size` units that begin at `starts`, each sharing `overlap` units with the one before."""
    if not starts:
        yield text
        return
    starts[0] = 0  # what stands before the first word belongs to it
    step = max(1, size - overlap)
    for first in range(0, len(starts), step):
        end = first + size
        yield text[starts[first] : starts[end] if end < len(starts) else len(text)]
        if end >= len(starts):
            return


def _sentence_starts(text: str) -> list[int]:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [0, *(end for end in ends if text[end:].strip())]


def _sections(text: str) -> Iterator[Piece]:
    """Sections at Markdown headings (`#` to `######`), those in fenced code left alone."""
    heading, lines, fence = "", list[str](), ""
    for line in text.splitlines():
        marker = _FENCE.match(line)
        if fence:
            fence = "" if marker and marker[1].startswith(fence) else fence
        elif marker:
            fence = marker[1]
        elif title := _HEADING.match(line):
            yield Piece("\n".join(lines), heading)
            heading, lines = title["title"], []
            continue
        lines.append(line)
    yield Piece("\n".join(lines), heading)
