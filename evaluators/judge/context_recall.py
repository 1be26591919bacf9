"""A model says how much of the reference the context holds."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, context_of, first_reference, share
from evaluators.judge.claims import claims_of, supported
from evaluators.judging import Models


class ContextRecall(CaseJudge, frozen=True):
    """Claims of the reference that follow from the context / all its claims.

    A judge takes the reference apart into claims, then says yes or no to each by the context (or the chunks) alone; the
    output is not looked at. Range [0, 1], higher is better. A reference without claims is unscored; without a reference, or
    without context and chunks, it is skipped. Of several references the first counts.
    Source: Ragas 0.3 (LLMContextRecall).
    """

    name = "context_recall"
    needs = frozenset({"context", "chunks", "reference", "inputs", "judge"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"reference"})

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        context = context_of(sample)
        claims = await claims_of(models.judge, first_reference(sample), self.asked(sample), sample_index)
        if not claims:
            return Score.unscored("the reference makes no claims")
        found = await supported(models.judge, claims, "context", context, sample_index)
        bad = next((each for each in found if not each.good), None)
        said = f"{sum(each.good for each in found)} of {len(found)} claims of the reference follow from the context"
        return self.scored(
            share(found),
            said if bad is None else f"{said}; {bad.item!r} does not: {bad.reason}",
            evidence={
                "claims": [{"claim": each.item, "supported": each.good, "reason": each.reason} for each in found]
            },
        )
