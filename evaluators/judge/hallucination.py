"""A model says which of the passages the answer contradicts."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, marked, passages_of, share
from evaluators.judging import Models

_TASK = """\
For each of the numbered sources decide whether the answer agrees with it. An answer that leaves something out, or says \
something on which the source is silent, does not contradict it.
First write your reason, naming what decides. Then the verdict: "yes" if they agree, "no" if the answer contradicts the source."""


class Hallucination(CaseJudge, frozen=True):
    """Passages that the answer contradicts / all passages. Lower is better.

    The passages are the chunks, else the context in one piece; a judge says to each whether the answer agrees with it.
    Range [0, 1]. An empty output contradicts nothing and is 0; no passages: skipped; a passage without a verdict: unscored.
    Source: DeepEval's Hallucination.
    """

    name = "hallucination"
    needs = frozenset({"chunks", "context", "inputs", "judge"})
    direction = "minimize"

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        passages = passages_of(sample)
        if not sample.output.strip():
            return self.scored(0, "the output is empty")
        told = {"question": self.asked(sample), "answer": sample.output}
        found = await marked(models.judge, _TASK, "sources", passages, told, sample_index)
        bad = [place for place, each in enumerate(found, start=1) if not each.good]
        reason = found[bad[0] - 1].reason if bad else found[0].reason
        return self.scored(
            1 - share(found),
            f"the answer contradicts {len(bad)} of {len(found)} passages: {reason}",
            evidence={"contradicted": bad, "reasons": [each.reason for each in found]},
        )
