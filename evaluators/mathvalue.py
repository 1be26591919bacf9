"""Whether two formulas have the same value: exactly for fractions, else by values to 50 digits at fixed places."""

import functools
from fractions import Fraction
from typing import Any

from evaluators.mathtext import Node

# Numbers beyond 2 to this power, and functions of arguments beyond 2 to that one, are not computed.
_LARGEST = 100_000
_LARGEST_ANGLE = 200
_DIGITS = 50
_TOLERANCE = 1e-25
# Places for the variables: of both signs, and near no simple number, where unequal formulas might meet by chance.
_PLACES = (1.2718281, -0.8314159, 2.5377319, 0.3141927, -1.9173205, 3.7320508)


class TooLargeError(ValueError):
    """A number in the formula is beyond all bounds."""


class _UndefinedError(ValueError):
    """The formula has no value at a place."""


def same(left: Node, right: Node, relative: float = 0.0) -> bool:
    """Whether the formulas are equal, or their values differ by at most `relative` of the right one's.

    Raises TooLargeError.
    """
    left, right = _right_side(left), _right_side(right)
    if {left.kind, right.kind} & {"set", "pm"}:
        return _same_sets(_members(left), _members(right), relative)
    if left.kind == right.kind == "tuple":
        return left.name == right.name and _all_same(left.parts, right.parts, relative)
    if left.kind == right.kind == "relation":
        return _same_relations(left, right, relative)
    if {left.kind, right.kind} & {"tuple", "relation"} or not (_is_value(left) and _is_value(right)):
        return False
    return _same_values(left, right, relative)


def _is_value(node: Node) -> bool:
    return node.kind not in ("set", "tuple", "relation", "pm") and all(map(_is_value, node.parts))


def _right_side(node: Node) -> Node:
    """Of "x = 5" and "y = 2x + 1" what stands on the right."""
    if node.kind == "relation" and set(node.name.split()) == {"="} and node.parts[0].kind == "symbol":
        return node.parts[-1]
    if node.kind == "relation" and node.name == "in" and node.parts[0].kind == "symbol":
        return node.parts[1]
    return node


def _members(node: Node) -> list[Node]:
    if node.kind == "pm":
        return [Node("add", node.parts), Node("sub", node.parts)]
    if node.kind == "set":
        return [_right_side(member) for part in node.parts for member in _members(_right_side(part))]
    return [node]


def _all_same(left: tuple[Node, ...], right: tuple[Node, ...], relative: float) -> bool:
    return len(left) == len(right) and all(same(a, b, relative) for a, b in zip(left, right, strict=True))


def _same_sets(left: list[Node], right: list[Node], relative: float) -> bool:
    if len(left) > 50 or len(right) > 50:
        raise TooLargeError("a list has more than 50 members")
    return all(any(same(a, b, relative) for b in right) for a in left) and all(
        any(same(a, b, relative) for a in left) for b in right
    )


def _same_relations(left: Node, right: Node, relative: float) -> bool:
    flipped = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
    signs = [flipped.get(each, each) for each in reversed(right.name.split())]
    if left.name == right.name and _all_same(left.parts, right.parts, relative):
        return True
    if left.name.split() == signs and _all_same(left.parts, right.parts[::-1], relative):
        return True
    if left.name == right.name == "=" and all(map(_is_value, left.parts + right.parts)):
        one, other = Node("sub", left.parts), Node("sub", right.parts)
        return _same_values(one, other, relative) or _same_values(one, Node("neg", (other,)), relative)
    return False


def _same_values(left: Node, right: Node, relative: float) -> bool:
    one, other = _exact(left), _exact(right)
    if one is not None and other is not None:
        return one == other or abs(one - other) <= Fraction(relative) * abs(other)
    names = sorted(_symbols(left) | _symbols(right))
    tolerance = max(relative, _TOLERANCE)
    met = 0
    for start in range(len(_PLACES) if names else 1):
        # Each variable gets another place, shifted so that no two of them share one.
        values = {name: _PLACES[(start + 2 * index) % 6] + index * 0.1103 for index, name in enumerate(names)}
        one, other = _number(left, values), _number(right, values)
        if one is None and other is None:
            continue
        if one is None or other is None:
            return False
        if one != other and abs(one - other) > tolerance * max(abs(one), abs(other), 1e-300 if relative else 1):
            return False
        met += 1
    return met > len(_PLACES) // 2 if names else met == 1


