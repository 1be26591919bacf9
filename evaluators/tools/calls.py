"""Reading tool calls as endpoints return them and as cases expect them, and the shared form of their scorers."""

from typing import Any, Literal, NamedTuple

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer
from evaluators.lookup import check_path, need_of, value_at
from evaluators.tools.written import Call, UnreadableCallsError, written_calls

Source = Literal["tool_calls", "text", "trajectory"]

MOST_CALLS = 1_000


class CaseError(ValueError):
    """What the case expects, or the tools it was given, are not of a form that can be read: its author's fault."""


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
