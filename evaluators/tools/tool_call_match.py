"""BFCL's verdict on tool calls."""

from typing import Any

from evaluators.contract import Sample, Score
from evaluators.lookup import check_path, value_at
from evaluators.tools.bfcl import as_accepted, difference
from evaluators.tools.calls import (
    CaseError,
    ExpectationScorer,
    Function,
    call_of,
    expected_name,
    functions_of,
    is_plain,
    same_name,
)
from evaluators.tools.written import Call


class ToolCallMatch(ExpectationScorer, frozen=True):
    """1 when the calls are those that the case expects, in any order and none besides, else 0.

    The case expects, at the path `expected`, BFCL's `[{name: {argument: [right values]}}]`, where "" among the values
    lets the argument be left out, or `[{name, arguments}]`, where each argument has one right value. Names are equal
    with `.` or `_`. Required arguments must be there, unknown ones must not. Types are the schema's, taken from the
    functions at the path `tools`: an integer will do for a number, but not inside arrays. Texts are compared in lower
    case, without blanks and `,./-_*^`, with one kind of quotes. Without functions only the values count.

    No call, where one is expected, is 0, as is a call too many; an expected `[]` is met by no call. Arguments that are
    no JSON, and with `source: text` an output that is not `[f(a=1)]`, are unparsable (0). Range {0, 1}, higher is better.
    Source: BFCL's `ast_checker` (github.com/ShishirPatil/gorilla, v4, Python), which takes the first call that fits,
    so do we; equal to its published verdict on 600 recorded answers.
    """

    name = "tool_call_match"
    version = 2
    needs = ExpectationScorer.needs | {"tools"}
    binary = True
    example = {"expected": "reference", "tools": "tools"}

    tools: str = "tools"

    def check(self) -> None:
        super().check()
        check_path(self.tools, "tools", ("tools", "metadata", "inputs"))

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.expected, self.tools)

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        expected = [_accepted(entry) for entry in self.expected_entries(sample)]
        tools = value_at(sample, self.tools)
        functions = functions_of(tools) if tools else {}
        unreadable = next((call for call in calls if call.arguments is None), None)
        if unreadable:
            return Score.unparsable(f"the call of {unreadable.name or 'a tool'} cannot be read: {unreadable.fault}")
        if len(calls) != len(expected):
            found = f"{len(calls)} calls were made, {len(expected)} expected"
            return self.scored(0.0, found, evidence={"reason": "count", "made": [call.name for call in calls][:20]})
        left = list(calls)
        for name, accepted in expected:
            fitting, reason = _first_fitting(left, name, accepted, functions.get(same_name(name)))
            if fitting is None:
                return self.scored(0.0, f"no call fits {name}: {reason}", evidence={"reason": reason, "expected": name})
            del left[fitting]
        return self.scored(
            1.0, f"all {len(expected)} expected calls were made" if expected else "no call was to be made"
        )


def _first_fitting(
    calls: list[Call], name: str, accepted: dict[str, list[Any]], function: Function | None
) -> tuple[int | None, str]:
    """The place of the first call that is accepted, or the reason why the likeliest one is not."""
    reason = f"name: called were {', '.join(sorted({call.name for call in calls}))[:200]}"
    for place, call in enumerate(calls):
        if same_name(call.name) == same_name(name):
            found = difference(call.arguments or {}, accepted, function)
            if found is None:
                return place, ""
            reason = found
    return None, reason


def _accepted(entry: Any) -> tuple[str, dict[str, list[Any]]]:
    """Name and right values of an expected call, in either form. Raises CaseError."""
    name = expected_name(entry)
    if is_plain(entry):
        call = call_of(entry)
        if call.arguments is None:
            raise CaseError(f"the expected call of {name}: {call.fault}")
        return name, {key: as_accepted(value) for key, value in call.arguments.items()}
    accepted = entry[name] if isinstance(entry, dict) else {}
    if not isinstance(accepted, dict) or not all(isinstance(values, list) for values in accepted.values()):
        raise CaseError(f"the expected call of {name} maps each argument to the list of its right values")
    return name, accepted
