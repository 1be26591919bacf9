"""How far a text is supported, word for word, by the sources that it should rest on."""

import functools
import itertools
import re
import unicodedata
from collections.abc import Collection
from typing import Literal

from evaluators.contract import Sample

Against = Literal["context", "chunks"]

# Share of supported words from which a sentence counts as supported. Of BEGIN's 430 answers (Wizard of Wikipedia, dev) 88 %
# of those that people call fully attributable reach it, and 10 % of the others.
SUPPORTED = 0.75

_SYMBOLS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # scripts written without spaces
_ASCII_WORD = re.compile("[a-z0-9]+")
_MARKER = re.compile(r"\[\^?\d{1,3}(?:[,;]\s?\d{1,3}){0,20}\]")
_STEM = 6
_FUNCTION_WORD = 0.5
_FUNCTION_TEXT = (
    "a about above after again all also am an and any are as at be because been before being between both but by can "
    "could did do does doing down during each even few for from further had has have having he her here hers him his "
    "how i if in into is it its itself just me more most my no nor not now of off on once only or other our out over "
    "own same she should so some such than that the their them then there these they this those through to too under "
    "until up us very was we well were what when where which while who whom why will with would you your yes yeah "
)
FUNCTION_WORDS = frozenset(_FUNCTION_TEXT.split())

# A citation that stands behind the full stop still belongs to the sentence. Possessive: linear on any text.
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)]*+(?:[ \t]*+\[[^\[\]\n]{1,80}+\])*+(?=\s++[^\sa-z]|\s*+\Z)"
    r"|[。！？]++[」』”]*+(?:\[[^\[\]\n]{1,80}+\])*+|\n++"
)


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Words and symbols; compiled when first wanted, for ranges this wide take the compiler milliseconds."""
    return re.compile(rf"[{_SYMBOLS}]+|[^\W_{_SYMBOLS}]+"), re.compile(f"[{_SYMBOLS}]")


def words(text: str) -> list[str]:
    """The words to compare by: lower case, cut to six letters (numbers are not cut), two characters each in Chinese and Japanese.

    Six letters stand for a stem in languages that inflect at the end: "crayon" and "crayons" are the same word.
    """
    if text.isascii():
        return [_stem(run) for run in _ASCII_WORD.findall(text.lower())]
    found, (word, symbol) = list[str](), _patterns()
    for run in word.findall(unicodedata.normalize("NFKC", text).casefold()):
        if run[0] >= "\u3040" and symbol.match(run):
            found += [run[i : i + 2] for i in range(len(run) - 1)] if len(run) > 1 else [run]
        else:
            found.append(_stem(run))
    return found


def _stem(word: str) -> str:
    if len(word) <= _STEM:
        return word
    return word[:_STEM] if word.isalpha() or not any(map(str.isdecimal, word)) else word


_FUNCTION_STEMS = frozenset(word[:_STEM] for word in FUNCTION_WORDS)


def without_markers(text: str) -> str:
    """The text without `[1]`, `[2, 3]` and `[^1]`, which are no words of it."""
    return _MARKER.sub(" ", text)


def supported(found: list[str], sources: Collection[str]) -> tuple[float, float]:
    """Weights of the words that the sources have, and of all words; English function words weigh a half."""
    total = right = 0.0
    for word in found:
        weight = _FUNCTION_WORD if word in _FUNCTION_STEMS else 1.0
        total += weight
        if word in sources:
            right += weight
    return right, total


def share(found: list[str], sources: Collection[str]) -> float:
    """Share of the words that the sources have, by weight; 0 without words."""
    right, total = supported(found, sources)
    return right / total if total else 0.0


def sentences(text: str) -> list[str]:
    """The text's sentences, each with the citations behind its full stop; lines end sentences, too."""
    cuts = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    parts = (text[start:end].strip() for start, end in itertools.pairwise(cuts))
    return [part for part in parts if part]


def sources_of(sample: Sample, against: Against) -> list[str]:
    """The texts that the answer should rest on: what was put into the prompt, or the chunks with their titles."""
    if against == "context":
        return [sample.context or ""]
    return [f"{chunk.title or ''}\n{chunk.text}" for chunk in sample.chunks or ()]
