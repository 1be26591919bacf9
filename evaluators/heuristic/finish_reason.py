"""Why the model stopped."""

import functools
from typing import cast

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError

# Other providers' words for OpenAI's; compared in lower case.
_ALIASES = {
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "safety": "content_filter",
    "refusal": "content_filter",
    "recitation": "content_filter",
}


def canonical(reason: str) -> str:
    """OpenAI's word for a provider's: `end_turn` is `stop`; what has no counterpart stays, in lower case."""
    reason = reason.strip().lower()
    return _ALIASES.get(reason, reason)


class FinishReason(Scorer, frozen=True):
    """1 when the model stopped for one of the `allowed` reasons, else 0: `length` means that the answer was cut off.

    Reasons are OpenAI's (`stop`, `length`, `tool_calls`, `content_filter`); those of other providers are translated first,
    in the answer and in `allowed`. Range {0, 1}, higher is better. An answer whose endpoint gave no reason is skipped,
    because that is not the model's fault; an empty output is judged by its reason alone.
    Source: OpenAI API reference, chat completions, `choices[].finish_reason`.
    """

    name = "finish_reason"
    needs = frozenset({"finish_reason"})
    binary = True
    example = {"allowed": ["stop", "tool_calls"]}

    allowed: tuple[str, ...] = ("stop",)

    def check(self) -> None:
        super().check()
        if not self.allowed:
            raise ScorerConfigError("name at least one reason, such as stop", "/args/allowed")
        for i, reason in enumerate(self.allowed):
            if not reason.strip():
                raise ScorerConfigError("a reason must not be empty", f"/args/allowed/{i}")

    @functools.cached_property
    def _canonical(self) -> frozenset[str]:
        return frozenset(map(canonical, self.allowed))

    def measure(self, sample: Sample) -> Score:
        reason = cast("str", sample.finish_reason)
        known = canonical(reason)
        if known in self._canonical:
            return self.scored(1.0, f"the model stopped with {reason}", label=known)
        return self.scored(0.0, f"the model stopped with {reason}, not with {' or '.join(self.allowed)}", label=known)
