"""The quantity in the output against the quantity in the reference, whatever their units."""

import functools
import math
import re
import threading
from typing import Any, Literal

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.reference.numbers import Thousands, whole_number
from evaluators.text import clip, texts

# The unit of a model is a few known words, each with a small whole power: nothing else reaches the units' parser.
_WORD = r"[A-Za-zµμΩ°℃℉Å%]{1,25}"
_POWER = r"(?:(?:\^|\*\*)\(?[-\u2212]?[1-9]\)?|[²³⁴]|⁻[¹²³⁴])?"
# "m s^-2": words side by side are a product only where the next has a power, for prose has none.
_PRODUCT = r"[ \u00a0\u2009\u202f](?=[A-Za-zµμΩ]{1,5}(?:\^|\*\*|[²³⁴⁻]))"
_UNIT = re.compile(
    rf"{_WORD}{_POWER}(?:(?:\s?(?:/|\*|·|⋅|\bper\b)\s?|{_PRODUCT}){_WORD}{_POWER}){{0,5}}(?![\w^*/²³⁴⁻])"
)
_NUMBER = re.compile(
    r"(?:(?<![\w.,)\]%])[-+\u2212])?(?:(?<!\d)(?<!\d/)\d[\d.,'’\u00a0\u2009\u202f]{0,40}\d|(?<!\d)(?<!\d/)\d|(?<![\d.])\.\d{1,40})"
    r"(?:[eE][-+]?\d{1,3}|\s?[x×·]\s?10(?:\^|\*\*)\{?[-\u2212]?\d{1,3}\}?)?(?![\d.]\d)"
)
_TENS = re.compile(r"\s?[x×·]\s?10(?:\^|\*\*)\{?([-\u2212]?\d{1,3})\}?$")
_GAP = re.compile(r"(?:[ ~\u00a0\u2009\u202f]{1,2}|\\[,; ]|\\(?:text|mathrm|rm|unit)\b\s?\{?){0,4}")
# Units that are words, too: "5 in the box" is no length.
_WORDS = frozenset({"in", "a", "as", "at", "are", "am"})
_PROSE = re.compile(r" [a-zA-Z]")
_SIGNS = str.maketrans({"²": "2", "³": "3", "⁴": "4", "¹": "1", "\u2212": "-", "⁻": "-"})
_SPELLED = {
    "μ": "µ",
    "℃": "degC",
    "°C": "degC",
    "℉": "degF",
    "°F": "degF",
    "°": "degree",
    "Å": "angstrom",
    "%": "percent",
}
_FAR = 50_000  # characters from the end within which a quantity is looked for
_lock = threading.Lock()


