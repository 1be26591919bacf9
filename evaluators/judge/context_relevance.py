"""A model says which of the retrieved passages bear on the question."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, marked, passages_of, share
from evaluators.judging import Models

_TASK = """\
For each of the numbered passages decide whether it holds something that helps to answer the question, whether or not it \
answers it alone.
First write your reason. Then the verdict: "yes" if it helps, "no" if not."""


class ContextRelevance(CaseJudge, frozen=True):
    """Passages that help to answer the question / all that were retrieved; the output is not looked at.

    The passages are the chunks, else the context in one piece; a judge says yes or no to each. Range [0, 1], higher is
    better. No passages or no question: skipped; a passage without a verdict: unscored.
    Source: MLflow's RetrievalRelevance and Phoenix' document relevance, as a share.
    """

    name = "context_relevance"
    needs = frozenset({"chunks", "context", "inputs", "judge"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        passages, question = passages_of(sample), self.must_ask(sample)
        found = await marked(models.judge, _TASK, "passages", passages, {"question": question}, sample_index)
        return self.scored(
            share(found),
            f"{sum(each.good for each in found)} of {len(found)} passages bear on the question: {found[0].reason}",
            evidence={"useful": [each.good for each in found], "reasons": [each.reason for each in found]},
        )
