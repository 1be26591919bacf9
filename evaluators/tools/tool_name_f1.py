"""F1 over the names of the called tools."""

from collections import Counter

from evaluators.contract import Sample, Score
from evaluators.tools.calls import ExpectationScorer, expected_name, same_name
from evaluators.tools.written import Call


class ToolNameF1(ExpectationScorer, frozen=True):
    """Harmonic mean of precision and recall over the names of the tools that were called and those expected.

    Calls of one tool count as often as they are made; with `repeats: false` each name counts once, as in promptfoo's
    `tool-call-f1`. Names are equal with `.` or `_`; arguments do not matter. The case expects names, `{name, arguments}`
    or BFCL's form, at the path `expected`. 1 when none was made and none expected, 0 when only one of both is empty.
    Range [0, 1], higher is better. Source: promptfoo 0.123 `tool-call-f1`; Ragas 0.4 `ToolCallF1` compares arguments, too,
    for which see argument_match.
    """

    name = "tool_name_f1"
    example = {"expected": "reference"}

    repeats: bool = True

    def judge_calls(self, calls: list[Call], sample: Sample) -> Score:
        made = Counter(same_name(call.name) for call in calls)
        expected = Counter(same_name(expected_name(entry)) for entry in self.expected_entries(sample))
        if not self.repeats:
            made, expected = Counter(set(made)), Counter(set(expected))
        total = made.total() + expected.total()
        common = (made & expected).total()
        explanation = f"{common} names in common: {made.total()} called, {expected.total()} expected"
        evidence = {
            "missing": sorted((expected - made).elements())[:20],
            "extra": sorted((made - expected).elements())[:20],
        }
        return self.scored(2 * common / total if total else 1.0, explanation, evidence=evidence)
