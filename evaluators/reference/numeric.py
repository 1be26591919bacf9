"""The number in the output against the number in the reference."""

import math
from decimal import Context, Decimal
from typing import Literal

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.reference.numbers import Thousands, last_number
from evaluators.text import clip, texts

_ARITHMETIC = Context(prec=50, traps=[])


class Numeric(Scorer, frozen=True):
    """1 when the output's number equals the reference's within the tolerances, else 0.

    The output's number is the last one after the last occurrence of `after`, or without `after` the last one at all.
    Thousands commas, `$` and `%` are dropped ("$1,234.50" is 1234.5, "45 %" is 45); `percent: fraction` makes 45 % of
    either 0.45. `thousands` says how output and text reference group digits: by `comma` (then the decimals follow a
    point), by `dot` (then they follow a comma), by `space` or `apostrophe` (then they follow either). Equal means
    |x - reference| <= max(abs_tolerance, rel_tolerance * |reference|), in decimal arithmetic. No number there, as in an
    empty output: value 0, label `unparsable`. A reference without a number is skipped. Several references: the best
    counts. Range {0, 1}, higher is better. Source: the answers of GSM8K (arXiv 2110.14168) are read so.
    """

    name = "numeric"
    needs = frozenset({"reference"})
    binary = True
    example = {"after": "Answer:", "rel_tolerance": 0.01}

    after: str | None = None
    abs_tolerance: float = 0.0
    rel_tolerance: float = 0.0
    percent: Literal["number", "fraction"] = "number"
    thousands: Thousands = "comma"

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
        found = self._number(tail, self.thousands)
        if found is None:
            where = f" after {clip(self.after)}" if self.after is not None else ""
            return Score.unparsable(f"the output has no number{where}")
        expected = self._expected(sample)
        same = any(self._equal(found, each) for each in expected)
        wanted = " or ".join(map(str, expected[:5]))
        return self.scored(float(same), f"found {clip(str(found))}, expected {clip(wanted)}")

    def _expected(self, sample: Sample) -> list[Decimal]:
        numbers = [
            # A number of the dataset is written as JSON has it, whatever the output's custom is.
            self._number(each, self.thousands if isinstance(given, str) else "comma")
            for given in sample.references
            for each in texts([given])
        ]
        return [each for each in numbers if each is not None]

    def _number(self, text: str, thousands: Thousands) -> Decimal | None:
        return last_number(text, thousands, percent_is_fraction=self.percent == "fraction")

    def _equal(self, found: Decimal, expected: Decimal) -> bool:
        if found == expected:
            return True
        allowed = _ARITHMETIC.multiply(Decimal(self.rel_tolerance), abs(expected))
        gap = _ARITHMETIC.abs(_ARITHMETIC.subtract(found, expected))
        return bool(gap <= max(Decimal(self.abs_tolerance), allowed))
