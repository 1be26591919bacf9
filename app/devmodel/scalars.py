"""Strings and numbers within the bounds that a schema sets."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

Schema = dict[str, Any]

_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "nobody@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


class UnfillableError(Exception):
    """No instance was found for a part of a schema."""


def string(schema: Schema, text: str, name: str, variant: int) -> str:
    if "pattern" in schema:
        raise UnfillableError(f"strings with a pattern are not made up ({schema['pattern']!r} at {name!r})")
    form = schema.get("format")
    if form in _FORMATS and variant == 0:
        return _FORMATS[form]
    if form in _FORMATS:
        raise UnfillableError(f"several different values of format {form!r} at {name!r}")
    if variant:
        text = f"{variant + 1} {text}"
    least: int = schema.get("minLength", 0)
    most: int | None = schema.get("maxLength")
    if most is not None:
        text = text[:most]
    return text + "." * (least - len(text))


def number(schema: Schema, proposed: Any, *, whole: bool, variant: int) -> int | float:
    """The proposed number, else the one nearest to zero, that the bounds allow; in exact arithmetic."""
    step = Fraction(str(schema["multipleOf"])) if "multipleOf" in schema else Fraction(1)
    if whole and step.denominator != 1:
        step = Fraction(step.numerator)
    stepped = whole or "multipleOf" in schema
    low, low_open = _bound(schema, "minimum", "exclusiveMinimum", max)
    high, high_open = _bound(schema, "maximum", "exclusiveMaximum", min)

    def allowed(one: Fraction) -> bool:
        return (
            (low is None or one > low or (one == low and not low_open))
            and (high is None or one < high or (one == high and not high_open))
            and (not stepped or one % step == 0)
        )

    wanted = [Fraction(str(proposed))] if isinstance(proposed, int | float) and not isinstance(proposed, bool) else []
    wanted.append(Fraction(0))
    if low is not None:
        above = step * ceil(low / step)
        wanted += [low, above, above + step, low + 1]
    if high is not None:
        below = step * floor(high / step)
        wanted += [high, below, below - step, high - 1]
    if low is not None and high is not None:
        wanted.append((low + high) / 2)
    usable = [one for one in wanted if allowed(one)]
    if not usable:
        raise UnfillableError("the bounds of a number leave nothing")
    best = usable[0]
    for direction in (step, -step):
        if variant and allowed(best + direction * variant):
            best += direction * variant
            break
    return int(best) if best.denominator == 1 and (whole or not isinstance(proposed, float)) else float(best)


def _bound(
    schema: Schema, closed: str, opened: str, tighter: Callable[[Fraction, Fraction], Fraction]
) -> tuple[Fraction | None, bool]:
    """The tighter of a closed and an open bound, and whether it is the open one."""
    one = Fraction(str(schema[closed])) if closed in schema else None
    other = Fraction(str(schema[opened])) if opened in schema else None
    if other is None:
        return one, False
    if one is None:
        return other, True
    return (other, True) if tighter(one, other) == other else (one, False)
