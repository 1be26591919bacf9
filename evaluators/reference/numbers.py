"""Numbers in running text, in the ways that people write thousands and decimals."""

import functools
import re
from decimal import Decimal, InvalidOperation
from typing import Literal

Thousands = Literal["comma", "dot", "space", "apostrophe"]

# What separates thousands, and what may stand before the decimals.
_SIGNS: dict[Thousands, tuple[str, str]] = {
    "comma": (",", r"\."),
    "dot": (r"\.", ","),
    "space": ("[ \u00a0\u2009\u202f]", "[.,]"),
    "apostrophe": ("['\u2019]", "[.,]"),
}
_PERCENT = re.compile(r"[ \u00a0\u2009\u202f]{0,2}\\?[%\uff05]")


@functools.cache
def _number(thousands: Thousands) -> re.Pattern[str]:
    group, point = _SIGNS[thousands]
    before = r"[\d.]" if thousands == "comma" else r"[\d.,]"
    # A sign counts only where no word or number ends before it: "3-5" ends in 5, "x = -5" in -5.
    return re.compile(
        rf"""
        (?: (?<! [\w.,)\]%] ) [-+\u2212] )?
        \$?
        (?: \d{{1,3}} (?: {group} \d{{3}} )+ (?!\d) (?: {point} \d* )?
          | \d+ (?: {point} \d* )?
          | (?<! {before} ) {point} \d+
        )
        (?: [eE] [-+]? \d+ )?
        """,
        re.VERBOSE,
    )


def last_number(text: str, thousands: Thousands = "comma", *, percent_is_fraction: bool = False) -> Decimal | None:
    """The last number of a text as a finite decimal, or None.

    Thousands and currency signs are dropped; a percent sign is, too, unless 12 % shall be 0.12.
    """
    if thousands == "space" or percent_is_fraction:
        last = None
        for match in _number(thousands).finditer(text):
            last = match
        if last is None:
            return None
        number = _decimal(last[0], thousands)
        if number is not None and percent_is_fraction and _PERCENT.match(text, last.end()):
            return number.scaleb(-2)
        return number
    for word in reversed(text.split()):
        numbers = _number(thousands).findall(word)
        if numbers:
            return _decimal(numbers[-1], thousands)
    return None


def whole_number(text: str, thousands: Thousands = "comma") -> Decimal | None:
    """The number that the text consists of, or None."""
    return _decimal(text, thousands) if _number(thousands).fullmatch(text) else None


def _decimal(written: str, thousands: Thousands) -> Decimal | None:
    group, _ = _SIGNS[thousands]
    plain = re.sub(group, "", written).replace("$", "").replace("\u2212", "-").replace(",", ".")
    try:
        return Decimal(plain)
    except InvalidOperation:  # an exponent that no decimal can hold
        return None
