"""Whether what the answer quotes stands in the sources."""

import re
import unicodedata

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.retrieval.support import Against, sources_of

_QUOTED = re.compile(
    r'"([^"\n]{1,2000}+)"|“([^“”\n]{1,2000}+)”|«([^«»\n]{1,2000}+)»|„([^„“”\n]{1,2000}+)[“”]|「([^「」\n]{1,2000}+)」'
)
_LEFT_OUT = re.compile(r"\[?(?:…|\.\.\.)\]?")
_STRAIGHT = str.maketrans("‘’‚“”„«»", "'''" + '"' * 5)
_MOST_WORK = 2_000_000_000
_TRAILING = " \t,.;:!?…"


class QuotedSpans(Scorer, frozen=True):
    """Share of the answer's quotations that stand word for word in the sources.

    Quotations stand in "…", “…”, «…», „…“ or 「…」, within a line; those of fewer than `min_words` words (in scripts without
    spaces: characters) are taken for names or irony and not looked at. Case, kinds of quotes and blanks do not matter, nor
    does punctuation at the end; around an ellipsis each part must be there. Sources: what was put into the prompt
    (`against: context`) or the retrieved chunks. No quotation: skipped, for nothing was claimed to be verbatim. Sources
    without text: 0. Range [0, 1], higher is better. Source: Ragas 0.4 `QuotedSpansAlignment`, which gives 1
    without quotations.
    """

    name = "quoted_spans"
    version = 2
    needs = frozenset({"context", "chunks"})
    example = {"against": "chunks", "min_words": 4}

    against: Against = "context"
    min_words: int = 3

    def check(self) -> None:
        super().check()
        if self.min_words < 1:
            raise ScorerConfigError(f"min_words must be at least 1, not {self.min_words}", "/args/min_words")

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.against})

    def measure(self, sample: Sample) -> Score:
        spans = ["".join(match.groups("")) for match in _QUOTED.finditer(sample.output)]
        spans = list(dict.fromkeys(span for span in spans if _length(" ".join(_parts(span))) >= self.min_words))
        if not spans:
            return Score.skipped(f"{self.name}: the answer quotes nothing of {self.min_words} words or more")
        source = "\n".join(map(_folded, sources_of(sample, self.against)))
        if len(spans) * len(source) > _MOST_WORK:
            return Score.error(
                f"{self.name} would take too long for {len(spans):,} quotations in {len(source):,} characters"
            )
        made_up = [span for span in spans if not all(_stands(part, source) for part in _parts(span))]
        explanation = f"{len(spans) - len(made_up)} of {len(spans)} quotations stand in the {self.against}"
        evidence = {"not_found": [span[:200] for span in made_up[:10]]} if made_up else None
        return self.scored(1 - len(made_up) / len(spans), explanation, evidence=evidence)


def _length(span: str) -> int:
    return max(len(span.split()), sum("\u3040" <= each <= "\u9fff" for each in span))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_STRAIGHT).split())


def _stands(part: str, source: str) -> bool:
    """Whether the part is there in whole words: "100 people" does not stand in "2100 people"."""
    at = source.find(part)
    while at >= 0:
        end = at + len(part)
        if not (_one_word(source[max(0, at - 1) : at], part[:1]) or _one_word(part[-1:], source[end : end + 1])):
            return True
        at = source.find(part, at + 1)
    return False


def _one_word(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word, of a script that parts its words: Latin, Greek, Cyrillic, digits."""
    return all(each.isalnum() and each < "\u0590" for each in (left, right))


def _parts(span: str) -> list[str]:
    return [_folded(part).strip(_TRAILING) for part in _LEFT_OUT.split(span)]
