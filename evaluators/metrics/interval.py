"""Between which ends the values of a formula can lie: interval arithmetic over its parsed form, never too narrow."""

import ast
import math
from collections.abc import Mapping
from itertools import product
from typing import NamedTuple


class Interval(NamedTuple):
    """Both ends belong to it; infinite ends mean that nothing is known there."""

    low: float
    high: float


ANY = Interval(-math.inf, math.inf)
_TRUTH = Interval(0.0, 1.0)


def interval_of(node: ast.expr, ranges: Mapping[str, Interval]) -> Interval:
    """The interval of a node of a checked formula; a name without a range may be anything."""
    match node:
        case ast.Constant(value=value):
            return Interval(float(value), float(value))  # type: ignore[arg-type]
        case ast.Name(id=name) | ast.Call(func=ast.Name(id="score"), args=[ast.Constant(value=str(name))]):
            return ranges.get(name, ANY)
        case ast.BinOp():
            return _arithmetic(node.op, interval_of(node.left, ranges), interval_of(node.right, ranges))
        case ast.UnaryOp(op=ast.USub()):
            inner = interval_of(node.operand, ranges)
            return Interval(-inner.high, -inner.low)
        case ast.UnaryOp(op=ast.UAdd()):
            return interval_of(node.operand, ranges)
        case ast.IfExp():
            first, second = interval_of(node.body, ranges), interval_of(node.orelse, ranges)
            return Interval(min(first.low, second.low), max(first.high, second.high))
        case ast.Call(func=ast.Name(id=function)):
            given = [interval_of(each, ranges) for each in node.args]
            if function == "abs":
                return _magnitude(given[0])
            whole = min if function == "min" else max
            return Interval(whole(each.low for each in given), whole(each.high for each in given))
    return _TRUTH


def _arithmetic(op: ast.operator, a: Interval, b: Interval) -> Interval:
    match op:
        case ast.Add():
            return Interval(a.low + b.low, a.high + b.high)
        case ast.Sub():
            return Interval(a.low - b.high, a.high - b.low)
        case ast.Mult():
            return _corners([_times(x, y) for x, y in product(a, b)])
        case ast.Div():
            if b.low <= 0 <= b.high or not all(map(math.isfinite, (*a, *b))):
                return ANY
            return _corners([x / y for x, y in product(a, b)])
    if a.low < 0 or b.low < 0 or not all(map(math.isfinite, (*a, *b))):
        return ANY
    try:
        # In each of its two arguments a power only rises or only falls: its extremes are at the corners.
        return _corners([x**y for x, y in product(a, b)])
    except OverflowError:
        return ANY


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def _corners(ends: list[float]) -> Interval:
    return ANY if any(math.isnan(end) for end in ends) else Interval(min(ends), max(ends))


def _magnitude(a: Interval) -> Interval:
    if a.low <= 0 <= a.high:
        return Interval(0.0, max(-a.low, a.high))
    return Interval(min(abs(a.low), abs(a.high)), max(abs(a.low), abs(a.high)))
