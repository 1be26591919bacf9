"""METEOR."""

import functools
import threading
from collections.abc import Callable
from typing import Any, Literal

from evaluators.contract import ScorerConfigError
from evaluators.reference import promptfoo
from evaluators.reference.pairs import TextPairScorer
from evaluators.reference.rouge import porter_stem

_LOADING = threading.Lock()


class Meteor(TextPairScorer, frozen=True):
    """Words that output and reference share as they are, by stem or as synonyms, less a penalty for scattered matches.

    Words stand between white space, in lower case. With m matches in k chunks of neighbours, P = m / words of the output,
    R = m / words of the reference, Fmean = PR / (alpha P + (1 - alpha) R), value = (1 - gamma (k / m)^beta) Fmean.
    Range [0, 1], higher is better; without a match, so with an empty output or reference, 0. Several references: the best
    counts. Stems are nltk's Porter stems; synonyms need nltk's WordNet data (`python -m nltk.downloader wordnet`);
    `synonyms: false` does without. `profile: promptfoo` drops full stops at the ends of words and uses Porter's stemmer as
    its author extended it, as promptfoo does; the synonyms are nltk's there, too.
    Source: nltk 3.10, `meteor_score` on `text.split()`; Lavie and Agarwal 2007, aclanthology.org/W07-0734; promptfoo
    0.123.1, `src/assertions/meteor.ts`.
    """

    name = "meteor"
    example = {"synonyms": False}
    extra = "nlp"
    modules = ("nltk",)

    alpha: float = 0.9
    beta: float = 3.0
    gamma: float = 0.5
    synonyms: bool = True
    profile: Literal["reference", "promptfoo"] = "reference"

    def check(self) -> None:
        super().check()
        for field in ("alpha", "gamma"):
            if not 0 <= getattr(self, field) <= 1:
                raise ScorerConfigError(f"{field} must be from 0 to 1", f"/args/{field}")
        if not 0 <= self.beta < float("inf"):
            raise ScorerConfigError("beta must be a number, 0 or more", "/args/beta")
        if self.profile == "promptfoo":
            promptfoo.refuse_others(self, ("profile", "alpha", "beta", "gamma", "synonyms"))
        if self.synonyms and _wordnet() is None:
            raise ScorerConfigError(
                "synonyms need WordNet, which is not there: run `python -m nltk.downloader wordnet` or set synonyms: false",
                "/args/synonyms",
            )

    def compare(self, output: str, reference: str) -> float:
        words = promptfoo.meteor_words if self.profile == "promptfoo" else str.split
        return self._score(words(reference), words(output))

    def work(self, output: str, reference: str) -> float:
        return 0

    @functools.cached_property
    def _score(self) -> Callable[[list[str], list[str]], float]:
        from nltk.translate.meteor_score import single_meteor_score

        return functools.partial(
            single_meteor_score,
            stemmer=_Stems("MARTIN_EXTENSIONS" if self.profile == "promptfoo" else "NLTK_EXTENSIONS"),
            wordnet=_wordnet() if self.synonyms else _NoSynonyms(),
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
        )


class _Stems:
    """What nltk asks of a stemmer."""

    def __init__(self, mode: str) -> None:
        self.stem = porter_stem(mode)


class _NoSynonyms:
    """A WordNet that knows no word."""

    def synsets(self, word: str) -> list[Any]:
        return []


@functools.cache
def _wordnet() -> Any:
    """nltk's WordNet reader, loaded, or None where its data are not installed. Its lazy loading is not thread-safe."""
    from nltk.corpus import wordnet

    with _LOADING:
        try:
            wordnet.ensure_loaded()
        except LookupError:
            return None
        return wordnet
