"""Whether the calls fit the tools."""

import functools

import jsonschema_rs
import msgspec

from evaluators.contract import Sample, Score
from evaluators.jsonschemas import SchemaError, compile_schema
from evaluators.lookup import check_path, value_at
from evaluators.tools.calls import CallScorer, CaseError, functions_of, same_name
from evaluators.tools.written import Call

_SHOWN = 10


class ValidToolCalls(CallScorer, frozen=True):
    """1 when every call names a tool that the model was given and its arguments fit that tool's JSON Schema, else 0.

    The tools are OpenAI's function schemas, at the path `tools`. Arguments must be a JSON object; an empty text counts as
    one without keys. Names are equal with `.` or `_`. Without a call, or without tools, the sample is skipped; a schema
    that cannot be compiled is an error. Range {0, 1}, higher is better. Source: json-schema.org, by jsonschema-rs;
    promptfoo 0.123 `is-valid-openai-tools-call`, which fails where there is no call.
    """

    name = "valid_tool_calls"
    needs = frozenset({"tool_calls", "trajectory", "tools", "metadata", "inputs"})
    binary = True
    example = {"tools": "tools"}

    tools: str = "tools"

    def check(self) -> None:
        super().check()
        check_path(self.tools, "tools", ("tools", "metadata", "inputs"))

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.tools,)

    def lacking(self, sample: Sample) -> str | None:
        if not value_at(sample, self.tools):
            return f"{self.name}: the sample has no tools at {self.tools}"
        return super().lacking(sample)

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        if not calls:
            return Score.skipped(f"{self.name}: no tool was called")
        functions = functions_of(value_at(sample, self.tools))
        faults = list[dict[str, str]]()
        for call in calls:
            function = functions.get(same_name(call.name))
            if call.arguments is None:
                fault = call.fault
            elif function is None:
                fault = "there is no such tool"
            else:
                fault = _misfit(call, msgspec.json.encode(function.schema))
            if fault:
                faults.append({"tool": call.name, "fault": fault[:300]})
        explanation = f"{len(calls) - len(faults)} of {len(calls)} calls fit their tools"
        if not faults:
            return self.scored(1.0, explanation)
        first = f"{explanation}; {faults[0]['tool'] or 'a call'}: {faults[0]['fault']}"
        return self.scored(0.0, first, evidence={"faults": faults[:_SHOWN]})


def _misfit(call: Call, schema: bytes) -> str:
    """Where the arguments do not fit, or an empty text. Raises CaseError."""
    try:
        error = next(_validator(schema).iter_errors(call.arguments), None)
    except SchemaError as exc:
        raise CaseError(f"the schema of {call.name} is refused: {exc}") from exc
    if error is None:
        return ""
    pointer = "".join(f"/{part}" for part in error.instance_path)
    return f"at {pointer or 'the top'}: {error.message}"


@functools.lru_cache(maxsize=512)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    """Raises SchemaError."""
    return compile_schema(msgspec.json.decode(schema))
