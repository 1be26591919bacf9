"""The number in the output against the number in the reference."""

import math
import re
from decimal import Context, Decimal, InvalidOperation

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, texts

# A sign counts only where no word or number ends before it: "3-5" ends in 5, "x = -5" in -5.
_NUMBER = re.compile(
    r"""
    (?: (?<! [\w.,)\]%] ) [-+\u2212] )?
    \$?
    (?: \d{1,3} (?: ,\d{3} )+ (?!\d) (?: \.\d* )?
      | \d+ (?: \.\d* )?
      | (?<! [\d.] ) \.\d+
    )
    (?: [eE] [-+]? \d+ )?
    """,
    re.VERBOSE,
)
_ARITHMETIC = Context(prec=50, traps=[])


class Numeric(Scorer, frozen=True):
    """1 when the output's number equals the reference's within the tolerances, else 0.

    The output's number is the last one after the last occurrence of `after`, or without `after` the last one at all.
    Thousands commas, `$` and `%` are dropped ("$1,234.50" is 1234.5, "45 %" is 45). Equal means
    |x - reference| <= max(abs_tolerance, rel_tolerance * |reference|), in decimal arithmetic. No number there: value 0,
    label `unparsable`. Several references: the best counts. Range {0, 1}, higher is better.
    """

    name = "numeric"
    needs = frozenset({"reference"})
    binary = True
    example = {"after": "Answer:", "rel_tolerance": 0.01}

    after: str | None = None
    abs_tolerance: float = 0.0
    rel_tolerance: float = 0.0

    def check(self) -> None:
        super().check()
        if self.after == "":
            raise ScorerConfigError("give the text that stands before the number", "/args/after")
        for field in ("abs_tolerance", "rel_tolerance"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value >= 0):
                raise ScorerConfigError(f"{self.name}: {field} must be a finite number >= 0", f"/args/{field}")

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not self._expected(sample):
            return f"{self.name} needs a number, and the reference has none: {clip(str(sample.reference))}"
        return reason

    def measure(self, sample: Sample) -> Score:
        tail = sample.output
        if self.after is not None:
            _, mark, tail = tail.rpartition(self.after)
            if not mark:
                return Score.unparsable(f"the output does not have {clip(self.after)}")
        found = last_number(tail)
        if found is None:
            where = f" after {clip(self.after)}" if self.after is not None else ""
            return Score.unparsable(f"the output has no number{where}")
        expected = self._expected(sample)
        same = any(self._equal(found, each) for each in expected)
        wanted = " or ".join(map(str, expected[:5]))
        return self.scored(float(same), f"found {clip(str(found))}, expected {clip(wanted)}")

    def _expected(self, sample: Sample) -> list[Decimal]:
        numbers = [last_number(each) for each in texts(sample.references)]
        return [each for each in numbers if each is not None]

    def _equal(self, found: Decimal, expected: Decimal) -> bool:
        if found == expected:
            return True
        allowed = _ARITHMETIC.multiply(Decimal(self.rel_tolerance), abs(expected))
        gap = _ARITHMETIC.abs(_ARITHMETIC.subtract(found, expected))
        return bool(gap <= max(Decimal(self.abs_tolerance), allowed))


def last_number(text: str) -> Decimal | None:
    """The last number of a text as a finite decimal, or None."""
    for word in reversed(text.split()):
        numbers = _NUMBER.findall(word)
        if numbers:
            try:
                return Decimal(numbers[-1].replace(",", "").replace("$", "").replace("\u2212", "-"))
            except InvalidOperation:  # an exponent that no decimal can hold
                return None
    return None
