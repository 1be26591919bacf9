"""What a scorer is: a `Sample` goes in, a `Score` comes out.

A scorer is one frozen Struct in one file. Its fields are its arguments, its class variables say what it is::

    class Shout(Scorer, frozen=True):
        \"\"\"1 when the output is in capitals. Range {0, 1}, higher is better.\"\"\"

        name = "shout"
        binary = True

        def measure(self, sample: Sample) -> Score:
            return self.scored(float(sample.output.isupper()), "the output is compared with its capitals")

Callers use `score`, `score_batch` or, for judges, `score_with`; a scorer's author writes `measure` (or `judge`).
"""

import functools
import logging
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, Self

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
}
NEEDS = frozenset(FIELD_OF_NEED) | {"judge"}


class ScorerConfigError(Exception):
    """A scorer that cannot be built as asked. `pointer` is the JSON pointer of the faulty part of its suite entry."""

    def __init__(self, message: str, pointer: str = "/args") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer and what it is judged by. `reference` is a string, a number, an object, or a list of alternatives."""

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

    @property
    def references(self) -> list[Any]:
        """The alternatives of which the best counts: none, one, or several."""
        alternatives = self.reference if isinstance(self.reference, list) else [self.reference]
        return [each for each in alternatives if each is not None]


class Score(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finite value with status `ok`, or no value and the reason why. `cost_usd` and `tokens` are the judge's.

    Raises ValueError for NaN or infinity, a value without `ok`, `ok` without a value, a `passed` without a value, and a
    missing value without explanation.
    """

    value: float | None
    passed: bool | None = None
    label: str | None = None
    explanation: str = ""
    evidence: dict[str, Any] | None = None
    status: Status = "ok"
    cost_usd: float = 0.0
    tokens: int = 0

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
        cost_usd: float = 0.0,
        tokens: int = 0,
    ) -> Self:
        return cls(
            value=float(value),
            passed=passed,
            label=label,
            explanation=explanation,
            evidence=evidence,
            cost_usd=cost_usd,
            tokens=tokens,
        )

    @classmethod
    def skipped(cls, reason: str) -> Self:
        """The sample lacks what the scorer needs: a missing reference or input."""
        return cls(value=None, status="skipped", explanation=reason)

    @classmethod
    def unscored(
        cls, reason: str, *, evidence: dict[str, Any] | None = None, cost_usd: float = 0.0, tokens: int = 0
    ) -> Self:
        """The judge answered without giving a verdict."""
        return cls(
            value=None, status="unscored", explanation=reason, evidence=evidence, cost_usd=cost_usd, tokens=tokens
        )

    @classmethod
    def error(
        cls, reason: str, *, evidence: dict[str, Any] | None = None, cost_usd: float = 0.0, tokens: int = 0
    ) -> Self:
        """Infrastructure failed, or the scorer itself did."""
        return cls(value=None, status="error", explanation=reason, evidence=evidence, cost_usd=cost_usd, tokens=tokens)

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

    `needs` are the fields of the sample, beside the output, that may decide a score (plus `judge`). Raise `version`
    whenever the same sample and arguments may get another value: kept scores are then computed afresh.
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

    threshold: float | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse arguments that make no sense or an assertion that cannot fail. Raises ScorerConfigError.

        Subclasses extend it and call `super().check()`.
        """
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
        return self.reads - {"judge", "inputs", "history", "metadata", "tool_calls"}

    def arguments(self) -> dict[str, Any]:
        """All arguments, defaults included, as plain JSON data: what a kept score's key and record hold."""
        arguments: dict[str, Any] = msgspec.to_builtins(self)
        return arguments

    def score(self, sample: Sample) -> Score:
        """Score one sample. A defect in the scorer becomes a score with status `error`, never a value."""
        reason = self.lacking(sample)
        if reason is not None:
            return Score.skipped(reason)
        try:
            return self.measure(sample)
        except Exception as exc:
            _logger.exception("scorer %s failed", self.name)
            return self._defect(exc)

    def score_batch(self, samples: Sequence[Sample]) -> list[Score]:
        """Score many samples, in order; the same scores as one by one."""
        reasons = [self.lacking(sample) for sample in samples]
        present = [sample for sample, reason in zip(samples, reasons, strict=True) if reason is None]
        try:
            measured = self.measure_batch(present)
        except Exception:  # noqa: BLE001 - one bad sample must not cost the others their scores; `score` reports it
            measured = [self.score(sample) for sample in present]
        if len(measured) != len(present):
            raise RuntimeError(f"scorer {self.name} gave {len(measured)} scores for {len(present)} samples")
        if len(measured) == len(samples):
            return measured
        rest = iter(measured)
        return [next(rest) if reason is None else Score.skipped(reason) for reason in reasons]

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
        return Score.error(f"the scorer {self.name} failed: {type(exc).__name__}: {exc}")

    def verdict(self, value: float) -> bool | None:
        """`passed` for a value: by the threshold, else 1 for binary scorers, else unknown (None)."""
        if self.threshold is None:
            return value == 1 if self.binary else None
        return value >= self.threshold if self._range.direction == "maximize" else value <= self.threshold

    def scored(
        self, value: float, explanation: str = "", *, label: str | None = None, evidence: dict[str, Any] | None = None
    ) -> Score:
        """A score with status `ok` and the verdict that the arguments imply. Raises ValueError outside the range."""
        low, high = self._range.low, self._range.high
        if not (low <= value and (high is None or value <= high)):
            raise ValueError(f"value {value} is not between {low:g} and {'any number' if high is None else high}")
        return Score(
            value=float(value),
            passed=self.verdict(value),
            label=label,
            explanation=explanation,
            evidence=evidence,
        )

    @functools.cached_property
    def _range(self) -> ValueRange:
        return self.value_range


