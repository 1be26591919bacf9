"""Scorers that ask a model, and what they ask: a `Judge` for verdicts, an `Embedder` for vectors.

The library knows no endpoint. Whoever scores hands in `Models`; a scorer's author calls `judge.ask` and reads what comes
back, and never counts costs: they are gathered here.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from evaluators.contract import Sample, Score, Scorer


class TokenLogprob(msgspec.Struct, frozen=True):
    """One token that the judge wrote, its natural logarithm of probability, and the likeliest tokens in its place."""

    token: str
    logprob: float
    top: dict[str, float] = {}


class JudgeReply(msgspec.Struct, frozen=True):
    """A judge's raw answer: `text` is what it wrote, `cost_usd` and `tokens` what that took.

    `logprobs` are there when they were asked for and the endpoint gives them. `cached`: the same was asked before.
    """

    text: str | None
    finish_reason: str | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    logprobs: list[TokenLogprob] | None = None
    cached: bool = False


class Embeddings(msgspec.Struct, frozen=True):
    """One vector per text, in order, all of one length."""

    vectors: list[list[float]]
    cost_usd: float = 0.0
    tokens: int = 0
    cached: bool = False


class JudgeUnavailableError(Exception):
    """The judge could not be reached or refused to work: transport, rate limit, budget. Never a verdict."""


class JudgeTemplateError(Exception):
    """A template cannot be rendered with this sample, mostly because it names an input that the sample lacks."""


class Judge(Protocol):
    """The model that judges, as the service hands it in; it knows endpoint, parameters and retries."""

    @property
    def name(self) -> str:
        """How people call the endpoint."""
        ...

    async def ask(
        self,
        messages: list[dict[str, Any]],
        schema: dict[str, Any] | None = None,
        *,
        sample_index: int = 0,
        top_logprobs: int = 0,
    ) -> JudgeReply:
        """Ask for an answer that fits the JSON Schema, or for any text without one.

        Calls that differ in `sample_index` are draws of their own; equal calls may be answered from what is known.
        `top_logprobs` above 0 asks for logprobs. Raises JudgeUnavailableError.
        """
        ...

    def render(self, template: str, variables: dict[str, Any]) -> str:
        """Fill a template. Raises JudgeTemplateError."""
        ...


class Embedder(Protocol):
    """The model that turns texts into vectors."""

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Raises JudgeUnavailableError."""
        ...


@dataclasses.dataclass(frozen=True)
class Models:
    """What a scorer may ask: the judges of a jury in their order (most scorers ask the first), and an embedder."""

    judges: Sequence[Judge] = ()
    embedder: Embedder | None = None

    @property
    def judge(self) -> Judge:
        """The first judge. Raises JudgeUnavailableError when there is none."""
        if not self.judges:
            raise JudgeUnavailableError("no judge was given")
        return self.judges[0]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' vectors. Raises JudgeUnavailableError, also when there is no embedder or it gives too few."""
        if self.embedder is None:
            raise JudgeUnavailableError("no endpoint for embeddings was given")
        vectors = (await self.embedder.embed(texts)).vectors
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
            raise JudgeUnavailableError(f"{len(texts)} texts got {len(vectors)} vectors, or vectors of several lengths")
        return vectors


class JudgeScorer(Scorer, frozen=True):
    """A scorer that asks a model: await `score_with`. Without models (`score`, `score_batch`) its status is `error`."""

    asks_all: ClassVar[bool] = False  # of the judges that it is given: a jury; others ask the first

    async def score_with(self, sample: Sample, models: Models | Judge, sample_index: int = 0) -> Score:
        """Score one sample. `sample_index` tells repeated judgements of one answer apart."""
        bill = _Bill()
        try:
            reason = self.lacking(sample)
            if reason is not None:
                return self._named(Score.skipped(reason))
            score = await self.judge(
                sample, bill.of(models if isinstance(models, Models) else Models([models])), sample_index
            )
        except JudgeUnavailableError as exc:
            score = Score.error(f"the judge could not be asked: {exc}")
        except JudgeTemplateError as exc:
            score = Score.skipped(f"the instructions cannot be filled in: {exc}")
        except Exception as exc:  # noqa: BLE001 - `_defect` logs it
            score = self._defect(exc)
        return msgspec.structs.replace(
            self._named(score),
            cost=bill.cost_usd,
            tokens=bill.tokens,
            cached=bill.calls > 0 and bill.calls == bill.cached,
        )

    @classmethod
    def agreement(cls, scores: Sequence[Score]) -> dict[str, float]:  # noqa: ARG003 - for those that override it
        """How far those who were asked agree over many scores of this scorer, by the measure's name; empty where one judge
        is asked once."""
        return {}

    async def judge(self, sample: Sample, models: Models, sample_index: int) -> Score:
        """Judge a sample that has all that the scorer requires. Written by each judge scorer."""
        raise NotImplementedError(f"scorer {self.name} does not define judge()")

    def measure(self, sample: Sample) -> Score:
        return Score.error(f"{self.name} asks a model and was given none")


class _Bill:
    """What one score took, over all calls."""

    def __init__(self) -> None:
        self.cost_usd, self.tokens, self.calls, self.cached = 0.0, 0, 0, 0

    def of(self, models: Models) -> Models:
        embedder = None if models.embedder is None else _BilledEmbedder(models.embedder, self)
        return Models([_BilledJudge(judge, self) for judge in models.judges], embedder)

    def add(self, reply: JudgeReply | Embeddings) -> None:
        self.calls += 1
        self.cached += reply.cached
        self.cost_usd += reply.cost_usd
        self.tokens += reply.tokens


class _BilledJudge:
    def __init__(self, judge: Judge, bill: _Bill) -> None:
        self._judge, self._bill = judge, bill

    @property
    def name(self) -> str:
        return self._judge.name

    async def ask(
        self,
        messages: list[dict[str, Any]],
        schema: dict[str, Any] | None = None,
        *,
        sample_index: int = 0,
        top_logprobs: int = 0,
    ) -> JudgeReply:
        reply = await self._judge.ask(messages, schema, sample_index=sample_index, top_logprobs=top_logprobs)
        self._bill.add(reply)
        return reply

    def render(self, template: str, variables: dict[str, Any]) -> str:
        return self._judge.render(template, variables)


class _BilledEmbedder:
    def __init__(self, embedder: Embedder, bill: _Bill) -> None:
        self._embedder, self._bill = embedder, bill

    @property
    def name(self) -> str:
        return self._embedder.name

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        found = await self._embedder.embed(texts)
        self._bill.add(found)
        return found
