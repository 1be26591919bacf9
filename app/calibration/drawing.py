"""Which answers people are asked to label: drawn with known probabilities, so that what they say holds for all. Pure."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

FLOOR = 0.1
"""Even an answer on which nobody disagrees can be drawn: this much beside the disagreement, from 0 to 1."""


class Drawn(NamedTuple):
    """An answer by its place, and the probability with which it was to be drawn."""

    place: int
    probability: float


def draw(sizes: Sequence[float], n: int, seed: int) -> list[Drawn]:
    """`n` places (or all, when there are fewer), each with a probability proportional to its size and at most 1.

    Systematic sampling in an order that `seed` shuffles (Madow 1949): the number drawn is exactly `n`, and the
    probabilities are exact. Raises ValueError for a size that is not above 0.
    """
    if any(not 0 < size < float("inf") for size in sizes):
        raise ValueError("sizes must be above 0 and finite")
    if n >= len(sizes):
        return [Drawn(place, 1.0) for place in range(len(sizes))]
    probabilities = _probabilities(sizes, n)
    order = sorted(range(len(sizes)), key=lambda place: _hash(seed, place))
    start = int.from_bytes(_hash(seed, -1)[:7]) / 2**56
    found: list[Drawn] = []
    total = 0.0
    for place in order:
        before, total = total, total + probabilities[place]
        # One of the points start, start + 1, … lies within this answer's stretch, which is at most 1 long.
        if _points(before, start) < _points(total, start):
            found.append(Drawn(place, probabilities[place]))
    return sorted(found)


def _points(length: float, start: float) -> int:
    """How many of start, start + 1, … lie below `length`, which rounding must not make another number at its end."""
    whole = round(length)
    exact = whole if abs(length - whole) < 1e-9 else length
    return max(0, -int(-(exact - start) // 1))


def _probabilities(sizes: Sequence[float], n: int) -> list[float]:
    """Proportional to size; what would be above 1 is certain, and the rest shares what is left."""
    certain: set[int] = set()
    while True:
        rest = sum(size for place, size in enumerate(sizes) if place not in certain)
        factor = (n - len(certain)) / rest if rest else 0.0
        more = {p for p, size in enumerate(sizes) if p not in certain and size * factor >= 1}
        if not more:
            return [1.0 if place in certain else size * factor for place, size in enumerate(sizes)]
        certain |= more


def _hash(seed: int, place: int) -> bytes:
    return hashlib.sha256(f"{seed} {place}".encode()).digest()
