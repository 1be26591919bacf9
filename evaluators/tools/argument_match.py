"""Arguments of calls against those expected."""

from typing import Any, Literal

from evaluators import jsondata
from evaluators.contract import Sample, Score
from evaluators.lookup import value_at
from evaluators.tools.calls import CaseError, ExpectationScorer, call_of, expected_name, is_plain, same_name
from evaluators.tools.written import Call


class ArgumentMatch(ExpectationScorer, frozen=True):
    """Share of the expected calls that were made with the expected arguments.

    `mode: exact` wants all arguments equal and no others; `partial` wants the expected ones equal, others may be there.
    Arguments in `ignore` do not matter. Values are equal as JSON: 1 equals 1.0, key order does not matter, texts are
    compared as they are. Each call answers for one expected call, so that the most are met, in any order. Calls that
    nobody expected do not count here (see tool_name_f1); a call whose arguments are no JSON object meets nothing. The
    case expects `{name, arguments}`, at the path `expected`. No call where some are expected is 0; where none is expected
    the sample is skipped. Range [0, 1], higher is better.
    The evidence has precision (of the calls made), recall (the value) and F1. Source: promptfoo 0.123
    `trajectory:tool-args-match`; the F1 is that of Ragas 0.4 `ToolCallF1` where no call is made twice.
    """

    name = "argument_match"
    example = {"mode": "partial", "ignore": ["request_id"]}

    mode: Literal["exact", "partial"] = "exact"
    ignore: tuple[str, ...] = ()

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        return (
            f"{self.name}: no call is expected" if reason is None and value_at(sample, self.expected) == [] else reason
        )

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        expected = [_expected(entry) for entry in self.expected_entries(sample)]
        fitting = [
            [
                place
                for place, call in enumerate(calls)
                if same_name(call.name) == same_name(name) and self._fits(call, wanted)
            ]
            for name, wanted in expected
        ]
        met = _most_met(fitting)
        unmet = [name for (name, _), place in zip(expected, met, strict=True) if place is None]
        count = len(expected) - len(unmet)
        evidence = {
            "precision": count / len(calls) if calls else 0.0,
            "recall": count / len(expected),
            "f1": 2 * count / (len(calls) + len(expected)),
            "unmet": unmet[:20],
        }
        explanation = f"{count} of {len(expected)} expected calls were made with the expected arguments"
        return self.scored(count / len(expected), explanation, evidence=evidence)

    def _fits(self, call: Call, wanted: dict[str, Any]) -> bool:
        if call.arguments is None:
            return False
        found = {key: value for key, value in call.arguments.items() if key not in self.ignore}
        wanted = {key: value for key, value in wanted.items() if key not in self.ignore}
        if self.mode == "partial":
            found = {key: value for key, value in found.items() if key in wanted}
        return jsondata.equal(found, wanted)


def _expected(entry: Any) -> tuple[str, dict[str, Any]]:
    """Raises CaseError."""
    name = expected_name(entry)
    call = call_of(entry) if is_plain(entry) else None
    if call is None or call.arguments is None:
        raise CaseError(f"the expected call of {name} is not {{name, arguments}}; for BFCL's form use tool_call_match")
    return name, call.arguments


def _most_met(fitting: list[list[int]]) -> list[int | None]:
    """For each expected call the call that answers for it, such that the most are met (Kuhn's augmenting paths)."""
    holder, holds = dict[int, int](), dict[int, int]()
    for start in range(len(fitting)):
        free, came_from = _path(start, fitting, holder)
        while free is not None:
            asking = came_from[free]
            before = holds.get(asking)
            holder[free], holds[asking] = asking, free
            free = before
    return [holds.get(number) for number in range(len(fitting))]


def _path(start: int, fitting: list[list[int]], holder: dict[int, int]) -> tuple[int | None, dict[int, int]]:
    """The nearest call that nobody holds, and for each call on the way who asks for it."""
    came_from = dict[int, int]()
    queue = [start]
    for asking in queue:
        for place in fitting[asking]:
            if place not in came_from:
                came_from[place] = asking
                if place not in holder:
                    return place, came_from
                queue.append(holder[place])
    return None, came_from
