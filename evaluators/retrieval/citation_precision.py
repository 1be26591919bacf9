"""Whether citations support what they stand behind."""

from evaluators.contract import Score
from evaluators.retrieval.citations import CitationScorer, Cited, Sources


class CitationPrecision(CitationScorer, frozen=True):
    """Share of the citations that are right: the cited chunk supports the sentence.

    Markers are `[1]` (a place among the chunks), `[2, 3]` or `[id]`. A chunk supports a sentence when it has at least
    `bound` of its words, weighed as lexical_grounding does (0.75: see there). With several citations in one sentence, one is
    also right when only together with it they support the sentence. A citation that names no chunk is wrong. No citation:
    skipped (citation_recall is 0 then). Range [0, 1], higher is better.
    Source: ALCE (Gao et al. 2023, arXiv 2305.14627) with word support in place of its NLI model.
    """

    name = "citation_precision"
    example = {"bound": 0.7}

    def judge(self, cited: list[Cited], sources: Sources) -> Score:
        wrong, total = list[str](), 0
        for each in cited:
            everything = [place for places in each.places for place in places]
            together = sources.support(each.words, everything)
            for number, (marker, places) in enumerate(zip(each.markers, each.places, strict=True)):
                others = [place for other, own in enumerate(each.places) if other != number for place in own]
                needed = together and not sources.support(each.words, others)
                if not places or not (needed or (together and sources.support(each.words, places))):
                    wrong.append(marker)
            total += len(each.markers)
        if not total:
            return Score.skipped(f"{self.name}: the answer cites nothing")
        explanation = f"{total - len(wrong)} of {total} citations name a chunk that supports their sentence"
        return self.scored(1 - len(wrong) / total, explanation, evidence={"wrong": wrong[:20]} if wrong else None)
