"""The order in which tools were called."""

from collections import Counter
from typing import Literal

from evaluators.contract import Sample, Score
from evaluators.tools.calls import ExpectationScorer, Source, expected_name, same_name
from evaluators.tools.written import Call


class ToolOrder(ExpectationScorer, frozen=True):
    """1 when the tools were called in the expected order, else 0.

    `mode: exact` wants the same tools in the same order and no others; `in_order` wants the expected ones in their order,
    others may come between; `any_order` wants each expected one as often as expected, in any order, others may be there.
    Names are equal with `.` or `_`; arguments do not matter. The case expects names, `{name, arguments}` or BFCL's form,
    at the path `expected`; an empty list is met by no call, and with `exact` by nothing else. The evidence has precision,
    recall and F1 over the names, counted with repeats. By default the calls of the whole trajectory count. Range {0, 1},
    higher is better. Source: Azure AI Evaluation `TaskNavigationEfficiency`; promptfoo 0.123 `trajectory:tool-sequence`.
    """

    name = "tool_order"
    binary = True
    example = {"mode": "in_order"}

    mode: Literal["exact", "in_order", "any_order"] = "in_order"
    source: Source = "trajectory"

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        made = [same_name(call.name) for call in calls]
        expected = [same_name(expected_name(entry)) for entry in self.expected_entries(sample)]
        common = (Counter(made) & Counter(expected)).total()
        evidence = {
            "precision": common / len(made) if made else float(not expected),
            "recall": common / len(expected) if expected else 1.0,
            "f1": 2 * common / (len(made) + len(expected)) if made or expected else 1.0,
            "made": made[:50],
        }
        rest = iter(made)
        met = {
            "exact": made == expected,
            "in_order": all(name in rest for name in expected),
            "any_order": common == len(expected),
        }[self.mode]
        order = " > ".join(expected)[:200] or "no call"
        return self.scored(float(met), f"{self.mode}: {order} was {'' if met else 'not '}met", evidence=evidence)
