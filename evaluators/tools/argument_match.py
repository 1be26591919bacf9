"""Arguments of calls against those expected."""

import msgspec
from typing import Any, Literal

from evaluators import jsondata
from evaluators.contract import Sample, Score
from evaluators.tools.calls import Call, CaseError, ExpectationScorer, call_of, expected_name, is_plain, same_name


class ArgumentMatch(ExpectationScorer, frozen=True):
    """Share of the expected calls that were made with the expected arguments.

    `mode: exact` wants all arguments equal and no others; `partial` wants the expected ones equal, others may be there.
    Arguments in `ignore` do not matter. Values are equal as JSON: 1 equals 1.0, key order does not matter, texts are
    compared as they are. Each call answers for one expected call, so that the most are met, in any order. Calls that
    nobody expected do not count here (see tool_name_f1); a call whose arguments are no JSON object meets nothing. The
    case expects `{name, arguments}`, at the path `expected`. No call where some are expected is 0; where none is expected
    the sample is skipped. Range [0, 1], higher is better.
    Source: promptfoo 0.123 `trajectory:tool-args-match`; Ragas 0.3 `ToolCallAccuracy` without its order.
    """

    name = "argument_match"
    example = {"mode": "partial", "ignore": ["request_id"]}

    mode: Literal["exact", "partial"] = "exact"
    ignore: frozenset[str] = frozenset()

    def lacking(self, sample: Sample) -> str | None:
        return super().lacking(sample) or (None if self.expected_entries(sample) else f"{self.name}: no call is expected")

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        expected = [_expected(entry) for entry in self.expected_entries(sample)]
        fitting = [
            [place for place, call in enumerate(calls) if same_name(call.name) == same_name(name) and self._fits(call, wanted)]
            for name, wanted in expected
        ]
        met = _most_met(fitting)
        unmet = [name for (name, _), place in zip(expected, met, strict=True) if place is None]
        explanation = f"{len(expected) - len(unmet)} of {len(expected)} expected calls have the expected arguments"
        return self.scored(1 - len(unmet) / len(expected), explanation, evidence={"unmet": unmet[:20]} if unmet else None)

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
    """For each expected call the call that answers for it, such that the most are met.

    The same arguments fit the same calls when nothing is partial, so that the first free call is right most of the time;
    where it is taken, its holder is asked to take another one (Kuhn's augmenting paths, without recursion).
    """
    holder = dict[int, int]()
    for start in range(len(fitting)):
        came_from = dict[int, int]()  # the call, and the expected one that asks for it
        queue = [start]
        free = None
        for asking in queue:
            for place in fitting[asking]:
                if place in came_from:
                    continue
                came_from[place] = asking
                if place not in holder:
                    free = place
                    break
                queue.append(holder[place])
            if free is not None:
                break
        while free is not None:
            asking = came_from[free]
            before = next((place for place, who in holder.items() if who == asking), None)
            holder[free] = asking
            if before is not None:
                del holder[before]
                holder[free] = asking
            free = before if asking != start else None
    return [next((place for place, who in holder.items() if who == number), None) for number in range(len(fitting))]
