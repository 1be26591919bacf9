"""Whether the output is JSON."""

import functools

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer
from evaluators.text import clip


class IsJSON(Scorer, frozen=True):
    """1 when the whole output is one JSON value as RFC 8259 defines it, else 0.

    Neither NaN nor text around the value is accepted, so a fenced code block is not JSON. Range {0, 1}, higher is better.

    Source: RFC 8259.
    """

    name = "is_json"
    binary = True

    def measure(self, sample: Sample) -> Score:
        try:
            jsondata.parse(sample.output)
        except jsondata.NotJSONError as exc:
            return self.scored(0.0, f"{exc}; found {clip(sample.output)}")
        return self._valid

    @functools.cached_property
    def _valid(self) -> Score:
        return self.scored(1.0, "the output is JSON")