class QuantityEqual(Scorer, frozen=True):
    """1 when the output's quantity equals the reference's, in whatever units they are written, else 0.

    A quantity is a number and a unit behind it: "5 km", "5000 m", "3.6 km/h", "9.81 m/s^2", "25 °C", "1.2e3 kg". The
    output's is the last one after the last occurrence of `after`, or without `after` the last one at all, of the last
    50,000 characters; prefixes and names are those of the SI and of everyday use. Equal means
    |x - reference| <= max(abs_tolerance, rel_tolerance * |reference|) in the reference's unit. Units of another kind
    (length against time) are unequal. An output without a quantity, as an empty one, is unparsable (0); a reference
    without one is skipped. Several references: the best counts. Range {0, 1}, higher is better.

    Source: unit definitions of pint 0.25, by CODATA and NIST.
    """

    name = "quantity_equal"
    version = 2
    needs = frozenset({"reference"})
    binary = True
    example = {"rel_tolerance": 0.01}

    after: str | None = None
    abs_tolerance: float = 0.0
    rel_tolerance: float = 1e-9
    thousands: Thousands = "comma"

    def check(self) -> None:
        super().check()
        if self.after == "":
            raise ScorerConfigError("give the text that stands before the quantity", "/args/after")
        for field in ("abs_tolerance", "rel_tolerance"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value >= 0):
                raise ScorerConfigError(f"{field} must be a finite number >= 0", f"/args/{field}")

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not self._expected(sample):
            return f"{self.name} needs a number with a unit, and the reference has none: {clip(str(sample.reference))}"
        return reason

    def measure(self, sample: Sample) -> Score:
        tail = sample.output
        if self.after is not None:
            _, mark, tail = tail.rpartition(self.after)
            if not mark:
                return Score.unparsable(f"the output does not have {clip(self.after)}")
        found = last_quantity(tail, self.thousands)
        if found is None:
            return Score.unparsable(f"the output has no number with a unit; found {clip(tail[-80:])}")
        expected = self._expected(sample)
        verdicts = [self._compared(found, each) for each in expected]
        wanted = " or ".join(_shown(each) for each in expected[:5])
        other = "; they are of different kinds" if all(each == "kind" for each in verdicts) else ""
        return self.scored(float("equal" in verdicts), f"found {_shown(found)}, expected {wanted}{other}")

    def _expected(self, sample: Sample) -> list[Any]:
        quantities = [last_quantity(each, self.thousands) for each in texts(sample.references)]
        return [each for each in quantities if each is not None]

    def _compared(self, found: Any, expected: Any) -> Literal["equal", "unequal", "kind"]:
        from pint.errors import PintError

        try:
            value = float(found.to(expected.units).magnitude)
        except PintError:
            return "kind"
        except (OverflowError, ZeroDivisionError):
            return "unequal"
        wanted = float(expected.magnitude)
        allowed = max(self.abs_tolerance, self.rel_tolerance * abs(wanted))
        return "equal" if value == wanted or abs(value - wanted) <= allowed else "unequal"


def last_quantity(text: str, thousands: Thousands = "comma") -> Any:
    """The last number of a text that has a known unit behind it, as a pint Quantity, or None."""
    # From the back, a stretch at a time: most quantities stand near the end, and a text may be long.
    for end in range(len(text), max(0, len(text) - _FAR), -2000):
        start = max(0, end - 2200)
        for match in reversed(list(_NUMBER.finditer(text, start, min(len(text), end + 120)))):
            gap = _GAP.match(text, match.end())
            unit = _UNIT.match(text, gap.end() if gap else match.end())
            if unit is None or (unit[0] in _WORDS and _PROSE.match(text, unit.end())):
                continue
            if (quantity := _quantity(match[0], unit[0], thousands)) is not None:
                return quantity
    return None


def _quantity(number: str, unit: str, thousands: Thousands) -> Any:
    tens = _TENS.search(number)
    plain = whole_number(number[: tens.start()] if tens else number, thousands)
    if plain is None:
        return None
    try:
        value = float(plain) * (10.0 ** int(tens[1].replace("\u2212", "-")) if tens else 1.0)
    except OverflowError:
        return None
    if not math.isfinite(value):
        return None
    while (units := _units(unit)) is None:
        shorter = re.sub(r"\s?(?:/|\*|·|⋅|\bper\b|\s)\s?[^/*·⋅\s]*$", "", unit)
        if shorter == unit:
            return None
        unit = shorter
    with _lock:
        return _registry().Quantity(value, units)


@functools.lru_cache(maxsize=4096)
def _units(unit: str) -> Any:
    """The unit that the vetted text names, or None; pint's own parser sees one word at a time."""
    from pint.errors import PintError

    units = None
    with _lock:
        for sign, word, power in re.findall(rf"(/|\bper\b)?[\s*·⋅]*(?!per\b)({_WORD})({_POWER})", unit):
            for written, name in _SPELLED.items():
                word = word.replace(written, name)
            exponent = int(re.sub(r"[^0-9-]", "", power.translate(_SIGNS)) or 1)
            try:
                part = _registry().Unit(word) ** (-exponent if sign else exponent)
            except (PintError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError, SyntaxError):
                return None
            units = part if units is None else units * part
    return None if units is None or (units.dimensionless and str(units) == "dimensionless") else units


@functools.cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True, on_redefinition="ignore")


def _shown(quantity: Any) -> str:
    return f"{quantity.magnitude:g} {quantity.units}"
