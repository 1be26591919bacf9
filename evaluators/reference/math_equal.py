"""Whether the output's formula equals the reference's."""

import math
import re
from typing import Literal

from evaluators import mathtext, mathvalue
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.mathtext import NotMathError
from evaluators.text import clip, texts

_IN_TEXT = re.compile(r"\$\$([^$]{1,2000})\$\$|\$([^$]{1,2000})\$|\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]", re.DOTALL)


class MathEqual(Scorer, frozen=True):
    r"""1 when the output's formula has the same value as the reference's, else 0.

    The output's formula is the content of its last \boxed{}; without one what stands behind the last `after` on its line; without
    one the whole output, or the last formula between dollar signs or \( \). Read are plain text and LaTeX: \frac, \sqrt,
    powers, factorials, |x|, sin to arctan, ln, \log_b (log is to base 10), \pi, e, i, mixed numbers, thousands, units in
    \text{} (dropped), tuples, intervals, sets and lists in any order, \pm, equations and inequalities ("x = 5" equals
    "5"). Percent signs are dropped, or with `percent: fraction` 50\% is 0.5. Fractions are compared exactly, everything
    else by its values to 50 digits, variables at six fixed places; `rel_tolerance` allows for rounded answers. Formulas
    that cannot be read equal only the same text, spaces aside. No formula, or one with a number beyond 2^100000: unparsable
    (0), as is an empty output. Several references: the best counts. Range {0, 1}, higher is better.

    No text is evaluated as code: sympy's own parsers do that, so they are not used. Source: the answers of MATH (arXiv
    2103.03874); equality by evaluation after Schwartz (1980) and Zippel (1979); mpmath.
    """

    name = "math_equal"
    needs = frozenset({"reference"})
    binary = True
    example = {"after": "Answer:", "rel_tolerance": 1e-6}
    extra = "math"
    modules = ("sympy", "mpmath")

    after: str | None = None
    rel_tolerance: float = 0.0
    percent: Literal["number", "fraction"] = "number"

    def check(self) -> None:
        super().check()
        if self.after == "":
            raise ScorerConfigError("give the text that stands before the formula", "/args/after")
        if not (math.isfinite(self.rel_tolerance) and 0 <= self.rel_tolerance < 1):
            raise ScorerConfigError("rel_tolerance is at least 0 and below 1", "/args/rel_tolerance")

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not any(each.strip() for each in texts(sample.references)):
            return f"{self.name} compares formulas, and the reference is empty or an object"
        return reason

    def measure(self, sample: Sample) -> Score:
        candidates = answers(sample.output, self.after)
        references = [each for each in texts(sample.references) if each.strip()]
        wanted = " or ".join(map(clip, references[:5]))
        reason = "the output has no formula"
        for found in candidates:
            if any(_squeezed(found) == _squeezed(_unboxed(each)) for each in references):
                return self.scored(1.0, f"found {clip(found)}, the same as the reference")
            try:
                node = self._read(found)
                verdicts = [self._same(node, each) for each in references]
            except (NotMathError, mathvalue.TooLargeError) as exc:
                reason = f"{clip(found)} cannot be read: {exc}"
                continue
            return self.scored(float(any(verdicts)), f"found {clip(found)}, expected {wanted}")
        return Score.unparsable(f"{reason}; expected {wanted}")

    def _read(self, text: str) -> mathtext.Node:
        return mathtext.read(text.strip().rstrip(".").strip(), percent_is_fraction=self.percent == "fraction")

    def _same(self, found: mathtext.Node, reference: str) -> bool:
        try:
            expected = self._read(_unboxed(reference))
        except NotMathError:
            return False  # a text, which was compared as one
        return mathvalue.same(found, expected, self.rel_tolerance)


def answers(text: str, after: str | None = None) -> list[str]:
    """Where the answer may stand, the likeliest first."""
    boxed = last_boxed(text)
    if boxed is not None:
        return [boxed]
    if after is not None:
        _, mark, tail = text.rpartition(after)
        line = tail.strip().split("\n", 1)[0].strip()
        return [line, *_formulas(line)] if mark and line else []
    return ([text] if 0 < len(text.strip()) <= mathtext.LONGEST else []) + _formulas(text[-20_000:])


def last_boxed(text: str) -> str | None:
    r"""What stands in the last \boxed{}, its braces balanced, or None."""
    at = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if at < 0:
        return None
    start = text.index("{", at) + 1
    depth = 1
    for index in range(start, min(len(text), start + 2 * mathtext.LONGEST)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return text[start:index]
    return None


def _formulas(text: str) -> list[str]:
    found = [next(filter(None, match.groups()), "") for match in _IN_TEXT.finditer(text)]
    return found[-1:]


def _unboxed(text: str) -> str:
    boxed = last_boxed(text)
    return text if boxed is None else boxed


def _squeezed(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|textbf)\s?\{([^{}]*)\}", r"\1", text)
    return re.sub(r"\\(?:left|right)\b|\\[,;! ]|[\s$]", "", text).rstrip(".")
