"""Calls that a model wrote as text, read as BFCL reads them and never run."""

import ast
from typing import Any, NamedTuple

# A megabyte of Python takes the parser seconds, and no answer makes that many calls.
TEXT_LIMIT = 200_000
_DEEPEST = 50


class UnreadableCallsError(ValueError):
    """The model's calls cannot be read: its own fault."""


class Call(NamedTuple):
    """A tool call. `arguments` is None when they are no JSON object; `fault` then says why."""

    name: str
    arguments: dict[str, Any] | None
    fault: str = ""


def written_calls(text: str) -> list[Call]:
    """Calls written as Python, `[f(a=1, b='x'), g.h()]`, read as BFCL reads them and never run.

    Fences and missing brackets are forgiven; positional arguments are left out; a bare name is the text of that name.
    Raises UnreadableCallsError.
    """
    text = text.strip("`\n ")
    if len(text) > TEXT_LIMIT:
        raise UnreadableCallsError(f"{len(text):,} characters are too many for calls")
    text = ("" if text.startswith("[") else "[") + text + ("" if text.endswith("]") else "]")
    try:
        tree = ast.parse(text, "<calls>", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise UnreadableCallsError(f"the output holds no calls such as [f(a=1)]: {exc}") from exc
    if not isinstance(tree, ast.List) or not all(isinstance(each, ast.Call) for each in tree.elts):
        raise UnreadableCallsError("the output is not a list of calls such as [f(a=1)]")
    return [_call(each, 0) for each in tree.elts if isinstance(each, ast.Call)]


def _call(node: ast.Call, depth: int) -> Call:
    parts, function = list[str](), node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        raise UnreadableCallsError("a call must name its function")
    name = ".".join(reversed([*parts, function.id]))
    return Call(name, {each.arg: _value(each.value, depth + 1) for each in node.keywords if each.arg is not None})


def _value(node: ast.expr, depth: int) -> Any:
    if depth > _DEEPEST:
        raise UnreadableCallsError(f"an argument is nested deeper than {_DEEPEST}")
    down = depth + 1
    match node:
        case ast.Constant(value=value):
            return "..." if value is ... else value
        case ast.Name(id=name):
            return name
        case ast.List(elts=elements):
            return [_value(each, down) for each in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(each, down) for each in elements)
        case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant | ast.Name) for key in keys):
            return {_value(key, down): _value(value, down) for key, value in zip(keys, values, strict=True) if key}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            return _sum(node, _value(left, down), _value(right, down))
        case ast.Call() if node.keywords:
            call = _call(node, depth)
            return {call.name: call.arguments}
        case ast.Call() | ast.Attribute() | ast.Subscript():
            return ast.unparse(node)
    raise UnreadableCallsError(f"an argument is no plain value: {type(node).__name__}")


def _sum(node: ast.BinOp, left: Any, right: Any) -> float:
    """Arithmetic on two numbers, which models like to leave undone."""
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        raise UnreadableCallsError("an argument calculates with something that is no number")
    try:
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case _:
                return left / right
    except ArithmeticError as exc:
        raise UnreadableCallsError(f"an argument cannot be calculated: {exc}") from exc
