"""Precision, recall or F-beta of the answer's claims against those of the reference, as a model says."""

import math
from typing import Literal

from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.judge.asking import CaseJudge, Marked, first_reference
from evaluators.judge.claims import claims_of, supported
from evaluators.judging import Models


class FactualCorrectness(CaseJudge, frozen=True):
    """Precision, recall or F-beta (`mode: f`, `beta: 1`) of claims.

    TP are claims of the answer that a judge finds supported by the reference, FP its others, FN claims of the reference that
    the answer does not support: precision TP / (TP + FP), recall TP / (TP + FN), F = (1 + b^2) P R / (b^2 P + R). Range
    [0, 1], higher is better. An empty output is 0; no claims on a side that is divided by: unscored; without a reference it
    is skipped. Of several references the first counts.
    Source: Ragas 0.3 (FactualCorrectness), there rounded to two digits.
    """

    name = "factual_correctness"
    needs = frozenset({"reference", "inputs", "judge"})

    mode: Literal["precision", "recall", "f"] = "f"
    beta: float = 1.0

    def check(self) -> None:
        super().check()
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ScorerConfigError("beta is a number above 0", "/args/beta")

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        if not sample.output.strip():
            return self.scored(0, "the output is empty")
        judge, question, reference = models.judge, self.asked(sample), first_reference(sample)
        given = await supported(
            judge,
            await claims_of(judge, sample.output, question, sample_index),
            "reference",
            reference,
            sample_index,
        )
        wanted: list[Marked] = []
        if self.mode != "precision":
            expected = await claims_of(judge, reference, question, sample_index)
            wanted = await supported(judge, expected, "answer", sample.output, sample_index)
            if not expected:
                return Score.unscored("the reference makes no claims")
        if not given and self.mode == "precision":
            return Score.unscored("the answer makes no claims")
        right, lacking = sum(each.good for each in given), sum(not each.good for each in wanted)
        value = self._value(right, len(given) - right, lacking)
        shown = [{"claim": each.item, "supported": each.good, "reason": each.reason} for each in given]
        return self.scored(
            value,
            f"{right} of {len(given)} claims are supported by the reference, {lacking} of its own are lacking",
            evidence={"claims": shown, "lacking": [each.item for each in wanted if not each.good]},
        )

    def _value(self, right: int, wrong: int, lacking: int) -> float:
        if not right:
            return 0.0
        precision, recall = right / (right + wrong), right / (right + lacking)
        if self.mode == "f":
            square = self.beta**2
            return (1 + square) * precision * recall / (square * precision + recall)
        return precision if self.mode == "precision" else recall
