"""How far the claims of the answer are those of the reference, as a model says, and how near the two are in meaning."""

from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.judge.asking import CaseJudge, first_reference, together
from evaluators.judge.claims import claims_of, supported
from evaluators.judge.vectors import similarity
from evaluators.judging import Models


class AnswerCorrectness(CaseJudge, frozen=True):
    """Weighted mean of the F1 over claims and the cosine of output and reference; `weights` [0.75, 0.25].

    TP are claims of the answer that a judge finds supported by the reference, FP its others, FN claims of the reference that
    the answer does not support: F1 = TP / (TP + (FP + FN) / 2). A negative cosine counts as 0. Embeddings are needed only
    when the second weight is above 0. Range [0, 1], higher is better. An empty output is 0; a reference without claims is
    unscored; without a reference it is skipped. Of several references the first counts.
    Source: Ragas 0.3 (AnswerCorrectness), which gives F1 = 1 where there are no claims.
    """

    name = "answer_correctness"
    needs = frozenset({"reference", "inputs", "judge", "embeddings"})
    example = {"weights": [1, 0]}

    weights: tuple[float, float] = (0.75, 0.25)

    def check(self) -> None:
        super().check()
        if not (min(self.weights) >= 0 and 0 < sum(self.weights) < float("inf")):
            raise ScorerConfigError("weights are numbers from 0 on, not both 0", "/args/weights")

    @property
    def reads(self) -> frozenset[str]:
        return self.needs if self.weights[1] else self.needs - {"embeddings"}

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        if not sample.output.strip():
            return self.scored(0, "the output is empty")
        reference = first_reference(sample)
        evidence: dict[str, object] = {}
        f1 = cosine = 0.0
        if self.weights[0]:
            f1, evidence = await self._f1(sample, reference, models, sample_index)
            if not evidence["reference_claims"]:
                return Score.unscored("the reference makes no claims", evidence=evidence)
        if self.weights[1]:
            (cosine,) = await similarity(models, sample.output, [reference])
        value = (self.weights[0] * f1 + self.weights[1] * max(0.0, cosine)) / sum(self.weights)
        return self.scored(
            value,
            f"F1 over claims {f1:.3f}, cosine {cosine:.3f}, weighted {self.weights[0]:g} to {self.weights[1]:g}",
            evidence={**evidence, "f1": f1, "cosine": cosine},
        )

    async def _f1(
        self, sample: Sample, reference: str, models: Models, sample_index: int
    ) -> tuple[float, dict[str, object]]:
        judge, question = models.judge, self.asked(sample)
        claims, expected = await together(
            [claims_of(judge, text, question, sample_index) for text in (sample.output, reference)]
        )
        given, wanted = await together(
            [
                supported(judge, claims, "reference", reference, sample_index),
                supported(judge, expected, "answer", sample.output, sample_index),
            ]
        )
        right, wrong = [[each.item for each in given if each.good is kind] for kind in (True, False)]
        lacking = [each.item for each in wanted if not each.good]
        faults = len(wrong) + len(lacking)
        f1 = len(right) / (len(right) + faults / 2) if right else 0.0
        return f1, {"right": right, "wrong": wrong, "lacking": lacking, "reference_claims": len(expected)}
