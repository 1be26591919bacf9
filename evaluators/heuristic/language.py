"""Which language the output is written in."""

import functools
import re
from typing import Any, Literal

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError

# What py3langid's model tells apart, without `zxx` for text in no language (ISO 639-1, and -3 where there is no shorter code).
_CODES = """
ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr
fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko
ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru
rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue
zh zu
"""
LANGUAGES = frozenset(_CODES.split())
_NONE = "zxx"  # the model's word for text in no language
_SAME = {
    "arz": "ar",
    "nb": "no",
    "uzs": "uz",
    "wuu": "zh",
}  # what the model tells apart, and few who ask for a language
_NO_LANGUAGE = r"(?s)```.*?(?:```|\Z)|`[^`\n]{1,200}`|\bhttps?://\S+"


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class Language(Scorer, frozen=True):
    """1 when the output is written in one of the `expected` languages, else 0.

    Languages are ISO 639 codes; a region (`pt-BR`) is not told apart. Code blocks and addresses are left out. Only a
    language that is found with a probability of at least `min_confidence` counts: for a text that is too short or too
    mixed for that (label `uncertain`: "OK", "42"), `uncertain` says whether it passes, and it does not fail unless asked.
    Range {0, 1}, higher is better; an empty output is in no language and gets 0. The same text always gets the same value.
    Source: py3langid 0.4 (Barbaresi), after langid.py (Lui & Baldwin 2012); its probabilities, normalised.
    """

    name = "language"
    binary = True
    example = {"expected": ["en", "de"]}

    expected: str | list[str]
    min_confidence: float = 0.5
    uncertain: Literal["pass", "fail"] = "pass"

    def check(self) -> None:
        super().check()
        if not self._codes:
            raise ScorerConfigError("name at least one language, such as en", "/args/expected")
        for i, code in enumerate(self._codes):
            if code not in LANGUAGES:
                pointer = "/args/expected" if isinstance(self.expected, str) else f"/args/expected/{i}"
                raise ScorerConfigError(f"{code!r} is no language that can be told; known are {_known()}", pointer)
        if len(set(self._codes)) == len(LANGUAGES):
            raise ScorerConfigError("with every language expected this cannot fail", "/args/expected")
        if not 0 <= self.min_confidence < 1:
            raise ScorerConfigError("a confidence is at least 0 and below 1", "/args/min_confidence")

    @functools.cached_property
    def _codes(self) -> tuple[str, ...]:
        given = [self.expected] if isinstance(self.expected, str) else self.expected
        codes = (re.split("[-_]", each.strip().lower())[0] for each in given)
        return tuple(_SAME.get(code, code) for code in codes)

    def measure(self, sample: Sample) -> Score:
        text = re.sub(_NO_LANGUAGE, " ", sample.output)
        if not text.strip():
            return self.scored(0.0, "the output holds no text in any language", label="empty")
        found, confidence = _identifier().classify(text)
        found, confidence = _SAME.get(found, found), float(confidence)
        evidence = {"language": found, "confidence": round(confidence, 4)}
        wanted = " or ".join(self._codes)
        if found in self._codes:
            return self.scored(
                1.0, f"the output is {found} (probability {confidence:.2f})", label=found, evidence=evidence
            )
        if confidence < self.min_confidence or found == _NONE:
            return self.scored(
                float(self.uncertain == "pass"),
                f"too little text to tell its language: at best {found} (probability {confidence:.2f}), expected {wanted}",
                label="uncertain",
                evidence=evidence,
            )
        shown = f"the output is {found} (probability {confidence:.2f}), not {wanted}"
        return self.scored(0.0, shown, label=found, evidence=evidence)


def _known() -> str:
    return ", ".join(sorted(LANGUAGES))
