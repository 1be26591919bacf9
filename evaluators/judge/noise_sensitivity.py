"""How often wrong claims of the answer come from the passages it was given, as a model says."""

from typing import Literal

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, first_reference, passages_of, together
from evaluators.judge.claims import claims_of, supported
from evaluators.judging import Models


class NoiseSensitivity(CaseJudge, frozen=True):
    """Claims of the answer that are wrong and follow from the noise / all its claims. Lower is better.

    Wrong: does not follow from the reference. A passage is relevant when a claim of the reference follows from it. `noise:
    relevant` counts wrong claims that follow from a relevant passage; `irrelevant` those that follow from an irrelevant one
    and from no relevant one. Passages are the chunks, else the context in one piece. Range [0, 1]. An answer or a reference
    without claims, such as an empty one, is unscored; without reference, or without chunks and context, it is skipped.
    Of several references the first counts.
    Source: Ragas 0.3 (NoiseSensitivity).
    """

    name = "noise_sensitivity"
    needs = frozenset({"chunks", "context", "reference", "inputs", "judge"})
    direction = "minimize"

    noise: Literal["relevant", "irrelevant"] = "relevant"

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"reference"})

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        passages, question, reference = passages_of(sample), self.asked(sample), first_reference(sample)
        judge = models.judge
        claims, expected = await together(
            [claims_of(judge, text, question, sample_index) for text in (sample.output, reference)]
        )
        if not claims or not expected:
            return Score.unscored(f"the {'answer' if not claims else 'reference'} makes no claims")
        right, *by_passage = await together(
            [
                supported(judge, claims, "reference", reference, sample_index),
                *(
                    supported(judge, texts, "passage", each, sample_index)
                    for each in passages
                    for texts in (claims, expected)
                ),
            ]
        )
        pairs = list(zip(by_passage[::2], by_passage[1::2], strict=True))
        relevant = [any(each.good for each in of_reference) for _, of_reference in pairs]
        rows = []
        for place, claim in enumerate(claims):
            sources = {useful for (of_answer, _), useful in zip(pairs, relevant, strict=True) if of_answer[place].good}
            follows = sources == {False} if self.noise == "irrelevant" else True in sources
            rows.append({"claim": claim, "wrong": not right[place].good, "from_noise": follows})
        noisy = sum(row["wrong"] is True and row["from_noise"] is True for row in rows)
        return self.scored(
            noisy / len(rows),
            f"{noisy} of {len(rows)} claims are wrong and follow from {self.noise} passages",
            evidence={"claims": rows, "relevant": relevant},
        )
