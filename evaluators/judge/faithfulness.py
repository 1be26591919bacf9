"""A model says which claims of the answer follow from the context."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, context_of, share
from evaluators.judge.claims import claims_of, supported
from evaluators.judging import Models


class Faithfulness(CaseJudge, frozen=True):
    """Claims of the answer that follow from the context / all its claims.

    A judge takes the answer apart into claims, then says yes or no to each by the context (or the chunks) alone. Range
    [0, 1], higher is better. An answer without claims, such as an empty one or "I do not know", is unscored; without context
    and chunks it is skipped.
    Source: Ragas 0.3 (Faithfulness), Es et al. 2023 (arXiv 2309.15217); Ragas gives NaN where there are no claims.
    """

    name = "faithfulness"
    needs = frozenset({"context", "chunks", "inputs", "judge"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        context = context_of(sample)
        claims = await claims_of(models.judge, sample.output, self.asked(sample), sample_index)
        if not claims:
            return Score.unscored("the answer makes no claims")
        found = await supported(models.judge, claims, "context", context, sample_index)
        bad = next((each for each in found if not each.good), None)
        said = f"{sum(each.good for each in found)} of {len(found)} claims follow from the context"
        return self.scored(
            share(found),
            said if bad is None else f"{said}; {bad.item!r} does not: {bad.reason}",
            evidence={
                "claims": [{"claim": each.item, "supported": each.good, "reason": each.reason} for each in found]
            },
        )