class JudgeReply(msgspec.Struct, frozen=True):
    """A judge's raw answer; `text` is what it wrote, `cost_usd` and `tokens` what that took."""

    text: str | None
    finish_reason: str | None = None
    cost_usd: float = 0.0
    tokens: int = 0


class JudgeUnavailableError(Exception):
    """The judge could not be reached or refused to work: transport, rate limit, budget. Never a verdict."""


class JudgeTemplateError(Exception):
    """A template cannot be rendered with this sample, mostly because it names an input that the sample lacks."""


class Judge(Protocol):
    """The model that judges, as the service hands it in; it knows endpoint, parameters and retries."""

    async def ask(self, messages: list[dict[str, Any]], schema: dict[str, Any]) -> JudgeReply:
        """Ask for an answer that fits the JSON Schema. Each call is a draw of its own.

        Raises JudgeUnavailableError.
        """
        ...

    def render(self, template: str, variables: dict[str, Any]) -> str:
        """Fill a template. Raises JudgeTemplateError."""
        ...


class JudgeScorer(Scorer, frozen=True):
    """A scorer that asks a model: await `score_with`. Without a judge (`score`, `score_batch`) its status is `error`."""

    async def score_with(self, sample: Sample, judge: Judge, sample_index: int = 0) -> Score:
        """Score one sample with the judge. `sample_index` tells repeated judgements of one answer apart."""
        reason = self.lacking(sample)
        if reason is not None:
            return Score.skipped(reason)
        try:
            return await self.judge(sample, judge, sample_index)
        except JudgeUnavailableError as exc:
            return Score.error(f"the judge could not be asked: {exc}")
        except JudgeTemplateError as exc:
            return Score.skipped(f"the instructions cannot be filled in: {exc}")
        except Exception as exc:
            _logger.exception("scorer %s failed", self.name)
            return self._defect(exc)

    async def judge(self, sample: Sample, judge: Judge, sample_index: int) -> Score:
        """Judge a sample that has all that the scorer requires. Written by each judge scorer."""
        raise NotImplementedError(f"scorer {self.name} does not define judge()")

    def measure(self, sample: Sample) -> Score:
        return Score.error(f"{self.name} asks a model and was given none")
