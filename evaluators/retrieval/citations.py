"""Reading citations: which sentences cite which chunks, and whether those support them."""

import functools
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.retrieval.support import SUPPORTED, sentences, share, words

_BRACKET = re.compile(r"\[([^\[\]\n]{1,80})\]")
_SEPARATOR = re.compile(r"[,;]")
_PIECE = re.compile(r"#\d+$")
_CLAIM = 3  # words; what is shorter is a heading, a greeting, or "Dr."
_MOST_SENTENCES = 20_000
_MOST_BRACKETS = 20_000
_MOST_CITATIONS = 500


class Cited(NamedTuple):
    """A sentence without its markers, and the chunks that it cites: one list of places for each marker.

    A marker that names no chunk has an empty list.
    """

    words: list[str]
    markers: list[str]
    places: list[list[int]]


class CitationScorer(Scorer, frozen=True):
    """Checks markers such as `[1]`, `[2, 3]`, `[^1]` or `[doc#2]` against the chunks.

    A number is a place in the list of chunks, from 1, unless a chunk has it as its id (`markers: number` and
    `markers: id` allow but the one reading). The id of a document cites all its chunks. Other brackets, such as `[sic]`,
    are no citations, but a number beyond the list is one that names nothing.
    """

    needs = frozenset({"chunks"})

    markers: Literal["auto", "number", "id"] = "auto"
    bound: float = SUPPORTED

    def check(self) -> None:
        super().check()
        if not 0 < self.bound <= 1:
            raise ScorerConfigError(
                f"the bound is a share of words above 0 and up to 1, not {self.bound:g}", "/args/bound"
            )

    def measure(self, sample: Sample) -> Score:
        parts = sentences(sample.output)
        if len(parts) > _MOST_SENTENCES:
            return Score.error(f"{self.name} reads at most {_MOST_SENTENCES:,} sentences, and there are {len(parts):,}")
        brackets = sample.output.count("[")
        cited = list(self.cited(parts, sample)) if brackets <= _MOST_BRACKETS else []
        if brackets > _MOST_BRACKETS or sum(len(each.markers) for each in cited) > _MOST_CITATIONS:
            return Score.error(f"{self.name} checks at most {_MOST_CITATIONS} citations, and there are more")
        return self.judge(cited, Sources(sample, self.bound))

    def judge(self, cited: list[Cited], sources: "Sources") -> Score:
        """The score of these sentences. Written by each scorer."""
        raise NotImplementedError

    def cited(self, parts: list[str], sample: Sample) -> Iterator[Cited]:
        """What each sentence cites of the sample's chunks."""
        known = self._known(sample)
        for sentence in parts:
            markers, places = list[str](), list[list[int]]()
            for match in _BRACKET.finditer(sentence):
                names = [name.strip().removeprefix("^") for name in _SEPARATOR.split(match[1])]
                if any(name in known or self._is_number(name) for name in names):
                    markers += names
                    places += [known.get(name, []) for name in names]
            yield Cited(words(_BRACKET.sub(" ", sentence) if markers else sentence), markers, places)

    def _is_number(self, name: str) -> bool:
        return self.markers != "id" and name.isdecimal()

    def _known(self, sample: Sample) -> dict[str, list[int]]:
        """The chunks' places by what cites them."""
        chunks = sample.chunks or []
        known = dict[str, list[int]]()
        if self.markers != "number":
            for place, chunk in enumerate(chunks):
                known.setdefault(chunk.id, []).append(place)
                if (document := _PIECE.sub("", chunk.id)) != chunk.id:
                    known.setdefault(document, []).append(place)
        if self.markers != "id":
            for place in range(len(chunks)):
                known.setdefault(str(place + 1), [place])
        return known


class Sources:
    """The chunks' words, read when they are first cited."""

    def __init__(self, sample: Sample, bound: float) -> None:
        self._chunks, self._bound = sample.chunks or [], bound
        self._words = functools.cache(self._read)

    def _read(self, place: int) -> frozenset[str]:
        chunk = self._chunks[place]
        return frozenset(words(f"{chunk.title or ''}\n{chunk.text}"))

    def support(self, sentence: list[str], places: list[int]) -> bool:
        """Whether the chunks together have enough of the sentence's words."""
        return share(sentence, frozenset[str]().union(*map(self._words, set(places)))) >= self._bound


def is_claim(cited: Cited) -> bool:
    """Whether the sentence is long enough to claim something."""
    return len(cited.words) >= _CLAIM
