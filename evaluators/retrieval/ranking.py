"""The shared form of scorers that judge a ranking against the chunks that a case names as relevant."""

import math
import re
from typing import Any, Literal

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.lookup import check_path, need_of, value_at

_PIECE = re.compile(r"#\d+$")
_HIGHEST_GRADE = 1000


class RankingScorer(Scorer, frozen=True):
    """Judges the order of the chunks; the same id found again counts once, at its first place, and the rest move up.

    `relevant` is the path of the relevant ids: a list, one id, or `{id: grade}`, where a grade of 0 or less is not
    relevant. `ids: chunk` compares ids as they are; `ids: document` compares them without their `#<number>`, which tells
    the pieces of one document apart, so that each document counts once, at its best piece.
    """

    needs = frozenset({"chunks", "reference", "metadata", "inputs"})

    relevant: str = "metadata.relevant"
    ids: Literal["chunk", "document"] = "chunk"

    def check(self) -> None:
        super().check()
        check_path(self.relevant, "relevant")

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"chunks", need_of(self.relevant)})

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and value_at(sample, self.relevant) in (None, [], {}, ""):
            return f"{self.name}: the sample names no relevant chunks at {self.relevant}"
        return reason

    def measure(self, sample: Sample) -> Score:
        try:
            grades = self._grades(value_at(sample, self.relevant))
        except ValueError as exc:
            return Score.error(f"{self.name}: {self.relevant} {exc}")
        if not grades:
            return Score.skipped(f"{self.name}: the sample names no relevant chunks at {self.relevant}")
        found = list(dict.fromkeys(self._id(chunk.id) for chunk in sample.chunks or ()))
        gains = [grades.get(each, 0.0) for each in found]
        ranks = [rank for rank, gain in enumerate(gains, 1) if gain]
        explanation = f"{len(ranks)} of {len(grades)} relevant among {len(found)} retrieved"
        missed = [each for each in grades if each not in found]
        if self.ids == "chunk" and {_PIECE.sub("", each) for each in found}.intersection(missed):
            explanation += "; the case names documents, not chunks: use ids: document"
        evidence = {"ranks": ranks[:50], "missed": missed[:20]}
        return self.scored(self.value_of(gains, list(grades.values())), explanation, evidence=evidence)

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        """The value of a ranking: the grade at each place (0: not relevant), and all grades of the case above 0."""
        raise NotImplementedError

    def _id(self, written: str) -> str:
        return _PIECE.sub("", written) if self.ids == "document" else written

    def _grades(self, value: Any) -> dict[str, float]:
        """Grades above 0 by id; of several for one document the highest. Raises ValueError."""
        if not isinstance(value, dict):
            value = dict.fromkeys(_id_list(value), 1)
        grades = dict[str, float]()
        for written, grade in value.items():
            if isinstance(grade, bool | int | float) and math.isfinite(grade) and grade <= _HIGHEST_GRADE:
                if grade > 0:
                    key = self._id(written)
                    grades[key] = max(grades.get(key, 0.0), float(grade))
            else:
                raise ValueError(f"gives {written!r} a grade that is no number up to {_HIGHEST_GRADE}")
        return grades


def _id_list(value: Any) -> list[str]:
    """Raises ValueError."""
    ids = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int) and not isinstance(each, bool) for each in ids):
        raise ValueError("is neither a list of ids nor {id: grade}")
    return [str(each) for each in ids]


class CutRankingScorer(RankingScorer, frozen=True):
    """Looks at the first `k` places."""

    k: int = 10

    def check(self) -> None:
        super().check()
        if self.k < 1:
            raise ScorerConfigError(f"k must be at least 1, not {self.k}", "/args/k")
