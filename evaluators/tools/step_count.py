"""How many steps led to the answer."""

from typing import Literal

import msgspec

from evaluators.contract import Sample, Score, ScorerConfigError, ValueRange
from evaluators.tools.calls import CallScorer, Source, same_name
from evaluators.tools.written import Call


class StepCount(CallScorer, frozen=True):
    """How many steps the model took: tool calls, those of one `tool`, or its own messages (`count: turns`).

    With `min` or `max`: 1 when the number lies within them (both included), else 0; range {0, 1}, higher is better.
    Without: the number itself, unbounded, lower is better. By default the whole trajectory counts; turns are counted
    nowhere else. No call is 0 steps. Source: promptfoo 0.123 `trajectory:step-count`, `trajectory:tool-used`.
    """

    name = "step_count"
    needs = frozenset({"tool_calls", "trajectory"})
    example = {"max": 8}

    count: Literal["calls", "turns"] = "calls"
    tool: str | None = None
    source: Source = "trajectory"
    at_least: int | None = msgspec.field(name="min", default=None)
    at_most: int | None = msgspec.field(name="max", default=None)

    def check(self) -> None:
        super().check()
        if self.count == "turns" and (self.source != "trajectory" or self.tool is not None):
            field = "tool" if self.tool is not None else "source"
            raise ScorerConfigError(
                "turns are the assistant's messages in the trajectory, whatever they call", f"/args/{field}"
            )
        for name, bound in (("min", self.at_least), ("max", self.at_most)):
            if bound is not None and bound < 0:
                raise ScorerConfigError(f"{name} must not be negative", f"/args/{name}")
        if self.at_most is None and self.at_least == 0:
            raise ScorerConfigError("min 0 without max can never fail", "/args/min")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ScorerConfigError(f"min {self.at_least} is above max {self.at_most}", "/args/min")

    @property
    def bounded(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    @property
    def value_range(self) -> ValueRange:
        return ValueRange("maximize", 0, 1, None) if self.bounded else ValueRange("minimize", 0, None, self.count)

    def verdict(self, value: float) -> bool | None:
        return value == 1 if self.bounded and self.threshold is None else super().verdict(value)

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        if self.count == "turns":
            steps = sum(message.get("role") == "assistant" for message in sample.trajectory or [])
        else:
            steps = sum(self.tool is None or same_name(call.name) == same_name(self.tool) for call in calls)
        counted = f"{steps} {self.count}{f' of {self.tool}' if self.tool else ''}"
        evidence = {"steps": steps}
        if not self.bounded:
            return self.scored(steps, counted, evidence=evidence)
        if self.at_least is not None and steps < self.at_least:
            return self.scored(0.0, f"{counted}, fewer than {self.at_least}", evidence=evidence)
        if self.at_most is not None and steps > self.at_most:
            return self.scored(0.0, f"{counted}, more than {self.at_most}", evidence=evidence)
        return self.scored(1.0, f"{counted}, as asked", evidence=evidence)
