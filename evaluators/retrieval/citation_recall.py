"""Whether claims are backed by citations."""

from evaluators.contract import Score
from evaluators.retrieval.citations import CitationScorer, Cited, Sources, is_claim


class CitationRecall(CitationScorer, frozen=True):
    """Share of the sentences with a claim that cite chunks which, together, support them.

    A sentence of three words or more is taken to claim something. Markers are `[1]` (a place among the chunks), `[2, 3]`
    or `[id]`, within the sentence or right behind it. The cited chunks support it when they have at least `bound` of its
    words, weighed as lexical_grounding does (0.75: see there). An answer without a claim has nothing to cite: skipped;
    an empty one is 0. Range [0, 1], higher is better.
    Source: ALCE (Gao et al. 2023, arXiv 2305.14627) with word support in place of its NLI model.
    """

    name = "citation_recall"
    example = {"bound": 0.7}

    def judge(self, cited: list[Cited], sources: Sources) -> Score:
        claims = [(number, each) for number, each in enumerate(cited, 1) if is_claim(each)]
        if not any(each.words for each in cited):
            return self.scored(0.0, "the answer has no words")
        if not claims:
            return Score.skipped(f"{self.name}: no sentence claims anything")
        bare = [
            number
            for number, each in claims
            if not sources.support(each.words, [place for places in each.places for place in places])
        ]
        explanation = f"{len(claims) - len(bare)} of {len(claims)} sentences cite chunks that support them"
        return self.scored(
            1 - len(bare) / len(claims), explanation, evidence={"sentences": bare[:50]} if bare else None
        )
