"""What a scorer is: a `Sample` goes in, a `Score` comes out.

A scorer is one frozen Struct in one file. Its fields are its arguments, its class variables say what it is::

    class Shout(Scorer, frozen=True):
        \"\"\"1 when the output is in capitals. Range {0, 1}, higher is better.\"\"\"

        name = "shout"
        binary = True

        def measure(self, sample: Sample) -> Score:
            return self.scored(float(sample.output.isupper()), "the output is compared with its capitals")

Callers use `score`, `score_batch` or, for scorers that ask a model (`judging`), `score_with`; a scorer's author writes
`measure` (or `judge`).
"""

import functools
import importlib.util
import logging
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import msgspec

Status = Literal["ok", "error", "unscored", "skipped"]
Direction = Literal["maximize", "minimize"]

_logger = logging.getLogger("evaluators")

# What each need is called in a Sample. The output is always part of the evidence and is not listed.
FIELD_OF_NEED: dict[str, str] = {
    "reference": "reference",
    "inputs": "inputs",
    "history": "history",
    "context": "context",
    "metadata": "metadata",
    "tool_calls": "tool_calls",
    "finish_reason": "finish_reason",
    "usage": "usage",
    "latency": "latency_ms",
    "cost": "cost_usd",
    "model": "model",
    "chunks": "chunks",
    "prompt": "prompt",
    "tools": "tools",
    "trajectory": "trajectory",
    "logprobs": "logprobs",
    "time_to_first_token": "ttft_ms",
    "others": "others",
}
NEEDS = frozenset(FIELD_OF_NEED) | {"judge", "embeddings"}

# Who lacks these is scored all the same: nothing there may be the right thing there.
_OPTIONAL = frozenset({"judge", "embeddings", "inputs", "history", "metadata", "tool_calls"})


class ScorerConfigError(Exception):
    """A scorer that cannot be built as asked. `pointer` is the JSON pointer of the faulty part of its suite entry."""

    def __init__(self, message: str, pointer: str = "/args") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


class Chunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A passage that retrieval found; `id` is the one that a case names as relevant."""

    id: str
    text: str
    title: str | None = None
    score: float | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer and what it is judged by. `reference` is a string, a number, an object, or a list of alternatives.

    `chunks` are what retrieval found, the best first; `context` is what was put into the prompt of them. `prompt` holds the
    messages that were sent first, `trajectory` those that followed: the assistant's, with its `tool_calls`, and the tools'
    results. `tools` are the functions that the model was given, as OpenAI writes them. `logprobs` are natural logarithms,
    one per token of the output. `others` are other answers to the same case.
    """

    output: str
    reference: Any = None
    inputs: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    context: str | None = None
    metadata: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    tool_calls: list[dict[str, Any]] | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None  # prompt_tokens, completion_tokens, as the endpoint reported them
    latency_ms: float | None = None
    cost_usd: float | None = None
    model: str | None = None
    chunks: list[Chunk] | None = None
    prompt: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    trajectory: list[dict[str, Any]] | None = None
    logprobs: list[float] | None = None
    ttft_ms: float | None = None
    others: list[str] | None = None

    @property
    def references(self) -> list[Any]:
        """The alternatives of which the best counts: none, one, or several."""
        alternatives = self.reference if isinstance(self.reference, list) else [self.reference]
        return [each for each in alternatives if each is not None]


