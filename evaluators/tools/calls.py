"""Reading tool calls: as endpoints return them, as models write them, and as cases expect them."""

import ast
from typing import Any, Literal, NamedTuple

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer
from evaluators.lookup import check_path, need_of, value_at

Source = Literal["tool_calls", "text", "trajectory"]

# A megabyte of Python takes the parser seconds, and no answer makes that many calls.
TEXT_LIMIT = 200_000
MOST_CALLS = 1_000
_DEEPEST = 50


class UnreadableCallsError(ValueError):
    """The model's calls cannot be read: its own fault."""


class CaseError(ValueError):
    """What the case expects, or the tools it was given, are not of a form that can be read: its author's fault."""


class Call(NamedTuple):
    """A tool call. `arguments` is None when they are no JSON object; `fault` then says why."""

    name: str
    arguments: dict[str, Any] | None
    fault: str = ""


def same_name(name: str) -> str:
    """The name to compare by: endpoints allow no dots in names, so that clients write `_` for them."""
    return name.replace(".", "_")


def call_of(entry: Any) -> Call:
    """A call in the form {id, name, arguments} or in OpenAI's, nested under `function`."""
    nested = entry.get("function") if isinstance(entry, dict) else None
    parts = nested if isinstance(nested, dict) else entry
    name = parts.get("name") if isinstance(parts, dict) else None
    if not isinstance(name, str) or not name:
        return Call("", None, "the call names no tool")
    arguments = parts.get("arguments")
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = jsondata.parse(arguments)
        except jsondata.NotJSONError as exc:
            return Call(name, None, f"{exc}".replace("the output", "the argument text"))
    elif arguments is None or isinstance(arguments, str):
        arguments = {}  # endpoints leave out, or send as an empty text, the arguments of a tool that has none
    if not isinstance(arguments, dict):
        return Call(name, None, "the arguments are not a JSON object")
    return Call(name, arguments)


def made_calls(sample: Sample, source: Source) -> list[Call]:
    """The calls that the model made, in order. Raises UnreadableCallsError, for `text` alone."""
    if source == "text":
        return written_calls(sample.output)
    if source == "tool_calls":
        return [call_of(entry) for entry in sample.tool_calls or []]
    messages = [each for each in sample.trajectory or [] if each.get("role") == "assistant"]
    return [call_of(entry) for message in messages for entry in message.get("tool_calls") or []]


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


class CallScorer(Scorer, frozen=True):
    """Looks at the calls that the model made.

    `source` says where they are: in the answer's `tool_calls`, in its `text` written as `[f(a=1)]`, or in the
    assistant's messages of the `trajectory`.
    """

    needs = frozenset({"tool_calls", "trajectory", "reference", "metadata", "inputs"})

    source: Source = "tool_calls"

    @property
    def paths(self) -> tuple[str, ...]:
        """Where else this scorer looks."""
        return ()

    @property
    def reads(self) -> frozenset[str]:
        own = frozenset() if self.source == "text" else frozenset({self.source})
        return own | {need_of(path) for path in self.paths}

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"trajectory"}) if self.source == "trajectory" else frozenset()

    def measure(self, sample: Sample) -> Score:
        try:
            calls = made_calls(sample, self.source)
        except UnreadableCallsError as exc:
            return Score.unparsable(str(exc))
        if len(calls) > MOST_CALLS:
            return Score.error(f"{self.name} compares at most {MOST_CALLS:,} calls, and there are {len(calls):,}")
        try:
            return self.judge_calls(calls, sample)
        except CaseError as exc:
            return Score.error(f"{self.name}: {exc}")

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        """The score of these calls. Written by each scorer; may raise CaseError."""
        raise NotImplementedError


class ExpectationScorer(CallScorer, frozen=True):
    """Compares the calls with those that the case expects, at the path `expected`. An empty list: no call is right."""

    expected: str = "reference"

    def check(self) -> None:
        super().check()
        check_path(self.expected, "expected")

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.expected,)

    def lacking(self, sample: Sample) -> str | None:
        if value_at(sample, self.expected) is None:
            return f"{self.name}: the sample has no expected calls at {self.expected}"
        return super().lacking(sample)

    def expected_entries(self, sample: Sample) -> list[Any]:
        """The expected calls as the case writes them. Raises CaseError."""
        value = value_at(sample, self.expected)
        entries = value if isinstance(value, list) else [value]
        if len(entries) > MOST_CALLS:
            raise CaseError(f"{self.expected} expects more than {MOST_CALLS:,} calls")
        return entries


def is_plain(entry: Any) -> bool:
    """Whether an expected call is written as {name, arguments}, and not as BFCL writes them."""
    return isinstance(entry, dict) and (isinstance(entry.get("name"), str) or isinstance(entry.get("function"), dict))


def expected_name(entry: Any) -> str:
    """The tool that an expected call names: a text, {name, arguments} or BFCL's {name: {...}}. Raises CaseError."""
    if isinstance(entry, str) and entry:
        return entry
    if is_plain(entry):
        name = call_of(entry).name
    else:
        name = next(iter(entry)) if isinstance(entry, dict) and len(entry) == 1 else ""
    if not name:
        raise CaseError("an expected call is a tool's name, {name, arguments}, or {<name>: {<argument>: [values]}}")
    return name


class Function(NamedTuple):
    """What a tool takes: JSON Schemas by parameter, and which of them are a must."""

    parameters: dict[str, Any]
    required: tuple[str, ...]
    schema: dict[str, Any]


def functions_of(tools: Any) -> dict[str, Function]:
    """The functions by the name to compare by; OpenAI's form or the bare {name, parameters}. Raises CaseError."""
    found = dict[str, Function]()
    for tool in tools if isinstance(tools, list) else [tools]:
        nested = tool.get("function") if isinstance(tool, dict) else None
        parts = nested if isinstance(nested, dict) else tool
        if not isinstance(parts, dict) or not isinstance(parts.get("name"), str):
            raise CaseError("a tool is {name, parameters}, or that under `function`")
        schema = parts.get("parameters") or {}
        properties, required = (schema.get("properties") or {}, schema.get("required") or []) if schema else ({}, [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise CaseError(f"the parameters of {parts['name']} are no JSON Schema of an object")
        found[same_name(parts["name"])] = Function(properties, tuple(required), schema)
    return found
