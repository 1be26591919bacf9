"""From a rating's value to what is counted of it."""

from collections.abc import Iterable
from math import floor, isfinite, log

from app.feedback.schemas import ERRORS, LATENCY, RESPONSES, SCALED, Scale, Served, Tally
from app.kit.errors import InvalidContentError

BUCKETS = 100
LATENCY_STEP = 1.02
MAX_VALUE = 1e9
STEP = 2.0**-15
"""Scores, and named numbers on their scale, are counted to this step: sums of its multiples, and of their squares, are exact up to eight million votes, so that
a vote taken away leaves nothing behind. Thumbs and stars are exact as they are."""

_RANGES = {"thumbs": (0.0, 1.0), "stars": (1.0, 5.0), "score": (0.0, 1.0)}
_WHOLE = ("thumbs", "stars")


def checked(signal: str, value: float, pointer: str) -> float:
    """The value as a number; `InvalidContentError` when the signal does not allow it."""
    try:
        number = float(value)
    except OverflowError as error:
        raise InvalidContentError.at(pointer, f"a rating is a finite number of at most {MAX_VALUE:.0e}") from error
    if isinstance(value, bool) and signal != "thumbs":
        raise InvalidContentError.at(pointer, f"{signal} is a number; only thumbs may be true or false")
    if not isfinite(number) or abs(number) > MAX_VALUE:
        raise InvalidContentError.at(pointer, f"a rating is a finite number of at most {MAX_VALUE:.0e}")
    if signal in _RANGES:
        low, high = _RANGES[signal]
        if not low <= number <= high or (signal in _WHOLE and number != floor(number)):
            form = (
                "0 or 1"
                if signal == "thumbs"
                else f"a {'whole ' if signal in _WHOLE else ''}number from {low:g} to {high:g}"
            )
            raise InvalidContentError.at(pointer, f"{signal} is {form}, not {value}")
    return number


def scaled(signal: str, value: float) -> float:
    """What is counted of a value: stars as a share of their scale, scores to their step; a named number as it is."""
    if signal == "stars":
        return (value - 1) / 4
    return _stepped(value) if signal == "score" else value


def vote(phase: int, arm: str, signal: str, value: float, scales: Iterable[Scale] = ()) -> list[Tally]:
    """What one vote of a (scaled) value adds to the tallies. A named number is counted once on each of the `scales` that
    rules give it, and on none when there are none."""
    if signal in SCALED:
        return [_vote(phase, arm, signal, value)]
    found = []
    for scale in scales:
        if scale.signal != signal:
            continue
        if scale.low <= value <= scale.high:
            found.append(_vote(phase, arm, scale.name, _stepped((value - scale.low) / (scale.high - scale.low))))
        else:
            found.append(Tally(phase, arm, scale.outside, 0, 1, 0.0, 0.0))  # type: ignore[arg-type]
    return found


def _vote(phase: int, arm: str, signal: str, share: float) -> Tally:
    return Tally(phase, arm, signal, min(BUCKETS, max(0, round(share * BUCKETS))), 1, share, share * share)  # type: ignore[arg-type]


def _stepped(share: float) -> float:
    return round(share / STEP) * STEP


def answer(served: Served) -> list[Tally]:
    """What one answer of a rollout adds to the tallies."""
    split = served.split
    if split is None:
        return []
    found = [Tally(split.phase, split.arm, RESPONSES, 0, 1, 1.0, 1.0)]
    if served.status != "answered":
        found.append(Tally(split.phase, split.arm, ERRORS, 0, 1, 1.0, 1.0))
    elif served.latency_ms is not None:
        logged = log(max(served.latency_ms, 0.01))
        bucket = floor(logged / log(LATENCY_STEP))
        found.append(Tally(split.phase, split.arm, LATENCY, bucket, 1, logged, logged * logged))
    return found


def taken_away(tally: Tally) -> Tally:
    """The same with its sign turned."""
    return Tally(tally.phase, tally.arm, tally.signal, tally.bucket, -tally.n, -tally.total, -tally.squares)
