"""Metrics made of other metrics: a small, safe expression over named scores, or a weighted mean of them.

A formula is parsed by Python's grammar and walked through an allow-list; nothing is ever executed. It knows numbers, the
names of scores, `+ - * / **`, comparisons, `and or not`, `a if b else c`, and the functions `min max abs`. A name that is
no identifier is written `score("rouge-l")`. Truth is 1 and 0.
"""

import ast
import math
from collections.abc import Mapping, Sequence

from evaluators.metrics.interval import Interval, interval_of

MOST_CHARACTERS = 1000
MOST_NODES = 200
DEEPEST = 40
LARGEST_EXPONENT = 16.0

_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_UNARY = (ast.UAdd, ast.USub, ast.Not)
_COMPARED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_FUNCTIONS = ("min", "max", "abs")


class FormulaError(ValueError):
    """A formula that cannot be read, or says something that is not allowed."""


class NoValueError(Exception):
    """A formula that has no value for these scores; the message is the reason. `missing`: the score that lacks one."""

    def __init__(self, message: str, missing: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing


class Formula:
    """A formula, checked. Raises FormulaError saying what is wrong."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MOST_CHARACTERS:
            raise FormulaError(f"a formula has at most {MOST_CHARACTERS} characters, this one {len(text)}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise FormulaError(f"{text[:80]!r} is no formula: {getattr(error, 'msg', None) or error}") from error
        if sum(1 for _ in ast.walk(tree)) > 3 * MOST_NODES:
            raise FormulaError(f"a formula has at most {MOST_NODES} parts")
        found: dict[str, None] = {}
        self._parts = 0
        self._check(tree, found, 1)
        self._tree = tree
        self.names: tuple[str, ...] = tuple(found)
        if not found:
            raise FormulaError("a formula without the name of a score is always the same")

    def value(self, scores: Mapping[str, float | None]) -> float:
        """Its value for these scores. Raises NoValueError for one that is missing, and for what has no finite result.

        Only what decides the value must be there: the branch that `if` takes, and `and` and `or` from left to right.
        """
        result = _value(self._tree, scores)
        if not math.isfinite(result):
            raise NoValueError(f"{self.text} is not finite for these scores")
        return result

    def interval(self, ranges: Mapping[str, Interval]) -> Interval:
        """Between which ends all its values lie, when each score lies within its own; infinite where it is not known."""
        return interval_of(self._tree, ranges)

    def _check(self, node: ast.expr, names: dict[str, None], depth: int) -> None:
        self._parts += 1
        if self._parts > MOST_NODES or depth > DEEPEST:
            raise FormulaError(f"a formula has at most {MOST_NODES} parts and is at most {DEEPEST} deep")
        for child in self._children(node, names):
            self._check(child, names, depth + 1)

    def _children(self, node: ast.expr, names: dict[str, None]) -> Sequence[ast.expr]:
        """The parts of an allowed node."""
        match node:
            case ast.Constant(value=value):
                _check_constant(value)
                return []
            case ast.Name(id=name):
                if name in (*_FUNCTIONS, "score"):
                    raise FormulaError(f"{name} is a function; a score of that name is written score({name!r})")
                names[name] = None
                return []
            case ast.BinOp(op=op) if isinstance(op, _BINARY):
                return [node.left, node.right]
            case ast.UnaryOp(op=op) if isinstance(op, _UNARY):
                return [node.operand]
            case ast.BoolOp():
                return node.values
            case ast.Compare(ops=ops) if all(isinstance(op, _COMPARED) for op in ops):
                return [node.left, *node.comparators]
            case ast.IfExp():
                return [node.test, node.body, node.orelse]
            case ast.Call(func=ast.Name(id="score"), args=[ast.Constant(value=str(name))], keywords=[]):
                names[name] = None
                return []
            case ast.Call(func=ast.Name(id=function), args=[_, *_], keywords=[]) if function in _FUNCTIONS:
                if function == "abs" and len(node.args) != 1:
                    raise FormulaError("abs takes one argument")
                return node.args
            case ast.Call():
                raise FormulaError(f'only {", ".join(_FUNCTIONS)} and score("a name") can be called')
        raise FormulaError(f"{type(node).__name__.lower()} is not allowed in a formula")


def composite(scores: Mapping[str, float | None], weights: Mapping[str, float]) -> float:
    """The weighted mean of named scores. Raises NoValueError for one that is missing: the others do not stand in for it."""
    check_weights(weights)
    total = math.fsum(weights.values())
    return math.fsum(weight * _score(name, scores) for name, weight in weights.items()) / total


def check_weights(weights: Mapping[str, float]) -> None:
    """Raises FormulaError for no weights, or one that is not above 0 and finite."""
    if not weights:
        raise FormulaError("a weighted mean needs at least one score")
    for name, weight in weights.items():
        if not 0 < weight < math.inf:
            raise FormulaError(f"the weight of {name} must be above 0 and finite, not {weight}")


def _value(node: ast.expr, scores: Mapping[str, float | None]) -> float:
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name) | ast.Call(func=ast.Name(id="score"), args=[ast.Constant(value=str(name))]):
            return _score(name, scores)
        case ast.BinOp():
            return _arithmetic(node.op, _value(node.left, scores), _value(node.right, scores))
        case ast.UnaryOp(op=ast.Not()):
            return float(not _value(node.operand, scores))
        case ast.UnaryOp(op=op):
            return -_value(node.operand, scores) if isinstance(op, ast.USub) else _value(node.operand, scores)
        case ast.BoolOp(op=ast.And()):
            return float(all(_value(each, scores) for each in node.values))
        case ast.BoolOp():
            return float(any(_value(each, scores) for each in node.values))
        case ast.Compare():
            sides = [_value(each, scores) for each in (node.left, *node.comparators)]
            return float(all(_compared(op, a, b) for op, a, b in zip(node.ops, sides[:-1], sides[1:], strict=True)))
        case ast.IfExp():
            return _value(node.body if _value(node.test, scores) else node.orelse, scores)
        case ast.Call(func=ast.Name(id=function)):
            given = [_value(each, scores) for each in node.args]
            return abs(given[0]) if function == "abs" else (min(given) if function == "min" else max(given))
    raise FormulaError(f"{type(node).__name__.lower()} is not allowed in a formula")


def _arithmetic(op: ast.operator, a: float, b: float) -> float:
    result: float
    match op:
        case ast.Add():
            result = a + b
        case ast.Sub():
            result = a - b
        case ast.Mult():
            result = a * b
        case ast.Div():
            if b == 0:
                raise NoValueError("it divides by zero")
            result = a / b
        case _:
            result = _power(a, b)
    if not math.isfinite(result):
        raise NoValueError("a number on the way is not finite")
    return result


def _power(a: float, b: float) -> float:
    if abs(b) > LARGEST_EXPONENT:
        raise NoValueError(f"exponents lie within {LARGEST_EXPONENT:g}, not at {b:g}")
    if a == 0 and b < 0:
        raise NoValueError("it divides by zero")
    if a < 0 and not b.is_integer():
        raise NoValueError("a negative number has no such power")
    try:
        return float(a**b)
    except OverflowError as error:
        raise NoValueError("a number on the way is not finite") from error


def _compared(op: ast.cmpop, a: float, b: float) -> bool:
    match op:
        case ast.Lt():
            return a < b
        case ast.LtE():
            return a <= b
        case ast.Gt():
            return a > b
        case ast.GtE():
            return a >= b
        case ast.Eq():
            return a == b
    return a != b


def _score(name: str, scores: Mapping[str, float | None]) -> float:
    value = scores.get(name)
    if value is None:
        raise NoValueError(f"{name} has no value", missing=name)
    if not math.isfinite(value):
        raise NoValueError(f"{name} is not finite", missing=name)
    return float(value)


def _check_constant(value: object) -> None:
    if not isinstance(value, bool | int | float):
        raise FormulaError(f"only numbers can be written in a formula, not {type(value).__name__}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise FormulaError("a number in the formula is too large")
