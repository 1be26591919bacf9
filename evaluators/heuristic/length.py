"""How long the output is."""

from typing import Literal

import msgspec

from evaluators import tokens
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError, ValueRange


class Length(Scorer, frozen=True):
    """Length of the output in tokens, words (split at white space) or characters (code points).

    With `min` or `max`: 1 when the length lies within them (both included), else 0; range {0, 1}, higher is better.
    Without: the length itself, unbounded, lower is better. Tokens are what the endpoint reported as
    `completion_tokens`, else counted; where only an estimate is to be had, the explanation says that it is one.

    Source: our own.
    """

    name = "length"
    version = 2
    needs = frozenset({"usage", "model"})
    example = {"unit": "words", "max": 120}

    # On the wire these are `unit`, `min` and `max`, which are taken here.
    count_in: Literal["chars", "words", "tokens"] = msgspec.field(name="unit", default="tokens")
    at_least: int | None = msgspec.field(name="min", default=None)
    at_most: int | None = msgspec.field(name="max", default=None)

    def check(self) -> None:
        super().check()
        least, most = self.at_least, self.at_most
        for name, bound in (("min", least), ("max", most)):
            if bound is not None and bound < 0:
                raise ScorerConfigError(f"{name} must not be negative", f"/args/{name}")
        if most is None and least == 0:
            raise ScorerConfigError("min 0 without max can never fail", "/args/min")
        if least is not None and most is not None and least > most:
            raise ScorerConfigError(f"min {least} is above max {most}", "/args/min")

    @property
    def bounded(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    @property
    def value_range(self) -> ValueRange:
        return ValueRange("maximize", 0, 1, None) if self.bounded else ValueRange("minimize", 0, None, self.count_in)

    @property
    def reads(self) -> frozenset[str]:
        return self.needs if self.count_in == "tokens" else frozenset()

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def verdict(self, value: float) -> bool | None:
        return value == 1 if self.bounded and self.threshold is None else super().verdict(value)

    def measure(self, sample: Sample) -> Score:
        length, note = self._measured(sample)
        explanation = f"{length} {self.count_in}{note}"
        evidence = {"length": length}
        if not self.bounded:
            return self.scored(length, explanation, evidence=evidence)
        if self.at_least is not None and length < self.at_least:
            return self.scored(0.0, f"{explanation}, fewer than {self.at_least}", evidence=evidence)
        if self.at_most is not None and length > self.at_most:
            return self.scored(0.0, f"{explanation}, more than {self.at_most}", evidence=evidence)
        return self.scored(1.0, f"{explanation}, as asked", evidence=evidence)

    def _measured(self, sample: Sample) -> tuple[int, str]:
        if self.count_in == "chars":
            return len(sample.output), ""
        if self.count_in == "words":
            return len(sample.output.split()), ""
        reported = (sample.usage or {}).get("completion_tokens")
        # Endpoints that do not count say 0 or nonsense: no token for a text is no report.
        if isinstance(reported, int) and not isinstance(reported, bool) and reported >= bool(sample.output):
            return reported, " (reported by the endpoint)"
        counted = tokens.count(sample.output, sample.model)
        return counted.tokens, f" ({counted.source})"
