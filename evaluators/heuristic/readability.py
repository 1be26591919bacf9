"""How many years of school the output asks for."""

import functools
import math
import re
from typing import Literal

import msgspec

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError, ValueRange

_WORD = r"[^\W_]+(?:['’][^\W_]+)*"
_SENTENCE_END = r"(?<![.!?…。！？])[.!?…。！？]++[\"'”’)\]]*+(?=\s|$)|\n\s*\n"
_VOWELS = "[aeiouyäöüàáâèéêëìíîïòóôùúûœæ]+"
_TWO_SYLLABLES = "[aeiouy](?=ing$|ings$)"  # be-ing, go-ing: one group of vowels, two syllables
_LONGEST = 60  # letters of a word that are looked at
_LEAST = {"flesch_kincaid": -3.4, "ari": -16.22}


def syllables(word: str) -> int:
    """Groups of vowels, y being one, at least 1. Not heard: a final e, and that of -es and -ed, save in -le, -ted, -ded,
    -ses and their like; `-ing` after a vowel is a syllable of its own."""
    word = word.casefold()
    count = len(re.findall(_VOWELS, word)) + len(re.findall(_TWO_SYLLABLES, word))
    silent = (
        (word.endswith("e") and not re.search("[^aeiouy]le$|[aeiouy]e$", word))
        or (word.endswith("es") and not re.search("(?:[sxzcg]|ch|sh|[^aeiouy]l|[aeiouy])es$", word))
        or (word.endswith("ed") and not re.search("(?:[td]|[aeiouy])ed$", word))
    )
    return max(1, count - silent)


_remembered = functools.lru_cache(maxsize=20_000)(syllables)


class Readability(Scorer, frozen=True):
    """The school grade (US) that a text asks of its reader, or whether it lies between `min` and `max`.

    `flesch_kincaid` is 0.39 words/sentences + 11.8 syllables/words - 15.59; `ari` is 4.71 characters/words
    + 0.5 words/sentences - 21.43, its characters being letters and digits. Sentences end at . ! ? before white space, and
    at blank lines; syllables are groups of vowels without silent e. Both are made for English; `ari` needs no syllables.
    With `min` or `max`: 1 when the grade lies within them (both included), else 0; range {0, 1}, higher is better. Without:
    the grade itself, unbounded from -3.4 (`ari`: -16.22), lower is easier to read and counts as better. An output
    without words has no grade and is unparsable (0). Source: Kincaid et al. 1975 (CNTECHTRA RBR 8-75); Smith & Senter
    1967 (AMRL-TR-66-220).
    """

    name = "readability"
    example = {"formula": "flesch_kincaid", "max": 9}

    formula: Literal["flesch_kincaid", "ari"] = "flesch_kincaid"
    at_least: float | None = msgspec.field(name="min", default=None)
    at_most: float | None = msgspec.field(name="max", default=None)

    def check(self) -> None:
        super().check()
        least = _LEAST[self.formula]
        for name, bound in (("min", self.at_least), ("max", self.at_most)):
            if bound is not None and not math.isfinite(bound):
                raise ScorerConfigError(f"{name} must be a finite number, not {bound}", f"/args/{name}")
        if self.at_most is None and self.at_least is not None and self.at_least <= least:
            raise ScorerConfigError(f"no text is below {least}, so this cannot fail", "/args/min")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ScorerConfigError(f"min {self.at_least:g} is above max {self.at_most:g}", "/args/min")

    @property
    def bounded(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    @property
    def value_range(self) -> ValueRange:
        if self.bounded:
            return ValueRange("maximize", 0, 1, None)
        return ValueRange("minimize", _LEAST[self.formula], None, "grade")

    def verdict(self, value: float) -> bool | None:
        return value == 1 if self.bounded and self.threshold is None else super().verdict(value)

    def measure(self, sample: Sample) -> Score:
        text = sample.output
        found = re.findall(_WORD, text)
        if not found:
            return Score.unparsable("the output has no words, so it has no grade")
        ends = [match.start() for match in re.finditer(_SENTENCE_END, text)]
        sentences = _sentences(text, ends)
        evidence: dict[str, float] = {"words": len(found), "sentences": sentences}
        per_sentence = len(found) / sentences
        if self.formula == "ari":
            evidence["characters"] = characters = sum(sum(map(str.isalnum, word)) for word in found)
            grade = 4.71 * characters / len(found) + 0.5 * per_sentence - 21.43
        else:
            evidence["syllables"] = spoken = sum(map(_remembered, (word[:_LONGEST] for word in found)))
            grade = 0.39 * per_sentence + 11.8 * spoken / len(found) - 15.59
        grade = max(grade, _LEAST[self.formula])  # rounding may fall below
        evidence["grade"] = round(grade, 4)
        shown = f"grade {grade:.1f} by {self.formula}"
        if not self.bounded:
            return self.scored(grade, shown, evidence=evidence)
        if self.at_least is not None and grade < self.at_least:
            return self.scored(0.0, f"{shown}, below {self.at_least:g}", evidence=evidence)
        if self.at_most is not None and grade > self.at_most:
            return self.scored(0.0, f"{shown}, above {self.at_most:g}", evidence=evidence)
        return self.scored(1.0, f"{shown}, as asked", evidence=evidence)


def _sentences(text: str, ends: list[int]) -> int:
    """Stretches between ends that hold a word."""
    count = start = 0
    for end in [*ends, len(text)]:
        count += re.compile(_WORD).search(text, start, end) is not None
        start = end
    return max(1, count)
