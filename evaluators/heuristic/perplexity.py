"""How sure the model was of its own words."""

import math
from typing import Literal, cast

from evaluators.contract import Sample, Score, Scorer, ValueRange

_LARGEST = math.log(1e300)


class Perplexity(Scorer, frozen=True):
    """Perplexity of the output under the model that wrote it: exp(-mean of the tokens' natural log probabilities).

    `perplexity` (the default) is unbounded from 1, lower is better; with `threshold`, passed means at most that much.
    `score` is 1 / (1 + perplexity): range [0, 1] of which values reach 0.5, higher is better. An answer without log
    probabilities, or with none in the list as for an empty output, is skipped.
    Source: Jelinek et al. 1977; `score` as promptfoo's `perplexity-score` (0.123).
    """

    name = "perplexity"
    needs = frozenset({"logprobs"})
    direction = "minimize"
    low = 1.0
    high = None
    unit = "perplexity"

    form: Literal["perplexity", "score"] = "perplexity"

    @property
    def value_range(self) -> ValueRange:
        if self.form == "score":
            return ValueRange("maximize", 0, 1, None)
        return super().value_range

    def measure(self, sample: Sample) -> Score:
        logprobs = cast("list[float]", sample.logprobs)
        if not logprobs:
            return Score.skipped("perplexity: there is no token with a log probability")
        if not all(each <= 1e-3 for each in logprobs):  # a little above zero is rounding; NaN is not
            return Score.error("perplexity: a log probability is above zero or no number")
        surprise = max(0.0, -math.fsum(logprobs) / len(logprobs))
        shown = f"the mean log probability of {len(logprobs)} tokens is {-surprise:.4g}"
        evidence = {"tokens": len(logprobs), "least": max(min(logprobs), -_LARGEST)}
        if self.form == "score":
            return self.scored(1 / (1 + math.exp(min(surprise, _LARGEST))), shown, evidence=evidence)
        if surprise > _LARGEST:
            return Score.error(f"perplexity: {shown}, which is too small for a finite perplexity")
        return self.scored(math.exp(surprise), shown, evidence=evidence)
