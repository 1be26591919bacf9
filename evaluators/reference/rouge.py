"""ROUGE as Google's rouge_score defines it: its tokens, its counts, and faster ways to the same numbers."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from rapidfuzz.distance import LCSseq

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.reference.pairs import QUADRATIC_LIMIT
from evaluators.text import texts

Part = Literal["f", "precision", "recall"]

# A pair of words costs this many pairs of characters, measured on texts of 100,000 words.
_COST_OF_TOKENS = 15.0

_TO_SPACES = bytes(code if chr(code).isalnum() and code < 128 else 32 for code in range(256))
_TOKEN = re.compile("[a-z0-9]+")
_STEMMED_FROM = 4  # shorter words stay as they are
_LONGEST_REMEMBERED = 40


class Counts(NamedTuple):
    """What ROUGE is made of: units that both texts have, units of the output, units of the reference."""

    common: int
    found: int
    expected: int


class RougeScorer(Scorer, frozen=True):
    """Counts units that output and reference share. Of several references the one with the best F counts, first of equals."""

    needs = frozenset({"reference"})

    part: Part = "f"
    stemmer: bool = False

    def check(self) -> None:
        super().check()
        if self.stemmer:
            require_nltk("/args/stemmer")

    def counts(self, output: str, reference: str) -> Counts:
        """The units of one pair. Written by each scorer; raises TooLongError."""
        raise NotImplementedError

    def lacking(self, sample: Sample) -> str | None:
        if isinstance(sample.reference, str):
            return None
        reason = super().lacking(sample)
        if reason is None and not texts(sample.references):
            return f"{self.name} compares text, and the reference is an object"
        return reason

    def measure(self, sample: Sample) -> Score:
        alternatives = texts(sample.references)
        try:
            every = [parts(self.counts(sample.output, each)) for each in alternatives]
        except TooLongError as exc:
            return Score.error(f"{self.name} would take too long on texts of {exc}")
        best = max(range(len(every)), key=lambda index: every[index]["f"])
        value = every[best][self.part]
        if len(every) == 1:
            return self.scored(value)
        return self.scored(
            value,
            f"the best of {len(every)} references is number {best + 1}",
            evidence={"reference": best, "values": [each[self.part] for each in every]},
        )

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        counts, scored, part = self.counts, self.scored, _PARTS[self.part]
        scores = []
        for sample in samples:
            if not isinstance(sample.reference, str):
                scores.append(self.measure(sample))
                continue
            try:
                scores.append(scored(part(*counts(sample.output, sample.reference))))
            except TooLongError as exc:
                scores.append(Score.error(f"{self.name} would take too long on texts of {exc}"))
        return scores

    @functools.cached_property
    def tokens(self) -> Callable[[str], list[bytes]] | Callable[[str], list[str]]:
        """The function that makes tokens of a text."""
        return stemmed_tokens if self.stemmer else plain_tokens


class TooLongError(Exception):
    """Two texts that would take longer to compare than is reasonable; says how long they are."""


def parts(counts: Counts) -> dict[Part, float]:
    """Precision, recall and F of counts; a text without units has 0 of each."""
    return {"f": _f(*counts), "precision": _precision(*counts), "recall": _recall(*counts)}


def _precision(common: int, found: int, expected: int) -> float:  # noqa: ARG001 - one signature for all parts
    return common / found if found else 0.0


def _recall(common: int, found: int, expected: int) -> float:  # noqa: ARG001 - one signature for all parts
    return common / expected if expected else 0.0


def _f(common: int, found: int, expected: int) -> float:
    # In rouge_score's order of operations: another one rounds otherwise.
    if not common:
        return 0.0
    precision, recall = common / found, common / expected
    return 2 * precision * recall / (precision + recall)


_PARTS: dict[Part, Callable[[int, int, int], float]] = {"f": _f, "precision": _precision, "recall": _recall}


def plain_tokens(text: str) -> list[bytes]:
    """Runs of a-z and 0-9 in the text in lower case. Lower case comes first: the Kelvin sign is a k then."""
    return text.lower().encode("ascii", "replace").translate(_TO_SPACES).split()


def stemmed_tokens(text: str) -> list[str]:
    """`plain_tokens` with each word of more than three letters reduced to its Porter stem. Needs nltk."""
    stem = porter_stem()
    words = [stem(word) if len(word) >= _STEMMED_FROM else word for word in _TOKEN.findall(text.lower())]
    return [word for word in words if _TOKEN.fullmatch(word)]


def lcs_length(left: Sequence[bytes] | Sequence[str], right: Sequence[bytes] | Sequence[str]) -> int:
    """Length of the longest common subsequence of two lists of tokens. Raises TooLongError."""
    if len(left) * len(right) * _COST_OF_TOKENS > QUADRATIC_LIMIT:
        raise TooLongError(f"{len(left):,} and {len(right):,} words")
    return LCSseq.similarity(left, right)


def ngram_counts(n: int, found: Sequence[bytes] | Sequence[str], expected: Sequence[bytes] | Sequence[str]) -> Counts:
    """How many n-grams two lists of tokens share, counted with repeats, and how many each has."""
    left: Counter[object]
    right: Counter[object]
    if n == 1:
        left, right = Counter(found), Counter(expected)
    else:
        left = Counter(zip(*(found[start:] for start in range(n)), strict=False))
        right = Counter(zip(*(expected[start:] for start in range(n)), strict=False))
    common = sum([min(left[gram], right[gram]) for gram in left.keys() & right.keys()])
    return Counts(common, max(len(found) - n + 1, 0), max(len(expected) - n + 1, 0))


def require_nltk(pointer: str) -> None:
    """Raises ScorerConfigError when nltk is not installed."""
    import importlib.util

    if importlib.util.find_spec("nltk") is None:
        raise ScorerConfigError("needs nltk, which is not installed: add promptward[nlp]", pointer)


@functools.cache
def porter_stem(mode: str = "NLTK_EXTENSIONS") -> Callable[[str], str]:
    """nltk's Porter stemmer in one of its modes, remembering the stems of words of ordinary length."""
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer(mode).stem
    remembered = functools.lru_cache(maxsize=1 << 16)(stem)

    def stem_of(word: str) -> str:
        return str(remembered(word) if len(word) <= _LONGEST_REMEMBERED else stem(word))

    return stem_of
