"""How much two lists of texts overlap."""

from typing import Any

import msgspec

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.reference.pairs import QUADRATIC_LIMIT
from evaluators.text import clip

# Pairs of items that are looked at; the assignment of 1,000 to 1,000 takes a tenth of a second.
_MOST_PAIRS = 1_000_000
_SHOWN = 20


class ListOverlap(Scorer, frozen=True):
    """Share of two lists that can be matched, item to item, by likeness.

    Each item of the output is matched with at most one of the reference so that the sum of the Levenshtein similarities
    is largest; that sum is divided by the longer length, or with `allow_extra` by the reference's. Items below `cutoff`
    count 0. Order does not matter. Range [0, 1], higher is better; two empty lists 1, one empty list 0.

    The output is a JSON array, or with `separator` a text that is split there (items are stripped, empty ones dropped).
    The reference is a list of items, or a text in the same form; a list of lists holds alternatives, of which the best
    counts (`[[]]` is the empty list). Items that are no texts are compared as canonical JSON. An output that is no array
    is unparsable (0).

    Source: autoevals 0.3, `ListContains` (`allow_extra` is its `allow_extra_entities`); scipy's linear_sum_assignment.
    """

    name = "list_overlap"
    needs = frozenset({"reference"})
    example = {"separator": "\n", "ignore_case": True}

    separator: str | None = None
    allow_extra: bool = False
    ignore_case: bool = False
    cutoff: float = 0.0

    def check(self) -> None:
        super().check()
        if self.separator == "":
            raise ScorerConfigError("give the text that stands between two items", "/args/separator")
        if not 0 <= self.cutoff <= 1:
            raise ScorerConfigError("cutoff is a similarity between 0 and 1", "/args/cutoff")

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not self._expected(sample):
            return f"{self.name} compares lists, and the reference is none: {clip(str(sample.reference))}"
        return reason

    def measure(self, sample: Sample) -> Score:
        found = self._items(sample.output)
        if found is None:
            return Score.unparsable(f"the output is no JSON array; found {clip(sample.output)}")
        alternatives = self._expected(sample)
        if any(self._too_much(found, each) for each in alternatives):
            sizes = f"{len(found):,} and {max(map(len, alternatives)):,} items"
            return Score.error(f"{self.name} would take too long on lists of {sizes}")
        matched = [self._matched(found, each) for each in alternatives]
        best = max(range(len(matched)), key=lambda index: matched[index][0])
        value, pairs = matched[best]
        expected = alternatives[best]
        taken = {row for row, _, likeness in pairs if likeness > 0}, {col for _, col, likeness in pairs if likeness > 0}
        evidence = {
            "reference": best,
            "unequal": [[found[r][:200], expected[c][:200], round(v, 4)] for r, c, v in pairs if 0 < v < 1][:_SHOWN],
            "missing": [each[:200] for index, each in enumerate(expected) if index not in taken[1]][:_SHOWN],
            "extra": [each[:200] for index, each in enumerate(found) if index not in taken[0]][:_SHOWN],
        }
        equal = sum(likeness == 1 for _, _, likeness in pairs)
        explanation = f"{equal} of {len(expected)} expected items were found as they are, among {len(found)}"
        return self.scored(value, explanation, evidence=evidence)

    def _matched(self, found: list[str], expected: list[str]) -> tuple[float, list[tuple[int, int, float]]]:
        if not found or not expected:
            return float(not found and not expected), []
        import numpy as np
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist
        from scipy.optimize import linear_sum_assignment

        left, right = (
            ([each.casefold() for each in found], [each.casefold() for each in expected])
            if self.ignore_case
            else (found, expected)
        )
        likeness = cdist(left, right, scorer=Levenshtein.normalized_similarity, dtype=np.float64)
        likeness[likeness < self.cutoff] = 0
        rows, cols = linear_sum_assignment(likeness, maximize=True)
        total = float(likeness[rows, cols].sum())
        length = len(expected) if self.allow_extra else max(len(found), len(expected))
        pairs = [(int(r), int(c), float(likeness[r, c])) for r, c in zip(rows, cols, strict=True)]
        return min(1.0, total / length), pairs

    def _too_much(self, found: list[str], expected: list[str]) -> bool:
        work = float(sum(map(len, found))) * sum(map(len, expected))
        return len(found) * len(expected) > _MOST_PAIRS or work > QUADRATIC_LIMIT

    def _items(self, text: str) -> list[str] | None:
        if self.separator is not None:
            return [each for part in text.split(self.separator) if (each := part.strip())]
        try:
            value = jsondata.parse(text)
        except jsondata.NotJSONError:
            return None
        return _written(value) if isinstance(value, list) else None

    def _expected(self, sample: Sample) -> list[list[str]]:
        reference = sample.reference
        if isinstance(reference, list):
            if any(isinstance(each, list) for each in reference):
                return [_written(each) for each in reference if isinstance(each, list)]
            return [_written(reference)]
        items = self._items(reference) if isinstance(reference, str) else None
        return [] if items is None else [items]


def _written(items: list[Any]) -> list[str]:
    return [each if isinstance(each, str) else msgspec.json.encode(each, order="sorted").decode() for each in items]