def _symbols(node: Node) -> set[str]:
    own = {node.name} if node.kind == "symbol" else set()
    return own.union(*(_symbols(part) for part in node.parts))


def _exact(node: Node) -> Fraction | None:
    """The value as a fraction, or None where it is none, or too long to be written out."""
    if node.kind == "number":
        return node.number
    parts = [_exact(part) for part in node.parts]
    if not parts or any(part is None or part.numerator.bit_length() > _LARGEST for part in parts):
        return None
    first, *rest = (part for part in parts if part is not None)
    if node.kind == "neg":
        return -first
    if node.kind in ("add", "sub", "mul"):
        return {"add": first + rest[0], "sub": first - rest[0], "mul": first * rest[0]}[node.kind]
    if node.kind == "div":
        return first / rest[0] if rest[0] else None
    if node.kind == "pow" and rest[0].denominator == 1 and abs(rest[0]) <= 10_000:
        bits = max(first.numerator.bit_length(), first.denominator.bit_length())
        return None if bits * abs(rest[0]) > _LARGEST or (not first and rest[0] < 0) else first ** int(rest[0])
    return None


@functools.cache
def _context() -> Any:
    """Arithmetic of our own: the shared one's precision could be changed under our feet."""
    from mpmath import MPContext  # type: ignore[import-untyped]

    context = MPContext()
    context.dps = _DIGITS
    return context


def _number(node: Node, values: dict[str, float]) -> Any:
    """The value at a place, or None where there is none. Raises TooLargeError."""
    try:
        value = _compute(node, values, _context())
    except (_UndefinedError, ZeroDivisionError, ValueError) as exc:
        if isinstance(exc, TooLargeError):
            raise
        return None
    return value


def _compute(node: Node, values: dict[str, float], mp: Any) -> Any:
    if node.kind == "number":
        return mp.mpf(node.number.numerator) / node.number.denominator
    if node.kind == "symbol":
        return mp.mpf(values[node.name])
    if node.kind == "constant":
        return {"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1), "inf": mp.inf}[node.name] * 1
    parts = [_compute(part, values, mp) for part in node.parts]
    value = _apply(node.kind, parts, mp)
    if mp.isnan(value):
        raise _UndefinedError
    if value and not mp.isinf(value) and abs(mp.mag(value)) > _LARGEST:
        raise TooLargeError("a number in it is too large or too small")
    return value


def _apply(kind: str, parts: list[Any], mp: Any) -> Any:
    first = parts[0]
    if kind == "pow" or kind == "root":
        exponent = parts[1] if kind == "pow" else 1 / parts[1]
        return _power(first, exponent, mp)
    if kind in ("add", "sub", "mul", "div"):
        second = parts[1]
        if kind == "div" and second == 0:
            raise _UndefinedError
        operation = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__"}[kind]
        return getattr(first, operation)(second)
    if kind == "neg":
        return -first
    if kind == "abs":
        return abs(first)
    if kind == "sqrt":
        return mp.sqrt(first)
    if kind in ("ln", "log", "lg", "logarithm"):
        if first == 0:
            raise _UndefinedError
        if kind == "logarithm":
            return mp.log(first) / mp.log(parts[1])
        return mp.log(first) if kind == "ln" else mp.log10(first)
    if kind == "factorial":
        if mp.im(first) or not mp.isint(first) or not 0 <= first <= 1000:
            raise TooLargeError("factorials are of whole numbers up to 1,000")
        return mp.factorial(first)
    _bounded(first, 17 if kind in ("exp", "sinh", "cosh", "tanh") else _LARGEST_ANGLE, mp)
    return getattr(mp, _NAMES.get(kind, kind))(first)


_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}


def _power(base: Any, exponent: Any, mp: Any) -> Any:
    if base == 0:
        if mp.re(exponent) <= 0:
            raise _UndefinedError
        return base
    if mp.isinf(base) or mp.isinf(exponent):
        raise _UndefinedError
    # The result's exponent is about this: it must be known before anything is computed.
    _bounded(exponent, 40, mp)
    if abs(exponent) * (abs(mp.mag(base)) + 1) > _LARGEST:
        raise TooLargeError("a power in it is too large or too small")
    return mp.power(base, exponent)


def _bounded(value: Any, bits: int, mp: Any) -> None:
    if mp.isinf(value):
        raise _UndefinedError
    if value and mp.mag(value) > bits:
        raise TooLargeError("a number in it is too large")