class Score(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finite value with status `ok`, or no value and the reason why.

    `name`, `version` and `direction` are the scorer's. `cost` (US dollars) and `tokens` are the judge's; `cached` means
    that nobody had to be asked, for the same had been asked before.

    Raises ValueError for NaN or infinity, a value without `ok`, `ok` without a value, a `passed` without a value, and a
    missing value without explanation.
    """

    value: float | None
    passed: bool | None = None
    label: str | None = None
    explanation: str = ""
    evidence: dict[str, Any] | None = None
    status: Status = "ok"
    cost: float = 0.0
    tokens: int = 0
    cached: bool = False
    name: str = ""
    version: int = 0
    direction: Direction = "maximize"

    def __post_init__(self) -> None:
        if self.status == "ok":
            if self.value is None:
                raise ValueError("a score with status ok needs a value")
            if not math.isfinite(self.value):
                raise ValueError(f"a score must be finite, not {self.value}")
        elif self.value is not None or self.passed is not None:
            raise ValueError(f"a score with status {self.status} can have neither value nor passed")
        elif not self.explanation:
            raise ValueError(f"a score with status {self.status} must say why")

    @classmethod
    def ok(
        cls,
        value: float,
        explanation: str = "",
        *,
        passed: bool | None = None,
        label: str | None = None,
        evidence: dict[str, Any] | None = None,
    ) -> Self:
        return cls(value=float(value), passed=passed, label=label, explanation=explanation, evidence=evidence)

    @classmethod
    def skipped(cls, reason: str) -> Self:
        """The sample lacks what the scorer needs: a missing reference or input."""
        return cls(value=None, status="skipped", explanation=reason)

    @classmethod
    def unscored(cls, reason: str, *, evidence: dict[str, Any] | None = None) -> Self:
        """The judge answered without giving a verdict."""
        return cls(value=None, status="unscored", explanation=reason, evidence=evidence)

    @classmethod
    def error(cls, reason: str, *, evidence: dict[str, Any] | None = None) -> Self:
        """Infrastructure failed, or the scorer itself did."""
        return cls(value=None, status="error", explanation=reason, evidence=evidence)

    @classmethod
    def unparsable(cls, reason: str) -> Self:
        """The output cannot be read; that is the model's fault, so it counts 0."""
        return cls(value=0.0, passed=False, label="unparsable", explanation=reason)


class ValueRange(msgspec.Struct, frozen=True):
    """How a scorer's values are to be read: `high` is None when they are unbounded, `unit` None for unit scores."""

    direction: Direction
    low: float
    high: float | None
    unit: str | None


class Scorer(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """Base of all scorers. Fields are arguments; subclasses repeat `frozen=True` and set the class variables.

    `needs` are the fields of the sample, beside the output, that may decide a score (plus `judge` and `embeddings`).
    Raise `version` whenever the same sample and arguments may get another value: kept scores are then computed afresh.
    `modules` are packages beyond the library's own, which the extra named `extra` installs.

    Every scorer takes `threshold`, from which its values pass, and `negate`, which turns it round: a value in [low, high]
    becomes low + high - value, passed becomes failed. What has no value, and an output that cannot be read, stay as they are.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    binary: ClassVar[bool] = False
    direction: ClassVar[Direction] = "maximize"
    low: ClassVar[float] = 0.0
    high: ClassVar[float | None] = 1.0
    unit: ClassVar[str | None] = None
    example: ClassVar[dict[str, Any]] = {}  # arguments that make sense, for documentation and tests
    extra: ClassVar[str | None] = None
    modules: ClassVar[tuple[str, ...]] = ()

    threshold: float | None = None
    negate: bool = False

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse arguments that make no sense or an assertion that cannot fail. Raises ScorerConfigError.

        Subclasses extend it and call `super().check()`.
        """
        self._check_installed()
        values, threshold = self.value_range, self.threshold
        if threshold is None:
            return
        pointer = "/args/threshold"
        if not math.isfinite(threshold):
            raise ScorerConfigError(f"the threshold must be a finite number, not {threshold}", pointer)
        top = "any number" if values.high is None else f"{values.high:g}"
        between = f"its values go from {values.low:g} to {top}"
        if threshold < values.low or (values.high is not None and threshold > values.high):
            raise ScorerConfigError(f"threshold {threshold:g} is out of range: {between}", pointer)
        if threshold == (values.low if values.direction == "maximize" else values.high):
            raise ScorerConfigError(f"threshold {threshold:g} can never fail: {between}", pointer)

    def _check_installed(self) -> None:
        missing = [module for module in self.modules if importlib.util.find_spec(module) is None]
        if missing:
            wanted = " and ".join(missing)
            raise ScorerConfigError(f"needs {wanted}, which is not installed: add promptward[{self.extra}]", "/use")

    @property
    def value_range(self) -> ValueRange:
        """Direction, range and unit with these arguments."""
        return ValueRange(self.direction, self.low, self.high, self.unit)

    @property
    def reads(self) -> frozenset[str]:
        """The part of `needs` that decides a score with these arguments; a kept score's key covers exactly these."""
        return self.needs

    @property
    def requires(self) -> frozenset[str]:
        """The part of `reads` whose absence makes a sample `skipped`. An absent tool call is an answer, not a gap."""
        return self.reads - _OPTIONAL

    def arguments(self) -> dict[str, Any]:
        """All arguments, defaults included, as plain JSON data: what a kept score's key and record hold."""
        arguments: dict[str, Any] = msgspec.to_builtins(self)
        return arguments

    def score(self, sample: Sample) -> Score:
        """Score one sample. A defect in the scorer becomes a score with status `error`, never a value."""
        try:
            reason = self.lacking(sample)
            return self._named(self.measure(sample) if reason is None else Score.skipped(reason))
        except Exception as exc:  # noqa: BLE001 - it becomes a score that says so
            return self._defect(exc)

    def score_batch(self, samples: Sequence[Sample]) -> list[Score]:
        """Score many samples, in order; the same scores as one by one."""
        try:
            reasons = [self.lacking(sample) for sample in samples]
        except Exception:  # noqa: BLE001 - as below
            return [self.score(sample) for sample in samples]
        present = [sample for sample, reason in zip(samples, reasons, strict=True) if reason is None]
        try:
            measured = [score if score.name else self._named(score) for score in self.measure_batch(present)]
        except Exception:  # noqa: BLE001 - one bad sample must not cost the others their scores; `score` reports it
            measured = [self.score(sample) for sample in present]
        if len(measured) != len(present):
            raise RuntimeError(f"scorer {self.name} gave {len(measured)} scores for {len(present)} samples")
        if len(measured) == len(samples):
            return measured
        rest = iter(measured)
        return [next(rest) if reason is None else self._named(Score.skipped(reason)) for reason in reasons]

    def measure(self, sample: Sample) -> Score:
        """Score a sample that has all that the scorer requires. Written by each scorer."""
        raise NotImplementedError(f"scorer {self.name} does not define measure()")

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        """`measure` for many samples; overridden where there is a faster way to the same scores."""
        return [self.measure(sample) for sample in samples]

    def lacking(self, sample: Sample) -> str | None:
        """Why the sample cannot be scored, or None. An empty list of alternatives is no reference."""
        for need, field in self._required_fields:
            value = getattr(sample, field)
            if value is None or (need == "reference" and isinstance(value, list) and not sample.references):
                return f"{self.name}: the sample has no {need.replace('_', ' ')}"
        return None

    @functools.cached_property
    def _required_fields(self) -> tuple[tuple[str, str], ...]:
        return tuple((need, FIELD_OF_NEED[need]) for need in sorted(self.requires))

    def _defect(self, exc: Exception) -> Score:
        """A score that says that the scorer itself failed."""
        _logger.error("scorer %s failed", self.name, exc_info=exc)
        return self._named(Score.error(f"the scorer {self.name} failed: {type(exc).__name__}: {exc}"))

    def _named(self, score: Score) -> Score:
        if score.name:
            return score
        direction = self._range.direction
        return msgspec.structs.replace(score, name=self.name, version=self.version, direction=direction)

    def verdict(self, value: float) -> bool | None:
        """`passed` for a value: by the threshold, else 1 for binary scorers, else unknown (None)."""
        if self.threshold is None:
            return value == 1 if self.binary else None
        return value >= self.threshold if self._range.direction == "maximize" else value <= self.threshold

    def scored(
        self, value: float, explanation: str = "", *, label: str | None = None, evidence: dict[str, Any] | None = None
    ) -> Score:
        """A score with status `ok` and the verdict that the arguments imply. Raises ValueError outside the range."""
        values = self._range
        low, high = values.low, values.high
        if not (low <= value and (high is None or value <= high)):
            raise ValueError(f"value {value} is not between {low:g} and {'any number' if high is None else high}")
        passed = self.verdict(value)
        if self.negate:
            passed = None if passed is None else not passed
            value = value if high is None else low + high - value
        return Score(
            value=float(value),
            passed=passed,
            label=label,
            explanation=explanation,
            evidence=evidence,
            name=self.name,
            version=self.version,
            direction=values.direction,
        )

    @functools.cached_property
    def _range(self) -> ValueRange:
        return self.value_range
